"""The order in which lists are trained on: nothing repeats by accident, nothing is left out."""

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
    # Doubles tell lists apart up to 2**53; beyond it (8 places of 100 digits are 2**53.2) a list
    # may be taken for a held-out one that it is not, and left out.
    place_values = config.n_digits ** torch.arange(config.list_len, dtype=torch.double)
    held_out = split.held_out.double() @ place_values

    def fresh() -> Int[Tensor, "list position"]:
        if split.train is not None:
            return split.train[torch.randperm(len(split.train), generator=generator)]
        shape = (config.batch_size, config.list_len)
        drawn = torch.randint(config.n_digits, shape, generator=generator)
        return drawn[~torch.isin(drawn.double() @ place_values, held_out)]

    size = config.batch_size if split.train is None else min(config.batch_size, len(split.train))
    waiting = split.held_out[:0]
    while True:
        while len(waiting) < size:
            waiting = torch.cat([waiting, fresh()])
        yield waiting[:size]
        waiting = waiting[size:]
