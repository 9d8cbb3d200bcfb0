"""The order in which lists are trained on: nothing repeats by accident, nothing is left out.

split = split_lists(config)
stream = list_batches(config, split, torch.Generator().manual_seed(config.seed))
next(stream)                                   # (batch_size, list_len)
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from listcomp_utils.config import Config
from listcomp_utils.task import ListSplit


def list_batches(
    config: Config, split: ListSplit, generator: torch.Generator
) -> Iterator[Int[Tensor, "list position"]]:
    """Endless batches of training lists.

    Every training list comes once before any comes again, in a fresh order each time; batches run
    across that border, so that none is short and no list is dropped. When the lists are too many
    to enumerate they are drawn afresh, never one that is held out; memory does not grow.
    """
    if split.train is None:
        yield from _drawn(config, split.held_out, generator)
    size = min(config.batch_size, len(split.train))
    waiting = torch.empty(0, dtype=torch.long)
    while True:
        while len(waiting) < size:
            order = torch.randperm(len(split.train), generator=generator)
            waiting = torch.cat([waiting, order])
        yield split.train[waiting[:size]]
        waiting = waiting[size:]


def _drawn(
    config: Config, held_out: Int[Tensor, "list position"], generator: torch.Generator
) -> Iterator[Int[Tensor, "list position"]]:
    # Doubles tell lists apart up to 2**53; beyond it (8 places of 100 digits are 2**53.2) a list
    # may be taken for a held-out one that it is not, and left out.
    place_values = config.n_digits ** torch.arange(config.list_len, dtype=torch.double)
    excluded = held_out.double() @ place_values
    lists = held_out[:0]
    while True:
        while len(lists) < config.batch_size:
            shape = (config.batch_size, config.list_len)
            drawn = torch.randint(config.n_digits, shape, generator=generator)
            fresh = drawn[~torch.isin(drawn.double() @ place_values, excluded)]
            lists = torch.cat([lists, fresh])
        yield lists[: config.batch_size]
        lists = lists[config.batch_size :]
