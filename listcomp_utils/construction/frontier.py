"""How many digits a precision carries: proven by the bound, and measured on lists that are hard.

measure_frontier({"list_len": 2, "d_model": 4, "dtype": "float32"})  # work for `run_grid`
hard_lists(config)                                                      # where errors are largest
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from listcomp_utils.config import Config
from listcomp_utils.construction.proof import ENUMERATED, constants_for, is_proven, most_digits
from listcomp_utils.construction.weights import assemble
from listcomp_utils.generation import accuracy
from listcomp_utils.task import all_lists, sample_lists

CHUNK = 1_024
"""Lists run at once: with thousands of digits, logits are large."""


def hard_lists(config: Config, count: int = 10_000, seed: int = 0) -> Int[Tensor, "list position"]:
    """All lists, or those whose errors are largest beside a sample: digits at the ends, near ties.

    Of the many, `count` have each digit at one of the two ends, `count` digits that differ by one
    at most, `count` a mixture of ends and any digits, and `count` any digits.
    """
    if config.n_lists <= ENUMERATED:
        return all_lists(config)
    n, length = config.n_digits, config.list_len
    generator = torch.Generator().manual_seed(seed)

    def draw(high: int, columns: int = length) -> Tensor:
        return torch.randint(high, (count, columns), generator=generator)

    sample, ends = sample_lists(config, count, seed), (n - 1) * draw(2)
    near = (draw(n, 1) + draw(3) - 1).clamp(0, n - 1)
    return torch.cat([sample, ends, near, torch.where(draw(2) == 1, ends, sample)])


def copies(config: Config, dtype: torch.dtype) -> bool:
    """Whether the hand-built weights of this config copy all of its hard lists."""
    model = assemble(config, constants_for(config, dtype), dtype)
    return accuracy(model, hard_lists(config), CHUNK).per_list == 1.0


def measure_frontier(settings: Mapping[str, Any]) -> dict[str, int]:
    """The most digits `proven` by the bound, `carried` by `hand_built`, and `copied`, within 3 %.

    The settings are `list_len`, `d_model` and the name of a `dtype`.
    """
    dtype = getattr(torch, settings["dtype"])
    config = Config.preset(
        "study", list_len=settings["list_len"], d_model=settings["d_model"], device="cpu"
    )
    proven, carried = most_digits(config, dtype, is_proven), most_digits(config, dtype)

    def right(n_digits: int) -> bool:
        return copies(config.replace(n_digits=n_digits), dtype)

    low = max(2, carried)
    high = low + 1
    while right(high):
        low, high = high, int(1.25 * high) + 1
    while high - low > max(1, low // 33):
        middle = (low + high) // 2
        low, high = (middle, high) if right(middle) else (low, middle)
    return {"proven": proven, "carried": carried, "copied": low}
