"""Edges: removed ones carry no attention, and those that cannot matter do not."""

import pytest
import torch

from listcomp_utils.ablation.edges import REMOVALS, edge_table, keep_edges, knock_out
from listcomp_utils.ablation.minimal_circuits import feeding_edges
from listcomp_utils.circuit.formula import edge_costs, weights_of
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.hooks import logits_with, score_with
from listcomp_utils.mask import edge_label
from listcomp_utils.task import split_lists

PATTERN = "blocks.1.attn.hook_pattern"


@pytest.mark.parametrize("removal", REMOVALS)
def test_keeping_all_edges_changes_nothing_and_removing_some_does(case, removal):
    model, lists, seen = case
    mean, before = seen.patterns.mean(0), logits_with(model, lists)
    some = torch.rand(1, 2, 5, 5, generator=torch.Generator().manual_seed(0)).round()
    beside_some = torch.cat([some, torch.ones(1, 2, 5, 5)])
    removed, kept = logits_with(
        model, lists.repeat(2, 1), keep_edges(beside_some, removal, mean)
    ).chunk(2)
    assert torch.equal(kept, before)
    assert (removed - before).abs().max() > 1e-4


def test_removed_edges_carry_no_attention(case):
    model, lists, seen = case
    edge = (1, 3, 2)
    patterns = {}

    def watch(pattern, hook):
        patterns[hook.name] = pattern.detach().clone()

    for removal, expected in (("zero", 0.0), ("renormalise", 0.0), ("mean", None)):
        mean = seen.patterns.mean(0)
        logits_with(model, lists, [*knock_out(model, [edge], removal, mean), (PATTERN, watch)])
        got = patterns[PATTERN]
        wanted = mean[1, 0, 3, 2] if expected is None else torch.tensor(expected)
        torch.testing.assert_close(got[:, 0, 3, 2], wanted.expand(len(lists)))
        untouched = [row for row in range(5) if row != 3]
        assert torch.equal(got[:, :, untouched], seen.patterns[:, 1][:, :, untouched])
        if removal == "renormalise":
            torch.testing.assert_close(got[:, 0, 3].sum(-1), torch.ones(len(lists)))


def test_wrong_calls_are_named(case):
    model, lists, _ = case
    with pytest.raises(ConfigError, match=r"edge \(0, 3, 0\) is not one of the mask's"):
        knock_out(model, [(0, 3, 0)], "zero")
    for call in (
        lambda: knock_out(model, [(0, 2, 1)], "delete"),
        lambda: edge_table(model, lists, ["delete"]),
    ):
        with pytest.raises(ConfigError, match="removal must be one of .*got 'delete'"):
            call()
    with pytest.raises(ConfigError, match="needs the mean pattern"):
        knock_out(model, [(0, 2, 1)], "mean")


def test_the_table_has_a_row_for_each_edge_and_removal(case):
    model, lists, seen = case
    table = edge_table(model, lists, REMOVALS, seen.patterns.mean(0))
    columns = "removal layer query key edge loss per_token per_list o1 o2 change"
    assert list(table.columns) == columns.split()
    assert table.groupby("removal").size().to_dict() == dict.fromkeys(REMOVALS, 22)
    untouched = score_with(model, lists)
    for row in table[::7].itertuples():
        edge = (row.layer, row.query, row.key)
        assert row.edge == edge_label(model.listcomp_config, edge)
        hooks = knock_out(model, [edge], row.removal, seen.patterns.mean(0))
        assert row.per_token == score_with(model, lists, hooks).per_token
        assert row.change == row.per_token - untouched.per_token


def test_edges_that_cannot_reach_an_output_do_nothing(case):
    model, lists, _ = case
    table, feeding = edge_table(model, lists, ["zero"]), feeding_edges(Config())
    feeds = [(row.layer, row.query, row.key) in feeding for row in table.itertuples()]
    dead = table[[not one for one in feeds]]
    assert len(dead) and set(dead["loss"]) == {score_with(model, lists).loss}
    assert (table[feeds]["per_token"] < 0.7).any()


def test_the_published_edges_cost_what_the_closed_form_says(released):
    """The same figures are held against the print in tests/circuit/test_quantities.py."""
    weights = weights_of(released)
    lists = split_lists(weights.config).held_out
    for removal in ("zero", "renormalise"):
        costs = edge_costs(weights, lists, renormalise=removal == "renormalise")
        table = edge_table(released, lists, [removal])
        assert table.change.tolist() == pytest.approx([-c for c in costs.values()], abs=6e-4)
        assert (table.change < -0.2).sum() == 5
