"""The frontier: what is proven is copied, and what is copied is not far beyond."""

import torch

from listcomp_utils.config import Config
from listcomp_utils.construction.frontier import copies, hard_lists, measure_frontier
from listcomp_utils.construction.proof import ENUMERATED, hand_built, is_proven
from listcomp_utils.generation import accuracy


def test_few_lists_are_all_run_and_of_many_the_hard_ones():
    few = Config.preset("study", n_digits=9)
    assert len(hard_lists(few)) == few.n_lists
    many = Config.preset("study", n_digits=400, list_len=3)
    lists = hard_lists(many, count=500)
    assert many.n_lists > ENUMERATED and len(lists) == 2_000
    assert lists.min() == 0 and lists.max() == 399
    at_the_ends = ((lists == 0) | (lists == 399)).all(1)
    near = (lists.amax(1) - lists.amin(1)) <= 2
    assert at_the_ends.sum() >= 500 and near.sum() >= 500


def test_what_is_proven_is_copied_and_much_more_is_not():
    found = measure_frontier({"list_len": 2, "d_model": 2, "dtype": "bfloat16"})
    assert 2 <= found["proven"] <= found["carried"] <= found["copied"] < 20
    assert found["copied"] <= 1.5 * found["carried"]
    assert not copies(Config.preset("study", n_digits=50, d_model=2), torch.bfloat16)


def test_what_no_bound_proves_is_carried_when_every_list_was_run():
    config = Config.preset("study", n_digits=5, d_model=4, device="cpu")
    assert not is_proven(config, torch.bfloat16)
    assert accuracy(hand_built(config, torch.bfloat16)).per_list == 1.0
