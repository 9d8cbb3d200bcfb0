"""Representation analyses find what was put in, and nothing where there is nothing."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from listcomp_utils.config import Config
from listcomp_utils.hooks import run_all
from listcomp_utils.model import make_model
from listcomp_utils.representation import (
    fourier_spectrum,
    order_at_separator,
    principal_components,
    probe_table,
    reversal,
    separator_vectors,
    untrained_reversals,
)
from listcomp_utils.task import all_lists


@pytest.fixture
def noise():
    return torch.randn(400, 8, generator=torch.Generator().manual_seed(0))


def test_components_recover_the_vectors_and_their_dimension(noise):
    parts = principal_components(noise)
    centred = noise.double() - noise.double().mean(0)
    torch.testing.assert_close(parts.scores @ parts.directions, centred)
    assert parts.explained.sum().item() == pytest.approx(1)
    assert 7 < parts.effective_dimension <= 8
    line = torch.outer(torch.arange(10.0), torch.tensor([3.0, -4.0]))
    assert principal_components(line).effective_dimension == pytest.approx(1)
    assert (parts.directions.gather(1, parts.directions.abs().argmax(1, True)) > 0).all()


def test_components_that_are_not_there_hold_nothing(noise):
    narrow = principal_components(noise[:, :1]).coordinates(3)
    assert list(narrow) == ["PC1 (100%)", "PC2 (0%)", "PC3 (0%)"]
    assert narrow.iloc[:, 0].std() == pytest.approx(noise[:, 0].std().item())
    assert (narrow.iloc[:, 1:] == 0).all(axis=None)
    wide = principal_components(noise)
    torch.testing.assert_close(torch.tensor(wide.coordinates(2).to_numpy()), wide.scores[:, :2])
    assert principal_components(torch.ones(5, 3)).effective_dimension == 0


def test_probes_find_labels_that_are_there_and_only_those(noise):
    labels = torch.randint(4, (400,), generator=torch.Generator().manual_seed(1))
    marked = noise.clone()
    marked[:, :4] += 6 * torch.nn.functional.one_hot(labels, 4)
    table = probe_table({"marked": marked, "noise": noise}, {"label": labels}, seed=0)
    assert table.columns.tolist() == ["place", "target", "kind", "score", "shuffled", "held_out"]
    found, missing = table.itertuples()
    assert found.score > 0.95 and found.shuffled < 0.45
    assert missing.score < 0.45 and (table["held_out"] == 120).all()
    number = noise @ torch.arange(8.0)
    (linear,) = probe_table({"noise": noise}, {"number": number}, seed=0).itertuples()
    assert linear.kind == "R²" and linear.score > 0.99 and linear.shuffled < 0.2


def test_probes_are_fitted_to_lists_from_everywhere(noise):
    """Lists come in order: a split without shuffling holds out digits that were never fitted."""
    labels = torch.arange(400) // 40
    marked = torch.cat([noise, 6 * torch.nn.functional.one_hot(labels, 10)], dim=1)
    (found,) = probe_table({"marked": marked}, {"label": labels}, seed=0).itertuples()
    assert found.score > 0.95


def test_probes_need_lists_and_labels(noise):
    with pytest.raises(ValueError, match="two different labels"):
        probe_table({"noise": noise}, {"label": torch.zeros(400)}, seed=0)
    with pytest.raises(ValueError, match="at least 10 vectors, got 5"):
        probe_table({"noise": noise[:5]}, {"label": torch.arange(5)}, seed=0)
    with pytest.raises(ValueError, match="at least 20 vectors, got 15"):
        probe_table({"noise": noise[:15]}, {"label": torch.arange(15) % 10}, seed=0)
    with pytest.raises(ValueError, match="different labels and vectors"):
        probe_table({"one": torch.ones(400, 8)}, {"label": torch.arange(400) % 2}, seed=0)


def test_probes_find_what_is_faint_and_penalised_ones_do_not(noise):
    labels = torch.randint(4, (400,), generator=torch.Generator().manual_seed(1))
    marks = torch.nn.functional.one_hot(labels, 4)
    close = noise[:, :4] + 1e-3 * noise[:, 4:] + 1e-2 * marks
    faint = {"faint": torch.cat([noise[:, :4], close], dim=1)}
    (found,) = probe_table(faint, {"label": labels}, seed=0).itertuples()
    usual = LogisticRegression(max_iter=2000)
    (missed,) = probe_table(faint, {"label": labels}, seed=0, classifier=usual).itertuples()
    assert found.score > 0.95 and missed.score < 0.5


def test_reversal_finds_the_axis_that_order_lies_along():
    lists = all_lists(Config(n_digits=6))
    generator = torch.Generator().manual_seed(0)
    content, axis = torch.randn(6, 8, generator=generator), torch.eye(8)[0]
    order = torch.sign((lists[:, 1] - lists[:, 0]).float())
    vectors = content[lists].sum(1) + order[:, None] * axis
    copied = torch.ones(36, dtype=torch.bool)
    found = reversal(vectors, lists, copied, axis.double())
    assert found.components.explained[0].item() == pytest.approx(1)
    assert found.along_copied == pytest.approx(1) and math.isnan(found.along_failed)
    assert found.distance == pytest.approx(2, abs=1e-5)
    assert found.cosine == pytest.approx(1)
    assert found.distance_to_others > found.distance
    assert reversal(vectors, lists, copied).cosine is None
    with pytest.raises(ValueError, match="differs from its reverse"):
        reversal(vectors[:1], lists[:1], copied[:1])


def test_reversals_of_pairs_that_fail_are_told_from_the_others():
    """One pair of short differences lies off the axis; a sum of squares would not show it."""
    lists = all_lists(Config(n_digits=6))
    order = torch.sign((lists[:, 1] - lists[:, 0]).float())
    vectors = order[:, None] * torch.eye(8)[0]
    odd = (lists.sort(1).values == torch.tensor([0, 1])).all(1)
    vectors[odd] = 0.1 * order[odd, None] * torch.eye(8)[1]
    found = reversal(vectors, lists, ~(lists == torch.tensor([1, 0])).all(1))
    assert found.components.explained[0] > 0.99
    assert found.along_copied == pytest.approx(1) and found.along_failed == pytest.approx(0)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_the_order_at_the_separator_is_held_against_the_positions(positions):
    sizes = dict(n_digits=4, d_model=8, positions=positions, device="cpu")
    config = Config.preset("study", **sizes)
    lists = all_lists(config)
    seen = run_all(make_model(config), lists)
    vectors = separator_vectors(config, seen)
    assert list(vectors) == ["after layer 0", "after layer 1"]
    torch.testing.assert_close(vectors["after layer 1"], seen.residuals[:, -1, 2])
    found = order_at_separator(config, seen, lists)["after layer 0"]
    if positions == "rotary":
        assert found.cosine is None
    else:
        axis = seen.contributions[0, 1, 0].double() - seen.contributions[0, 1, 1]
        none = torch.zeros(len(lists), dtype=torch.bool)
        assert found.cosine == reversal(vectors["after layer 0"], lists, none, axis).cosine
        (by_chance,) = untrained_reversals(config, [0])
        assert by_chance == pytest.approx(found.components.explained[0].item())


@pytest.mark.parametrize("n_digits", [20, 21])
def test_waves_are_found_in_waves_and_not_in_noise(n_digits):
    angles = torch.arange(n_digits) * 2 * math.pi * 3 / n_digits
    waves = torch.stack([angles.cos(), angles.sin()], dim=1)
    found = fourier_spectrum(waves, permutations=200, seed=0)
    assert found.power.argmax().item() == 2 and found.power.sum().item() == pytest.approx(1)
    assert found.power[2].item() == pytest.approx(1) and found.p_value < 0.01
    random = torch.randn(n_digits, 5, generator=torch.Generator().manual_seed(0))
    assert fourier_spectrum(random, permutations=200, seed=0).p_value > 0.02
