"""Steering tries every dose, and moves what it should and nothing else."""

import itertools

import pytest
import torch

from listcomp_utils.circuit.order_axis import DOSES, steer
from listcomp_utils.features.separator import written
from listcomp_utils.features.steering import (
    AMOUNTS,
    KINDS,
    PAIR_FACTORS,
    edits,
    gain_of_pairs,
    in_pairs,
    steering_table,
    swappable,
    swapped,
    swapped_by_adding,
    swapped_by_scaling,
)
from listcomp_utils.generation import share


def test_steering_moves_what_it_should_and_nothing_else(separator, study_match):
    assert len(swappable(separator)) == 9900 and len(swappable(separator, 7)) == 7
    few = swappable(separator, 600)
    values, goal = study_match.latents[few], separator.lists[few].flip(1)
    order = int((values[:, study_match.order] > 0).sum(0).argmax())
    order = study_match.order[order]
    still = swapped_by_scaling(study_match, few, order, [1.0])
    assert torch.equal(still, (written(separator, study_match.sae.decode(values)) == goal).all(1))
    on = values[:, order] > 0
    scaled = swapped_by_scaling(study_match, few, order)
    added = swapped_by_adding(study_match, few, separator.order_axis)
    assert torch.equal(scaled[~on], still[~on]) and on.any() and (~on).any()
    assert scaled[on].float().mean() > 0.5 and added.float().mean() > 0.7


def test_pairs_of_latents_are_tried_at_every_combination(separator, study_match):
    few, inner = swappable(separator, 100), [-2.0, 1.0, 3.0]
    values, goal = study_match.latents[few], separator.lists[few].flip(1)
    pair = torch.tensor(study_match.digits)[values[:, study_match.digits].topk(2).indices].flip(1)
    alone = swapped_by_scaling(study_match, few, pair[:, 1:], inner)
    both = swapped_by_scaling(study_match, few, pair, inner)
    assert (both | ~alone).all() and both.sum() > alone.sum()
    tried = torch.zeros(100, dtype=torch.bool)
    for factors in itertools.product(PAIR_FACTORS, inner):
        scaled = torch.ones_like(values).scatter(1, pair, torch.tensor(factors).repeat(100, 1))
        tried |= (written(separator, study_match.sae.decode(values * scaled)) == goal).all(1)
    assert (both == tried).sum() >= 99  # the rounding differs


def test_the_order_axis_swaps_as_many_as_in_the_circuit(separator):
    axis, rows = separator.order_axis[None], swappable(separator)
    alone = swapped(separator, rows, separator.vectors[rows], axis, DOSES)
    lists = separator.lists[rows]
    found = steer(separator.weights, lists, axis, DOSES).reversed_somewhere
    assert share(alone) == pytest.approx(found, abs=1e-3)


def test_no_dose_is_missed(separator):
    """The doses that are left out, where the first output is another digit, swap nothing."""
    rows = swappable(separator, 400)
    start, goal = separator.vectors[rows], separator.lists[rows].flip(1)
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(400, 64, generator=generator)
    for direction in (separator.order_axis[None], noise, torch.zeros(1, 64)):
        tried = [(written(separator, start + dose * direction) == goal).all(1) for dose in DOSES]
        found = swapped(separator, rows, start, direction, DOSES)
        assert torch.equal(found, torch.stack(tried).any(0))


def test_the_table_is_what_single_edits_give(separator, study_match):
    rows = swappable(separator, 100)
    values, table = study_match.latents[rows], steering_table(study_match, rows)
    assert table.index.tolist() == (values > 0).any(0).nonzero()[:, 0].tolist()
    best = table.scaled.idxmax()
    unedited = swapped_by_adding(study_match, rows, separator.order_axis, [0.0])
    assert best in study_match.order and table.scaled[best] > share(unedited) + 0.2
    for latent in (best, study_match.digits[0]):
        removed = study_match.sae.decode(values.index_fill(1, torch.tensor([latent]), 0.0))
        right = (written(separator, removed) == separator.lists[rows]).double().mean().item()
        added = swapped_by_adding(study_match, rows, study_match.sae.decoder[latent], AMOUNTS)
        row = table.loc[latent]
        assert row.added == share(added) and row.without == pytest.approx(right)
        assert row.scaled == share(swapped_by_scaling(study_match, rows, latent))


def test_a_latent_that_is_never_on_has_no_row(small, true_match):
    assert steering_table(true_match, swappable(small)[:0]).empty
    assert 0 < len(steering_table(true_match, swappable(small, 5))) < 12


def test_edits_in_figures_are_those_of_the_single_edits(small, true_match, dead_match):
    rows = swappable(small)
    random = torch.randn(2, 24, generator=torch.Generator().manual_seed(3))
    found = edits(true_match, rows, random)
    scaled = [swapped_by_scaling(true_match, rows, latent) for latent in true_match.order]
    assert found["scale any order latent"] == share(scaled[0] | scaled[1])
    assert found["scale the best order latent"] == max(map(share, scaled))
    assert found["add P1 - P2"] == share(swapped_by_adding(true_match, rows, small.order_axis))
    shares = list(found.values())[: len(KINDS)]
    assert all(0 <= one <= 1 for one in shares if one == one)
    assert edits(dead_match, rows, random)["scale any order latent"] == 0
    assert len(in_pairs(dead_match, rows)) == 0


def test_a_pair_has_more_tries_than_its_parts(small, true_match):
    found = in_pairs(true_match, swappable(small, 20)).set_index("scaled")["lists swapped"]
    both, either = found["both digits"], found["either the order latent or both digits"]
    assert both >= found["stronger digit"] and either >= max(both, found["order latent"])
    best = found[[f"order latent and {which} digit" for which in ("stronger", "weaker")]].max()
    assert gain_of_pairs(found) == best - found["order latent, as many factors as a pair"]
