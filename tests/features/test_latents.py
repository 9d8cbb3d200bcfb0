"""Latents are matched to the separator's known terms."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from listcomp_utils.features.latents import (
    KINDS,
    activity_maps,
    binary,
    graded_points,
    kinds_by_seed,
    live_directions,
    match_latents,
    matched_cosines,
    stability,
    when_binary,
)
from listcomp_utils.features.sae import SAE, SAEConfig, train_sae
from listcomp_utils.features.separator import quality


def test_the_true_dictionary_is_matched_to_itself(small, true_sae, true_match):
    latents, match = true_sae.encode(small.vectors), true_match
    torch.testing.assert_close(true_sae.decode(latents), small.vectors, atol=1e-3, rtol=0)
    assert match.order == [10, 11] and match.digits == match.clean_digits == list(range(10))
    digits = match.frame.iloc[:10]
    assert digits.digit.tolist() == list(range(10))
    assert (digits.correlation > 0.999).all() and (digits.precision == 1).all()
    assert (digits.slope - 1).abs().median() < 0.2
    assert match.frame.order_cosine[10:].tolist() == pytest.approx([1, -1])
    assert torch.equal(match.order_on, (latents[:, 10:] > 0).any(1)) and match.order_on.any()
    flat = binary(latents)
    assert quality(small, true_sae.decode(flat)).explained < 0.99
    assert torch.equal(flat > 0, latents > 0)
    only = binary(latents, [10, 11])
    assert torch.equal(only[:, :10], latents[:, :10]) and not torch.equal(only, latents)


def test_kinds_are_told_apart(small, true_sae):
    """A digit and the axis within their plane, two digits at once, a latent that is never on."""
    axis, digits = normalize(small.order_axis, dim=0), small.embeddings - small.embeddings.mean(0)
    digits = normalize(digits - (digits @ axis)[:, None] * axis, dim=1)
    made = torch.stack([digits[0] + axis, digits[1] + digits[2], digits[3]])
    decoder = torch.cat([normalize(made, dim=1), true_sae.decoder[3:]])
    encoder = true_sae.encoder.clone()
    encoder[2] = 0
    match = match_latents(small, replace(true_sae, decoder=decoder, encoder=encoder))
    assert match.frame.kind[:3].tolist() == ["digit and order", "mixture", "dead"]
    assert set(match.frame.kind) == set(KINDS)
    tilted = match.frame.loc[0]
    assert tilted.digit_cosine == pytest.approx(1) and tilted.whole_cosine < 0.95
    assert match.digits == [0, *range(3, 10)]
    assert len(live_directions(match.sae, small.vectors)) == 11


def test_a_random_dictionary_is_matched_to_nothing(small, true_sae):
    generator = torch.Generator().manual_seed(77)
    noise = normalize(torch.randn(true_sae.decoder.shape, generator=generator), dim=1)
    random = SAE(noise, torch.zeros(12), noise, small.vectors.mean(0), threshold=0.0, k=3)
    match = match_latents(small, random)
    assert match.clean_digits == [] and match.order == []
    own = live_directions(true_sae, small.vectors)
    assert matched_cosines(own, own.flip(0)).min() == pytest.approx(1)
    assert matched_cosines(own, noise).mean() < 0.8


def test_an_sae_whose_latents_are_all_dead_is_matched_too(small, true_sae, dead_match):
    dead, live = dead_match, live_directions(dead_match.sae, small.vectors)
    assert set(dead.frame.kind) == {"dead"} and dead.order == dead.digits == dead.clean_digits == []
    assert not dead.order_on.any() and len(live) == 0
    assert len(matched_cosines(live, true_sae.decoder)) == 0


def test_seeds_are_compared_in_pairs(separator):
    configs = [SAEConfig(d_sae=128, k=3, steps=150, seed=seed) for seed in (0, 1)]
    saes = [train_sae(separator.vectors, config)[0] for config in configs]
    stable = stability(separator, saes)
    assert stable["random"] < stable["cosine"] <= 1 and stable["lowest_pair"] == stable["cosine"]
    same = stability(separator, [saes[0], saes[0], saes[1]])
    assert same["lowest_pair"] == pytest.approx(stable["cosine"])
    assert same["cosine"] == pytest.approx((1 + 2 * stable["cosine"]) / 3)
    assert same["same"] >= 1 / 3
    with pytest.raises(ValueError, match="at least two"):
        stability(separator, saes[:1])


def test_seeds_are_told_by_what_their_latents_are(true_match, dead_match):
    table = kinds_by_seed([true_match, dead_match])
    assert table[list(KINDS)].sum(axis=1).tolist() == [12, 12]
    assert (table.digit + table["digit and order"]).tolist() == [10, 0]
    assert table["clean digits"].tolist() == [10, 0]
    assert table["along P1 - P2"][0] == pytest.approx(1) and table.correlation[0] > 0.999
    assert table[["correlation", "slope", "along P1 - P2"]].iloc[1].isna().all()


def test_maps_show_where_a_digit_is(true_match, study_match):
    maps, names = activity_maps(true_match)
    assert names[:2] == ["order"] * 2 and sorted(names[2:]) == [*map(str, range(10))]
    cross = maps[names.index("7")] > 0
    assert cross[7].all() and cross[:, 7].all() and cross.sum() == 19
    unclean = replace(true_match, frame=true_match.frame.assign(recall=0.5))
    assert "9*" in activity_maps(unclean)[1]
    assert activity_maps(study_match)[0].shape[1:] == (10, 10)
    points = graded_points(true_match)
    assert list(points) == ["digit 0", "digit 1", "digit 2"]
    attention, active = points["digit 0"]
    assert len(attention) == len(active) and min(attention) > 0 and min(active) > 0


def test_on_and_off_alone_lose_what_is_graded(small, true_match):
    right = when_binary(true_match)
    own = quality(small, small.vectors).per_token
    assert right["as they are"] == pytest.approx(own, abs=0.03)
    assert all(0 <= one <= 1 for one in right.values()) and len(right) == 6
