"""Lists, token sequences, the split and the loss floor."""

import math

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.task import (
    IGNORED,
    ListError,
    all_lists,
    check_lists,
    input_tokens,
    lists_to_score,
    loss_floor,
    sample_lists,
    split_lists,
    target_tokens,
)
from listcomp_utils.training.batches import list_batches


def test_all_lists_are_every_list_once():
    lists = all_lists(Config(n_digits=4, list_len=3))
    assert lists.shape == (64, 3)
    assert len(lists.unique(dim=0)) == 64
    assert all_lists(Config(list_len=1)).shape == (10, 1)


def test_too_many_lists_are_refused_and_sampled():
    config = Config(n_digits=100, list_len=6)
    with pytest.raises(ListError, match="too many"):
        all_lists(config)
    assert lists_to_score(config, most=50).shape == (50, 6)


def test_samples_follow_their_seed_and_leave_the_global_generator_alone():
    config = Config.preset("study")
    before = torch.get_rng_state()
    one, same, other = (sample_lists(config, 20, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    split_lists(config)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_study_split_is_the_published_one():
    split = split_lists(Config.preset("study"))
    assert (len(split.train), len(split.held_out)) == (8000, 2000)
    assert split.train[0].tolist() == [60, 44]
    assert split.held_out[0].tolist() == [80, 52]
    assert len(torch.cat([split.train, split.held_out]).unique(dim=0)) == 10_000


@pytest.mark.parametrize("share, n_trained", [(0.57, 57), (0.29, 29), (0.999, 99), (0.01, 1)])
def test_a_share_in_decimals_is_as_many_lists_as_it_says(share, n_trained):
    split = split_lists(Config(train_fraction=share))
    assert (len(split.train), len(split.held_out)) == (n_trained, 100 - n_trained)


def test_autoregressive_tokens_and_targets():
    config = Config.preset("seed")
    lists = torch.tensor([[8, 3]])
    assert input_tokens(config, lists).tolist() == [[8, 3, 10, 8, 3]]
    assert target_tokens(config, lists).tolist() == [[3, 10, 8, 3, IGNORED]]
    outputs = config.replace(loss_on="outputs")
    assert target_tokens(outputs, lists).tolist() == [[IGNORED, IGNORED, 8, 3, IGNORED]]


def test_masked_tokens_and_targets():
    config = Config.preset("study")
    lists = torch.tensor([[60, 44]])
    assert input_tokens(config, lists).tolist() == [[60, 44, 101, 100, 100]]
    assert target_tokens(config, lists).tolist() == [[IGNORED, IGNORED, IGNORED, 60, 44]]
    everywhere = config.replace(loss_on="all")
    assert target_tokens(everywhere, lists).tolist() == [[60, 44, 101, 60, 44]]


def test_loss_floor_is_the_entropy_of_what_cannot_be_known():
    seed = Config.preset("seed")
    assert loss_floor(seed) == pytest.approx(math.log(10) / 4)
    assert loss_floor(seed, all_lists(seed)) == pytest.approx(loss_floor(seed))
    longer = Config(list_len=4, n_digits=5)
    assert loss_floor(longer) == pytest.approx(math.log(5) * 3 / 8)
    assert loss_floor(longer, all_lists(longer)) == pytest.approx(loss_floor(longer))
    assert loss_floor(Config.preset("study")) == 0
    assert loss_floor(seed.replace(loss_on="outputs")) == 0
    assert loss_floor(seed, torch.tensor([[1, 2], [2, 3]])) == 0, "the first digit tells the second"


@pytest.mark.parametrize(
    ("lists", "named"),
    [
        ([[8, 3, 1]], "list_len 2"),
        ([8, 3], "list_len 2"),
        ([[8, 10]], "digits must be 0 to 9"),
        ([[8, -1]], "digits must be 0 to 9"),
        ([[8.0, 3.0]], "whole numbers"),
        ([[8], [3, 1]], "rows of list_len 2"),
        ([["8", "3"]], "rows of list_len 2"),
    ],
)
def test_bad_lists_are_named(lists, named):
    with pytest.raises(ListError, match=named):
        check_lists(Config.preset("seed"), lists)


def test_sampled_lists_have_streams_of_their_own():
    """Also from training's batches: PyTorch reads 32 bits of a seed, so an offset is not enough."""
    config = Config(n_digits=100, list_len=6, batch_size=1000)
    streams = ("sample", "held out", "watched")
    drawn = [sample_lists(config, 1000, seed, stream) for seed in (0, 1) for stream in streams]
    drawn += [
        next(list_batches(config, split_lists(config), torch.Generator().manual_seed(seed)))
        for seed in (0, 1)
    ]
    rows = [{tuple(row) for row in lists.tolist()} for lists in drawn]
    for number, one in enumerate(rows):
        assert all(not one & other for other in rows[:number])
    assert torch.equal(drawn[0], sample_lists(config, 1000, 0))
