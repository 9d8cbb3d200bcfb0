"""Searches agree with brute force; interchange does what it says, with its controls."""

from __future__ import annotations

import itertools

import pytest
import torch

from listcomp_utils.ablation.edges import knock_out
from listcomp_utils.ablation.interchange import interchange, list_pairs, pair_residuals
from listcomp_utils.ablation.minimal_circuits import (
    all_subsets,
    feeding_edges,
    greedy,
    score_subsets,
    smallest_exact_by_size,
)
from listcomp_utils.ablation.seeds import SeedRow, seed_rows, shipped_rows, write_rows
from listcomp_utils.config import Config
from listcomp_utils.hooks import run_all, score_with
from listcomp_utils.mask import edge_label
from listcomp_utils.model import make_model
from listcomp_utils.task import all_lists


@pytest.fixture(scope="module")
def case(trained):
    lists = all_lists(trained.config)
    return trained.model, lists, run_all(trained.model, lists).patterns.mean(0)


def test_feeding_edges_are_those_that_can_reach_an_output():
    study = Config.preset("study")
    assert [edge_label(study, edge) for edge in feeding_edges(study)] == [
        "L0 SEP<-d1",
        "L0 SEP<-d2",
        "L1 o1<-SEP",
        "L1 o2<-SEP",
        "L1 o2<-o1",
    ]
    assert len(feeding_edges(Config.preset("seed"))) == 13
    assert all(layer < 3 for layer, _, _ in feeding_edges(Config(n_layers=3)))


@pytest.mark.parametrize("removal", ["zero", "renormalise", "mean"])
def test_batched_subsets_equal_one_run_a_subset(case, removal):
    model, lists, mean = case
    feeding = feeding_edges(Config())
    kept = torch.rand(12, len(feeding), generator=torch.Generator().manual_seed(0)) > 0.3
    batched = score_subsets(model, lists, kept, removal, mean)
    for row, per_token, per_list in zip(kept, batched.per_token, batched.per_list, strict=True):
        removed = [edge for edge, keep in zip(feeding, row.tolist(), strict=True) if not keep]
        alone = score_with(model, lists, knock_out(model, removed, removal, mean))
        assert (alone.per_token, alone.per_list) == pytest.approx(
            (per_token.item(), per_list.item())
        )


def test_searches_agree_and_the_core_is_in_every_circuit(case):
    model, lists, mean = case
    everything = all_subsets(model, lists, "zero", mean)
    assert len(everything.kept) == 2 ** len(everything.edges)
    by_size = smallest_exact_by_size(model, lists, "zero", mean)
    assert set(by_size.smallest()) == set(everything.smallest())
    core = set(everything.core())
    assert core and all(core <= set(circuit) for circuit in everything.minimal())
    for one, other in itertools.permutations(everything.minimal(), 2):
        assert not set(one) < set(other)
    best = everything.frontier()
    by_greed = greedy(model, lists, "zero", mean)
    assert sorted(by_greed.sizes().tolist()) == list(range(len(everything.edges) + 1))
    assert all(value <= best[size] for size, value in by_greed.frontier().items())


def test_no_exact_circuit_is_an_empty_answer():
    config = Config(n_digits=3)
    model, lists = make_model(config), all_lists(config)
    mean = run_all(model, lists).patterns.mean(0)
    found = smallest_exact_by_size(model, lists, "zero", mean)
    assert found.smallest() == [] and found.core() == () and found.minimal() == []


def test_too_many_edges_are_refused(case):
    model = make_model(Config(list_len=4))
    mean = torch.zeros(2, 1, 9, 9)
    with pytest.raises(ValueError, match="too many subsets"):
        all_subsets(model, all_lists(Config(n_digits=2, list_len=4)), "zero", mean)


def test_every_pair_once_or_a_seeded_sample():
    every = list_pairs(Config(n_digits=3), most=100, seed=0)
    both = torch.cat([every.base, every.source], dim=1)
    assert len(both.unique(dim=0)) == 81
    sampled, again = (list_pairs(Config(list_len=5), most=50, seed=1) for _ in range(2))
    assert sampled.base.shape == (50, 5) and torch.equal(sampled.source, again.source)


def test_interchange_of_a_digit_before_layer_0_swaps_that_digit(case):
    model, _, _ = case
    pairs = list_pairs(Config(), most=10_000, seed=0)
    first = interchange(model, pairs, layer=0, position=0)
    assert first.source == (1.0, 0.0) and first.base == (0.0, 1.0)
    assert first.n_pairs == (9000, 9000)
    once = pair_residuals(model, pairs)
    assert interchange(model, pairs, layer=0, position=0, residuals=once) == first
    at_the_end = interchange(model, pairs, layer=2, position=2)
    assert at_the_end.source == (1.0, 0.0), "SEP's last residual is o1's prediction"
    assert max(interchange(model, pairs, 0, 0, "placebo").source) < 0.3


def test_interchange_with_itself_changes_nothing(case):
    model, _, _ = case
    pairs = list_pairs(Config(), most=10_000, seed=0)
    same = type(pairs)(pairs.base, pairs.base)
    follows = interchange(model, same, layer=1, position=2)
    assert follows.n_pairs == (0, 0)


def test_seed_rows_are_measured_saved_and_read(tmp_path, monkeypatch):
    quick = Config(n_digits=3, steps=30, eval_every=10)
    rows = seed_rows(quick, [0, 1], tmp_path)
    assert [row.seed for row in rows] == [0, 1] and rows[0].n_lists == 9
    assert seed_rows(quick, [0, 5], tmp_path, train_missing=False) == rows[:1]
    monkeypatch.setattr("listcomp_utils.ablation.seeds.shipped_dir", lambda: tmp_path)
    write_rows(rows, tmp_path / "toy_seeds.json")
    assert shipped_rows("toy") == rows and shipped_rows("absent") == []
    assert isinstance(rows[0], SeedRow)
