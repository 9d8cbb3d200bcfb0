"""Steering tries every dose, and moves what it should and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from listcomp_utils.circuit.order_axis import DOSES, steer
from listcomp_utils.features.grid import SHIPPED
from listcomp_utils.features.latents import match_latents
from listcomp_utils.features.sae_files import load_or_train_sae
from listcomp_utils.features.separator import written
from listcomp_utils.features.steering import (
    KINDS,
    PAIR_FACTORS,
    edits,
    gain_of_pairs,
    in_pairs,
    share,
    steering_table,
    swappable,
    swapped,
    swapped_by_adding,
    swapped_by_scaling,
)


def test_steering_moves_what_it_should_and_nothing_else(separator):
    sae = load_or_train_sae(separator, SHIPPED[0])
    match, rows = match_latents(separator, sae), swappable(separator)
    assert len(rows) == 9900 and len(swappable(separator, 7)) == 7
    few = swappable(separator, 600)
    values = sae.encode(separator.vectors[few])
    start, goal = sae.decode(values), separator.lists[few].flip(1)
    order = int(match.frame.density[match.order].idxmax())
    still = swapped_by_scaling(separator, sae, few, order, [1.0])
    assert torch.equal(still, (written(separator, start) == goal).all(1))
    on = values[:, order] > 0
    scaled = swapped_by_scaling(separator, sae, few, order)
    added = swapped_by_adding(separator, start, few, separator.order_axis)
    assert torch.equal(scaled[~on], still[~on]) and on.any() and (~on).any()
    assert scaled[on].float().mean() > 0.5 and added.float().mean() > 0.7
    digits = torch.tensor(match.digits)[values[:, match.digits].topk(2).indices]
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
    alone = swapped_by_adding(separator, separator.vectors[rows], rows, separator.order_axis)
    args = (
        separator.config,
        separator.weights,
        separator.lists[rows],
        separator.order_axis[None],
        DOSES,
    )
    assert alone.double().mean().item() == pytest.approx(steer(*args).reversed_somewhere, abs=1e-3)


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


def test_the_table_is_what_single_edits_give(separator):
    sae = load_or_train_sae(separator, SHIPPED[0])
    match, rows = match_latents(separator, sae), swappable(separator, 100)
    amounts = [-0.5, 0.0, 0.5]
    values = sae.encode(separator.vectors[rows])
    table = steering_table(separator, match, rows, amounts).set_index("latent")
    assert table.index.tolist() == (values > 0).any(0).nonzero()[:, 0].tolist()
    best = table.scaled.idxmax()
    unedited = swapped_by_adding(separator, sae.decode(values), rows, separator.order_axis, [0.0])
    assert table.index[table.is_order].tolist() == match.order
    assert table.cosine[best] == abs(match.frame.order_cosine[best])
    assert best in match.order and table.scaled[best] > share(unedited) + 0.2
    for latent in (best, match.digits[0]):
        scaled = swapped_by_scaling(separator, sae, rows, latent)
        added = swapped_by_adding(separator, sae.decode(values), rows, sae.decoder[latent], amounts)
        removed = sae.decode(values.index_fill(1, torch.tensor([latent]), 0.0))
        right = (written(separator, removed) == separator.lists[rows]).double().mean().item()
        row = table.loc[latent]
        assert row.active == share(values[:, latent] > 0) and row.added == share(added)
        assert row.scaled == share(scaled) and row.without == pytest.approx(right, abs=0.006)
        assert row.scaled_of_active == pytest.approx(share(scaled[values[:, latent] > 0]))


def test_a_latent_that_is_never_on_has_no_row(small, true_sae):
    match = match_latents(small, true_sae)
    assert steering_table(small, match, swappable(small)[:0]).columns[0] == "latent"
    table = steering_table(small, match, swappable(small, 5), [0.0])
    assert 0 < len(table) < 12 and (table.active > 0).all()


def test_edits_in_figures_are_those_of_the_single_edits(small, true_sae):
    match, rows = match_latents(small, true_sae), swappable(small)
    random = torch.randn(2, 24, generator=torch.Generator().manual_seed(3))
    found = edits(small, match, rows, random)
    scaled = [swapped_by_scaling(small, true_sae, rows, latent) for latent in match.order]
    assert found["scale any order latent"] == share(scaled[0] | scaled[1])
    assert found["scale the best order latent"] == max(map(share, scaled))
    start = true_sae.decode(match.latents)[rows]
    added = swapped_by_adding(small, start, rows, small.order_axis)
    assert found["add P1 - P2"] == share(added)
    shares = list(found.values())[: len(KINDS)]
    assert all(0 <= one <= 1 for one in shares if one == one)
    dead = match_latents(small, replace(true_sae, threshold=1e6))
    assert edits(small, dead, rows, random)["scale any order latent"] == 0
    assert len(in_pairs(small, dead, rows)) == 0


def test_a_pair_has_more_tries_than_its_parts(small, true_sae):
    match = match_latents(small, true_sae)
    found = in_pairs(small, match, swappable(small, 20)).set_index("scaled")["lists swapped"]
    both, either = found["both digits"], found["either the order latent or both digits"]
    assert both >= found["stronger digit"] and either >= max(both, found["order latent"])
    best = found[[f"order latent and {which} digit" for which in ("stronger", "weaker")]].max()
    assert gain_of_pairs(found) == best - found["order latent, as many factors as a pair"]
