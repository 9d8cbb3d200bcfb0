"""The catalogue is complete, repeats, keeps to the mask, and is scored draw by draw."""

import statistics

import pytest
import torch

from listcomp_utils.ablation.interventions import (
    catalogue,
    loss_by_position,
    random_pattern,
    uniform_pattern,
    what_each_costs,
)
from listcomp_utils.config import Config
from listcomp_utils.generation import mean_loss
from listcomp_utils.hooks import logits_with, score_with
from listcomp_utils.mask import build_mask
from listcomp_utils.model import make_model
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
    table = what_each_costs(model, lists, entries[:4], (8, 3))
    assert table.equals(what_each_costs(model, lists, again[:4], (8, 3)))
    assert list(table.columns[:3]) == ["group", "intervention", "loss"]


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


def test_what_each_costs_has_the_mean_and_the_spread_of_the_draws(trained):
    model, lists = trained.model, all_lists(trained.config)
    entries = catalogue(model, lists, draws=3, seed=0)[:4]
    (drawn,) = (entry for entry in entries if entry.name == "layer 0: random")
    losses = [score_with(model, lists, hooks).loss for hooks in drawn.draws]
    table = what_each_costs(model, lists, entries, (8, 3)).set_index("intervention")
    random, uniform = table.loc["layer 0: random"], table.iloc[0]
    assert len(set(losses)) == 3 and random["loss"] == pytest.approx(statistics.mean(losses))
    assert random["loss_sd"] == pytest.approx(statistics.stdev(losses))
    assert uniform.isna()["loss_sd"]
    edited, untouched = (score_with(model, lists, hooks) for hooks in (entries[0].draws[0], ()))
    lost = edited.per_token - untouched.per_token
    assert uniform["change_points"] == pytest.approx(100 * lost)
    assert uniform["loss_on_example"] > 0 and random.isna()["loss_on_example"]


def test_loss_by_position_is_the_training_loss_place_by_place(trained):
    losses = loss_by_position(trained.model, (8, 3))
    assert [*losses.index] == ["d1", "d2", "SEP", "o1"] and losses.idxmax() == "d1"
    assert losses.mean() == pytest.approx(mean_loss(trained.model, [(8, 3)]), abs=1e-6)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_the_mean_over_one_list_changes_nothing(positions):
    model = make_model(Config(positions=positions, n_digits=5))
    lists = torch.tensor([[3, 1]])
    means = [one for one in catalogue(model, lists, draws=1, seed=0) if "mean" in one.name]
    assert {"queries", "keys", "values"} <= {one.group for one in means}
    for one in means:
        edited = logits_with(model, lists, one.draws[0])
        torch.testing.assert_close(edited, logits_with(model, lists), rtol=0, atol=1e-5)
