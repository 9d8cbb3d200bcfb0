"""The catalogue is complete, repeats, keeps to the mask, and is scored draw by draw."""

from __future__ import annotations

import pytest
import torch

from listcomp_utils.ablation.interventions import (
    catalogue,
    intervention_table,
    random_pattern,
    uniform_pattern,
)
from listcomp_utils.config import Config
from listcomp_utils.hooks import logits_with
from listcomp_utils.mask import build_mask
from listcomp_utils.task import all_lists


def test_uniform_and_random_patterns_keep_to_the_mask():
    config = Config.preset("study", n_heads=2)
    allowed = build_mask(config)
    for layer in (0, 1):
        draws = random_pattern(config, layer, 20, torch.Generator().manual_seed(0))
        for pattern in (uniform_pattern(config, layer), draws):
            assert (pattern[..., ~allowed[layer]] == 0).all()
            rows = allowed[layer].any(-1)
            sums = pattern.sum(-1)[..., rows]
            torch.testing.assert_close(sums, torch.ones_like(sums))


def test_the_catalogue_is_complete_and_repeats(trained):
    model, lists = trained.model, all_lists(trained.config)
    entries, again = (catalogue(model, lists, draws=3, seed=0) for _ in range(2))
    groups = [entry.group for entry in entries]
    assert list(dict.fromkeys(groups)) == [
        "attention pattern",
        "queries",
        "keys",
        "values",
        "residual stream",
        "position embedding",
    ]
    assert len({(entry.group, entry.name) for entry in entries}) == len(entries)
    table = intervention_table(model, lists, entries[:4])
    assert table.equals(intervention_table(model, lists, again[:4]))
    random = table[table["intervention"] == "layer 0: random"]
    assert list(random["draw"]) == [0, 1, 2] and random["loss"].nunique() == 3
    assert list(table.columns) == [
        *("group", "intervention", "draw", "loss", "per_token", "per_list", "o1", "o2")
    ]


@pytest.mark.parametrize("draws", [1, 2])
def test_what_fits_one_list_alone_is_told_apart_whatever_the_draws(trained, draws):
    """With a single draw, too, a random pattern holds one pattern for each list."""
    model, lists = trained.model, all_lists(trained.config)
    entries = catalogue(model, lists, draws=draws, seed=0)
    assert {entry.name for entry in entries if entry.by_list} == {
        *(f"layer {layer}: random" for layer in (0, 1)),
        *(f"layer {layer}: of another list" for layer in (0, 1)),
    }
    for entry in entries:
        if not entry.by_list:
            logits_with(model, lists[:1], entry.draws[0])
