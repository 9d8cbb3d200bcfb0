"""Latents are scored against a separator whose every term is known."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn.functional import normalize
from transformer_lens.utilities import get_act_name

from listcomp_utils.__main__ import main
from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.circuit.order_axis import DOSES, steer
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.features import grid as feature_grid
from listcomp_utils.features.grid import (
    grid_row,
    load_or_train_sae,
    planted_vectors,
    recovery_row,
    shipped_tables,
    stability_row,
    write_tables,
)
from listcomp_utils.features.latents import (
    activation_maps,
    binary,
    live_directions,
    match_latents,
    matched_cosines,
)
from listcomp_utils.features.sae import SAE, SAEConfig
from listcomp_utils.features.sae_files import load_sae
from listcomp_utils.features.separator import (
    from_code,
    has_known_separator,
    order_held,
    principal_part,
    quality,
    refitted,
    separator_of,
    true_vectors,
    written,
)
from listcomp_utils.features.steering import (
    PAIR_FACTORS,
    steering_table,
    strongest,
    swappable,
    swapped_by_adding,
    swapped_by_scaling,
)
from listcomp_utils.generation import accuracy
from listcomp_utils.hooks import logits_with, replace_at
from listcomp_utils.model import make_model

STUDY = Config.preset("study")


@pytest.fixture(scope="module")
def model():
    """The shipped checkpoint."""
    return load_or_train(STUDY).model


@pytest.fixture(scope="module")
def separator(model):
    return separator_of(model)


@pytest.fixture(scope="module")
def small():
    """Fewer digits than dimensions; the sum is the same whatever the weights, so untrained."""
    return separator_of(make_model(STUDY.replace(n_digits=10, d_model=24)))


@pytest.fixture(scope="module")
def true_sae(small):
    """The true dictionary as an SAE: a latent for each digit, and one for each end of the axis.

    Its encoder reads the weights off by the pseudo-inverse of the dictionary.
    """
    directions = torch.cat([small.embeddings, small.order_axis[None]])
    lengths = directions.norm(dim=1)
    bias = true_vectors(small)[0] - (
        small.digit_weights[0] @ small.embeddings + small.order[0] / 2 * small.order_axis
    )
    reader = torch.linalg.pinv(directions).T
    encoder = torch.cat([reader, -reader[-1:]]) * lengths[[*range(11), 10], None]
    decoder = normalize(torch.cat([directions, -directions[-1:]]), dim=1)
    return SAE(encoder, torch.zeros(12), decoder, bias, threshold=1e-4, k=3)


def test_a_perfect_reconstruction_changes_accuracy_by_exactly_zero(model, separator):
    own = accuracy(model)
    spliced = quality(separator, separator.vectors.clone())
    assert spliced.all_lists == own and spliced.explained == 1 and spliced.mse == 0
    held_out = separator.lists[separator.held_out]
    assert spliced.held_out == accuracy(model, held_out) and len(held_out) == 2000
    known = true_vectors(separator)
    torch.testing.assert_close(known, separator.vectors, atol=1e-5, rtol=0)
    assert quality(separator, known).all_lists == own


def test_what_is_written_is_what_the_running_model_writes(model, separator):
    generator = torch.Generator().manual_seed(0)
    edited = separator.vectors + torch.randn(separator.vectors.shape, generator=generator)
    hooks = [(get_act_name("resid_post", 0), replace_at([2], edited[:, None]))]
    answers = logits_with(model, separator.lists, hooks)[:, STUDY.prediction_positions].argmax(-1)
    found = written(separator, edited)
    assert torch.equal(found, answers)
    assert not torch.equal(found, written(separator, separator.vectors))


def test_baselines_are_ordered_as_what_they_may_use(separator):
    digits, places = (quality(separator, from_code(separator, c)) for c in ("digits", "places"))
    assert digits.explained < places.explained < 1
    # Digits alone cannot tell a list from its reverse.
    assert torch.equal(from_code(separator, "digits")[1], from_code(separator, "digits")[100])
    few, many = (quality(separator, from_code(separator, "pairs", n)).explained for n in (10, 100))
    assert 0 < few < many < digits.explained
    ranks = [quality(separator, principal_part(separator, rank)).explained for rank in (1, 5, 64)]
    assert ranks[0] < ranks[1] < ranks[2] == pytest.approx(1)
    graded = torch.cat([separator.digit_weights, separator.order[:, None]], 1)
    torch.testing.assert_close(refitted(separator, graded), separator.vectors, atol=1e-4, rtol=0)
    without = order_held(separator, true_vectors(separator, order=False))
    torch.testing.assert_close(without, separator.order.mean().expand(10_000), atol=1e-4, rtol=0)
    shifted = order_held(separator, separator.vectors + separator.order_axis / 4)
    torch.testing.assert_close(shifted, separator.order + 0.5)
    with pytest.raises(ConfigError, match="code must be one of"):
        from_code(separator, "words")


def test_the_true_dictionary_is_matched_to_itself(small, true_sae):
    latents = true_sae.encode(small.vectors)
    torch.testing.assert_close(true_sae.decode(latents), small.vectors, atol=1e-3, rtol=0)
    match = match_latents(small, true_sae)
    assert match.where("order") == [10, 11] and match.clean_digits == list(range(10))
    assert match.digit[:10].tolist() == list(range(10))
    assert (match.correlation[:10] > 0.999).all() and (match.precision[:10] == 1).all()
    assert (match.slope[:10] - 1).abs().median() < 0.2
    torch.testing.assert_close(match.order_cosine[10:], torch.tensor([1.0, -1.0]))
    flat = binary(latents)
    assert quality(small, true_sae.decode(flat)).explained < 0.99
    assert torch.equal(flat > 0, latents > 0)
    only = binary(latents, [10, 11])
    assert torch.equal(only[:, :10], latents[:, :10]) and not torch.equal(only, latents)


def test_maps_show_where_a_latent_is_active(small, true_sae):
    latents = true_sae.encode(small.vectors)
    maps = activation_maps(small, latents)
    assert maps.shape == (12, 10, 10) and torch.equal(maps[3].flatten(), latents[:, 3])
    cross = torch.zeros(10, 10, dtype=torch.bool)
    cross[3] = cross[:, 3] = True
    assert torch.equal(maps[3] > 0, cross)
    pooled = activation_maps(small, latents, bins=5)
    assert pooled.shape == (12, 5, 5)
    assert torch.equal(pooled, maps.reshape(12, 5, 2, 5, 2).amax((2, 4)))
    assert torch.equal(activation_maps(small, latents, bins=12), maps)


def test_a_random_dictionary_is_matched_to_nothing(small, true_sae):
    generator = torch.Generator().manual_seed(77)
    noise = normalize(torch.randn(true_sae.decoder.shape, generator=generator), dim=1)
    random = SAE(noise, torch.zeros(12), noise, small.vectors.mean(0), threshold=0.0, k=3)
    match = match_latents(small, random)
    assert match.clean_digits == [] and match.where("order") == []
    own = live_directions(small, true_sae)
    assert matched_cosines(own, own.flip(0)).min() == pytest.approx(1)
    assert matched_cosines(own, noise).mean() < 0.8


def test_steering_moves_what_it_should_and_nothing_else(separator):
    sae = load_or_train_sae(separator, SAEConfig(d_sae=128, k=3))
    match, rows = match_latents(separator, sae), swappable(separator)
    assert len(rows) == 9900 and len(swappable(separator, 7)) == 7
    few = swappable(separator, 600)
    values = sae.encode(separator.vectors[few])
    start, goal = sae.decode(values), separator.lists[few].flip(1)
    order = max(match.where("order"), key=lambda latent: match.density[latent])
    still = swapped_by_scaling(separator, sae, few, order, [1.0])
    assert torch.equal(still, (written(separator, start) == goal).all(1))
    on = values[:, order] > 0
    scaled = swapped_by_scaling(separator, sae, few, order)
    added = swapped_by_adding(separator, start, few, separator.order_axis)
    assert torch.equal(scaled[~on], still[~on]) and on.any() and (~on).any()
    assert scaled[on].float().mean() > 0.5 and added.float().mean() > 0.7
    digits = strongest(values, match.where("digit"), 2)
    assert (values.gather(1, digits)[:, 0] >= values.gather(1, digits)[:, 1]).all()
    first = swapped_by_scaling(separator, sae, few, digits[:, :1], [-2.0, 1.0, 3.0])
    pair = digits.flip(1)[:100]
    both = swapped_by_scaling(separator, sae, few[:100], pair, [-2.0, 1.0, 3.0])
    assert (both | ~first[:100]).all() and both.sum() > first[:100].sum()
    tried = torch.zeros(100, dtype=torch.bool)
    for outer, inner in itertools.product(PAIR_FACTORS, [-2.0, 1.0, 3.0]):
        factors = torch.ones(100, sae.d_sae).scatter(
            1, pair, torch.tensor([outer, inner]).repeat(100, 1)
        )
        tried |= (written(separator, sae.decode(values[:100] * factors)) == goal[:100]).all(1)
    assert (both == tried).sum() >= 99  # the rounding differs
    table = steering_table(separator, sae, few[:100], [-0.5, 0.0, 0.5])
    best = max(table.rows, key=lambda row: row.scaled)
    assert best.latent in match.where("order") and best.scaled > table.baseline_swapped + 0.2
    assert {row.latent for row in table.rows} <= set((values > 0).any(0).nonzero()[:, 0].tolist())
    alone = swapped_by_adding(separator, separator.vectors[rows], rows, separator.order_axis)
    args = STUDY, separator.weights, separator.lists[rows], separator.order_axis[None], DOSES
    assert alone.double().mean().item() == pytest.approx(steer(*args).reversed_somewhere, abs=1e-3)
    with pytest.raises(ValueError, match="2 latents asked for among 1"):
        strongest(values, [3], 2)


def test_only_the_known_sum_is_taken(trained):
    assert has_known_separator(STUDY) and not has_known_separator(STUDY.replace(list_len=3))
    with pytest.raises(ConfigError, match="layer_norm=True"):
        separator_of(trained.model)
    with pytest.raises(ConfigError, match="n_layers=3"):
        separator_of(make_model(STUDY.replace(n_layers=3)))


def test_saes_are_kept_for_their_model_and_settings(separator, runs, tmp_path):
    config = SAEConfig(d_sae=16, k=3, steps=20)
    one = load_or_train_sae(separator, config)
    (path,) = (runs / "checkpoints").iterdir()
    assert torch.equal(load_or_train_sae(separator, config).decoder, one.decoder)
    load_or_train_sae(separator, SAEConfig(d_sae=16, k=3, steps=21))
    other = separator_of(make_model(STUDY))
    load_or_train_sae(other, config)
    assert len(list((runs / "checkpoints").iterdir())) == 3
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="cannot be read as an SAE"):
        load_or_train_sae(separator, config)


def test_rows_of_the_grid(separator, tmp_path, monkeypatch):
    done = [grid_row(separator, SAEConfig(d_sae=128, k=3, steps=150, seed=s)) for s in (0, 1)]
    row = done[0][0]
    assert 0 < row.explained < 1 and 2 < row.l0 < 4 and row.dead < 128
    assert row.held_out_per_list <= row.held_out_per_token
    stable = stability_row(separator, [sae for _, sae in done])
    assert stable.random < stable.mean <= 1 and stable.lowest_pair == stable.mean
    with pytest.raises(ValueError, match="at least two"):
        stability_row(separator, [done[0][1]])
    tables = {"grid": [r for r, _ in done], "stability": [stable], "recovery": []}
    write_tables(separator, tables, tmp_path / "features.json")
    monkeypatch.setattr("listcomp_utils.features.grid.shipped_dir", lambda: tmp_path)
    assert shipped_tables("features") == shipped_tables("features", separator) == tables
    other = separator_of(make_model(STUDY))
    assert shipped_tables("features", other)["grid"] == shipped_tables("absent")["grid"] == []


def test_the_command_makes_tables_and_the_saes_that_ship(small, tmp_path, monkeypatch, capsys):
    sizes = dict(KS=(2, 3), WIDTHS=(8, 12), SEEDS=(0, 1), SHIPPED_WIDTH=12)
    sizes |= dict(STEPS=20, LONG_STEPS=40, FOLLOW_UP=((1, 5),))
    cases = ({"n_digits": 6, "d_model": 12, "share": 1.0, "steps": 20},)
    for name, value in {**sizes, "RECOVERIES": cases}.items():
        monkeypatch.setattr(feature_grid, name, value)
    stale = tmp_path / "sae-k9-old.safetensors"
    stale.touch()
    tables = feature_grid.run_grid(small, tmp_path, "features", ship=True)
    assert [len(tables[name]) for name in ("grid", "stability", "recovery")] == [14, 4, 2]
    assert sorted({row.steps for row in tables["grid"]}) == [20, 40]
    saes = [load_sae(path) for path in tmp_path.glob("sae-*.safetensors")]
    assert sorted((sae.k, sae.config.seed) for sae in saes) == [(3, 0), (3, 1)]
    assert {sae.d_sae for sae in saes} == {12} and not stale.exists()
    assert main(["features", "--workers", "0"]) == 2
    assert main(["features", "--checkpoint", str(tmp_path / "no.pt")]) == 2
    assert "workers must be at least 1" in capsys.readouterr().err


def test_planted_dictionaries_are_recovered():
    vectors, digits, axis = planted_vectors(30, 32, 0.5, seed=0)
    assert vectors.shape == (450, 32) and digits.shape == (30, 32)
    # Every vector is two digits, whose weights sum to 1, and some of the axis.
    basis = torch.cat([digits, axis[None]])
    weights = torch.linalg.lstsq(basis.T, vectors.T).solution
    torch.testing.assert_close(weights.T @ basis, vectors, atol=1e-5, rtol=0)
    torch.testing.assert_close(weights[:30].sum(0), torch.ones(450))
    row = recovery_row(30, 32, 0.5, seed=0, steps=1200)
    assert row.digits_found >= 0.9 and row.order_found
    untrained = recovery_row(30, 32, 0.5, seed=0, steps=1)
    assert untrained.digits_found <= 0.1 and not untrained.order_found
