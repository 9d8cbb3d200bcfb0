"""Batches: every list equally often, the held-out ones never, and nothing twice by accident."""

import tracemalloc

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.task import MAX_ENUMERATED, ListSplit, split_lists
from listcomp_utils.training.batches import list_batches


def stream(config, seed=0, split=None):
    generator = torch.Generator().manual_seed(seed)
    return list_batches(config, split or split_lists(config), generator)


def test_held_out_lists_are_never_trained_on_and_all_others_are_equally_often():
    config = Config(n_digits=5, train_fraction=0.8, batch_size=7)
    split = split_lists(config)
    batches = [batch for batch, _ in zip(stream(config), range(20), strict=False)]
    assert all(len(batch) == 7 for batch in batches)
    seen, counts = torch.cat(batches).unique(dim=0, return_counts=True)
    assert len(seen) == 20 and counts.tolist() == [7] * 20
    held_out = {tuple(row) for row in split.held_out.tolist()}
    assert not held_out & {tuple(row) for row in seen.tolist()}
    assert not torch.equal(torch.cat(batches[:3])[:20], torch.cat(batches[-3:])[-20:]), "reshuffled"


def test_lists_too_many_to_enumerate_are_sampled_without_the_held_out():
    config = Config(n_digits=100, list_len=4, batch_size=64)
    assert config.n_lists > MAX_ENUMERATED
    split = split_lists(config)
    assert split.train is None and len(split.held_out) == 10_000
    first = next(stream(config))
    assert len(first) == 64
    assert not torch.equal(first, split.held_out[:64])
    few = ListSplit(None, torch.tensor([[0, 1, 0, 1], [1, 1, 1, 1]]))
    batches = stream(config.replace(n_digits=2), split=few)
    seen = torch.cat([next(batches) for _ in range(20)]).unique(dim=0)
    assert len(seen) == 14, "all of the 16 but the held-out two"


@pytest.mark.parametrize("seed", [0, 5])
def test_a_stream_of_long_lists_does_not_come_round_again(seed):
    config = Config(n_digits=100, list_len=6, batch_size=512)
    batches = stream(config, seed)
    place_values = 100 ** torch.arange(6)
    drawn = torch.cat([next(batches) @ place_values for _ in range(400)])
    held_out = split_lists(config).held_out @ place_values
    # 204,800 of 10^12 lists: 0.02 equal pairs are expected by chance.
    assert len(drawn.unique()) >= len(drawn) - 1
    assert not torch.isin(drawn, held_out).any()
    other = torch.cat([next(stream(config, seed + 1)) @ place_values for _ in range(4)])
    assert not torch.isin(other, drawn).any(), "another seed, another stream"


def test_a_stream_takes_no_more_memory_the_longer_it_runs():
    batches = stream(Config(n_digits=100, list_len=6, batch_size=512))

    tracemalloc.start()
    sizes, python = [], []
    for step in range(1, 601):
        next(batches)
        if step % 200 == 0:
            sizes.append(batches.gi_frame.f_locals["waiting"].untyped_storage().nbytes())
            python.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(sizes) <= 2 * 2 * 512 * 6 * 8, "at most two draws are waiting"
    assert python[-1] - python[0] < 10_000
