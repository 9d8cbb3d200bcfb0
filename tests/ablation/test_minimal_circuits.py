"""Searches agree with brute force, stay within their bound, and say what they leave out."""

import time

import pytest
import torch

from listcomp_utils.ablation import minimal_circuits
from listcomp_utils.ablation.edges import REMOVALS, knock_out
from listcomp_utils.ablation.minimal_circuits import EdgeSearch, feeding_edges, within_reach
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.hooks import score_with
from listcomp_utils.mask import edge_label
from listcomp_utils.model import make_model
from listcomp_utils.task import all_lists, sample_lists


@pytest.fixture(scope="module")
def long_search():
    """Twelve digits: 258 edges, of which 2^258 subsets could be kept."""
    config = Config(list_len=12, d_model=4)
    return EdgeSearch(make_model(config), sample_lists(config, 4, seed=0), "zero")


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


def test_fewer_lists_are_searched_where_there_are_more_edges():
    lists = torch.zeros(2000, 1)
    for changed, count, exhaustive in ((dict(), 854, True), (dict(list_len=3), 1000, False)):
        some, all_subsets = within_reach(Config(**changed), lists)
        assert (len(some), all_subsets) == (count, exhaustive)
    assert len(within_reach(Config(list_len=12), lists)[0]) == 100


@pytest.mark.parametrize("removal", REMOVALS)
def test_batched_subsets_equal_one_run_a_subset(case, removal):
    model, lists, seen = case
    mean = seen.patterns.mean(0)
    feeding = feeding_edges(Config())
    kept = torch.rand(50, len(feeding), generator=torch.Generator().manual_seed(0)) > 0.3
    batched = EdgeSearch(model, lists, removal, mean).score(kept)
    for number in (0, 7, 39, 40, 49):  # of two batches
        removed = [e for e, keep in zip(feeding, kept[number].tolist(), strict=True) if not keep]
        alone = score_with(model, lists, knock_out(model, removed, removal, mean))
        assert (alone.per_token, alone.per_list) == pytest.approx(
            (batched.per_token[number].item(), batched.per_list[number].item())
        )


def test_searches_agree_and_the_core_is_in_every_circuit(case):
    model, lists, _ = case
    search = EdgeSearch(model, lists[::5], "zero")
    everything = search.all_subsets()
    assert len(everything.kept) == 2 ** len(search.edges) and not everything.cut
    good = everything.kept[everything.per_list == 1.0]
    smallest = everything.smallest()
    assert len(smallest) == (good.sum(1) == good.sum(1).min()).sum()
    assert search.smallest_exact() == smallest
    core = set(everything.core())
    assert core and all(core <= set(circuit) for circuit in smallest)
    best, by_greed = everything.frontier(), search.greedy()
    assert sorted(by_greed.kept.sum(1).tolist()) == list(range(len(search.edges) + 1))
    assert (by_greed.frontier() <= best).all() and not by_greed.cut
    assert best[len(search.edges)] == 1.0 and best[0] < 0.5


def test_no_exact_circuit_is_an_empty_answer():
    config = Config(n_digits=3)
    search = EdgeSearch(make_model(config), all_lists(config), "zero")
    found = search.greedy()
    assert search.smallest_exact() == found.smallest() == [] and found.core() == ()


def test_a_model_whose_outputs_read_nothing_has_one_subset():
    config = Config.preset("study", n_layers=1, n_digits=3, d_model=4)
    search = EdgeSearch(make_model(config), all_lists(config), "zero")
    for found in (search.all_subsets(), search.greedy()):
        assert found.kept.shape == (1, 0)


def test_too_many_subsets_are_refused_before_any_runs(long_search):
    for search in (long_search.all_subsets, long_search.smallest_exact):
        with pytest.raises(ConfigError, match="258 edges have too many subsets for most_tokens"):
            search()
    tight = EdgeSearch(long_search.model, long_search.lists, "zero", most_tokens=10_000)
    with pytest.raises(ConfigError, match="most_tokens 10,000 is too few for 258 edges"):
        tight.greedy()


def test_searches_of_a_long_list_end_and_say_that_they_were_cut(long_search):
    """Twelve digits: dropping one edge at a time has no end in sight."""
    short = EdgeSearch(long_search.model, long_search.lists, "zero", most_tokens=150_000)
    by_greed = short.greedy()
    assert by_greed.cut == "1 in 5 edges dropped a round: 1,321 of 33,411 subsets run"
    sizes = by_greed.kept.sum(1).tolist()
    assert sizes[:3] == [258, 207, 166] and sizes[-6:] == [5, 4, 3, 2, 1, 0]


def test_long_searches_say_how_long_before_they_start(long_search, capsys, monkeypatch):
    monkeypatch.setattr(minimal_circuits, "SAID_FROM", 100_000)
    started = time.perf_counter()
    EdgeSearch(long_search.model, long_search.lists, "zero", most_tokens=150_000).greedy()
    took = time.perf_counter() - started
    said = capsys.readouterr().err.split()
    assert " ".join(said[:-2]) == "greedy: 1,321 subsets x 4 lists, about"
    assert float(said[-2]) <= 10 * took + 1
