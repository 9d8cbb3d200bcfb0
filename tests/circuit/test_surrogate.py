"""The hand-written copier: its formula, its fit and what the comparison counts."""

from __future__ import annotations

import math

import pytest
import torch

from listcomp_utils.circuit.order_axis import pairwise_margins
from listcomp_utils.circuit.quantities import trained_parameters
from listcomp_utils.circuit.surrogate import (
    LEARNING_RATE,
    SPREAD,
    RankModel,
    compare,
    fit_surrogate,
    read_off,
)
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.task import ListError, all_lists

SCALARS = {
    "offset": 0.5,
    "content": 3.0,
    "order": 2.0,
    "first_constant": -0.25,
    "moderation_bias": 0.1,
    "moderation_slope": -1.5,
    "second_constant": -0.7,
    "second_moderated": 0.9,
}


def config_of_twelve() -> Config:
    return Config.preset("study", n_digits=12)


@pytest.fixture(scope="module")
def fitted():
    config = config_of_twelve()
    return fit_surrogate(config, all_lists(config), seed=0, steps=400)


def test_logits_by_hand():
    ranks = [1.0, -0.5, 0.2]
    model = RankModel(torch.tensor(ranks, dtype=torch.float64), SCALARS)
    assert trained_parameters(model) == 3 + 8
    logits = model(torch.tensor([[0, 1], [2, 2]]))
    assert logits.shape == (2, 2, 3)

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    for row, (a, b) in enumerate([(0, 1), (2, 2)]):
        alpha = sigmoid(ranks[a] - ranks[b] + 0.5)
        beta = sigmoid(0.1 - 1.5 * (2 * alpha - 1))
        for t, rank in enumerate(ranks):
            held = (alpha - 0.5) * 2 * rank + 3 * alpha * (t == a) + 3 * (1 - alpha) * (t == b)
            assert logits[row, 0, t].item() == pytest.approx(held - 0.25 * rank, abs=1e-6)
            expected = beta * held + (-0.7 + 0.9 * beta) * rank
            assert logits[row, 1, t].item() == pytest.approx(expected, abs=1e-6)


def test_every_parameter_gets_a_gradient():
    model = RankModel(torch.tensor([1.0, -0.5, 0.2]), SCALARS)
    lists = torch.tensor([[0, 1], [2, 0], [1, 2]])
    torch.nn.functional.cross_entropy(model(lists).flatten(0, 1), lists.flatten()).backward()
    assert all((value.grad != 0).all() for value in model.parameters())


def test_a_fit_copies_nearly_all_lists_of_twelve_digits(fitted):
    lists = all_lists(config_of_twelve())
    right = fitted(lists).argmax(-1) == lists
    assert right.all(1).double().mean() > 0.85


def test_the_order_of_o2_needs_its_moderation(fitted):
    lists = all_lists(config_of_twelve())
    unequal = lists[:, 0] != lists[:, 1]
    values = dict(fitted.named_parameters())
    with torch.no_grad():
        scalars = {name: value.item() for name, value in values.items() if name != "rank"}
        reversing = RankModel(
            values["rank"], {**scalars, "moderation_slope": -scalars["moderation_slope"]}
        )
        written = reversing(lists).argmax(-1)
    assert (written[:, 0] == lists[:, 0])[unequal].double().mean() > 0.9
    assert (written[:, 1] == lists[:, 1])[unequal].double().mean() < 0.3


def test_same_seed_same_fit_and_the_global_generator_is_left_alone():
    config = config_of_twelve()
    before = torch.get_rng_state()
    first, again, other = (
        fit_surrogate(config, all_lists(config), seed, steps=5).rank for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_given_ranks_are_where_the_fit_starts():
    config, ranks = config_of_twelve(), torch.linspace(1, -1, 12)
    fit = fit_surrogate(config, all_lists(config), steps=1, ranks=ranks)
    started = (ranks - ranks.mean()) / ranks.std() * SPREAD
    # Adam's first step is at most the learning rate.
    assert (fit.rank - started).abs().max() < 1.001 * LEARNING_RATE * SPREAD


def test_scalars_are_read_off_margins_of_the_same_form():
    lists = all_lists(config_of_twelve())
    ranks = torch.linspace(-1, 1, 12, dtype=torch.float64)
    truth = RankModel(ranks, SCALARS)
    with torch.no_grad():
        logits = truth(lists)
    recovered = read_off(ranks, lists, pairwise_margins(logits, lists))
    row = compare({"read off": recovered}, logits, ranks, lists).iloc[0]
    assert (
        row[[f"margin_{what}_o{o}" for what in ("variance", "correlation") for o in (1, 2)]]
        .gt(1 - 1e-6)
        .all()
    )
    assert row["rank_correlation"] == pytest.approx(1)


def test_the_comparison_counts_by_hand():
    lists = torch.tensor([[0, 1], [1, 0], [0, 2], [2, 1]])
    model = 5.0 * torch.nn.functional.one_hot(lists, 3).double()
    ours = model.clone()
    model[0, 1] = torch.tensor([9.0, 0, 0])
    ours[1, 1] = ours[2, 1] = torch.tensor([0, 9.0, 0])
    ours[0, 1] = torch.tensor([9.0, 0, 0])

    def surrogate(logits):
        fixed = RankModel(torch.tensor([0.0, 2.0, 1.0]))
        fixed.forward = lambda lists: logits
        return fixed

    table = compare(
        {"other": surrogate(ours), "double": surrogate(2 * model)},
        model,
        torch.tensor([1.0, 2.0, 0.0]),
        lists,
    )
    assert table["surrogate"].to_list() == ["other", "double"]
    assert table["lists_right"].to_list() == [0.25, 0.75]
    assert table["errors_shared"].to_list() == [1, 1]
    assert table["by_chance"].to_list() == [0.75, 0.25]
    assert table["rank_correlation"].to_list() == pytest.approx([0.5, 0.5])
    assert table["margin_variance_o2"][1] == pytest.approx(1)
    assert table["margin_correlation_o2"].to_list() == pytest.approx([0.333, 1], abs=1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"config": Config.preset("study", list_len=3, n_digits=12)}, "list_len=2"),
        ({"steps": 0}, "steps"),
        ({"ranks": torch.zeros(5)}, "ranks"),
        ({"train_lists": torch.zeros(0, 2, dtype=torch.long)}, "train_lists"),
    ],
)
def test_wrong_settings_are_named(changes, named):
    config = config_of_twelve()
    with pytest.raises(ConfigError, match=named):
        fit_surrogate(**{"config": config, "train_lists": all_lists(config), **changes})


def test_an_unknown_scalar_is_named():
    with pytest.raises(ConfigError, match="offset"):
        RankModel(torch.zeros(3), {"ofset": 1.0})


def test_wrong_lists_and_unequal_counts_are_refused():
    with pytest.raises(ListError):
        fit_surrogate(config_of_twelve(), torch.tensor([[0, 12]]))
    with pytest.raises(ConfigError, match="2 lists"):
        compare({}, torch.zeros(3, 2, 4), torch.zeros(4), torch.tensor([[0, 1], [1, 2]]))
