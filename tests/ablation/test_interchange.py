"""Interchange does what it says, with its controls."""

import pytest
import torch

from listcomp_utils.ablation.interchange import ListPairs, interchange, list_pairs
from listcomp_utils.config import Config


@pytest.fixture(scope="module")
def pairs():
    return list_pairs(Config(), most=10_000, seed=0)


def test_every_pair_once_or_a_seeded_sample():
    every = list_pairs(Config(n_digits=3), most=100, seed=0)
    both = torch.cat([every.base, every.source], dim=1)
    assert len(both.unique(dim=0)) == 81
    sampled, again = (list_pairs(Config(list_len=5), most=50, seed=1) for _ in range(2))
    assert sampled.base.shape == (50, 5) and torch.equal(sampled.source, again.source)


def test_a_digit_put_in_before_layer_0_swaps_that_digit(trained, pairs):
    first = interchange(trained.model, pairs, layers=[0], positions=[0])
    assert first.to_dict("list") == {
        "layer": [0, 0],
        "position": ["d1", "d1"],
        "output": ["o1", "o2"],
        "follows_source": [1.0, 0.0],
        "follows_base": [0.0, 1.0],
        "n_pairs": [9000, 9000],
    }
    at_the_end = interchange(trained.model, pairs, layers=[2], positions=[2])
    assert [*at_the_end["follows_source"]] == [1.0, 0.0], "SEP's last residual is o1's prediction"
    placebo = interchange(trained.model, pairs, [0], [0], placebo=True)
    assert placebo["follows_source"].max() < 0.3


def test_by_default_every_place_that_can_matter(trained, pairs):
    some = ListPairs(pairs.base[:200], pairs.source[:200])
    table = interchange(trained.model, some)
    assert [*table["position"].unique()] == ["d1", "d2", "SEP", "o1"]
    assert [*table["layer"].unique()] == [0, 1, 2] and len(table) == 3 * 4 * 2
    assert not table.duplicated(["layer", "position", "output"]).any()


def test_interchange_with_itself_counts_no_pair(trained, pairs):
    same = ListPairs(pairs.base, pairs.base)
    assert [*interchange(trained.model, same, [1], [2])["n_pairs"]] == [0, 0]
