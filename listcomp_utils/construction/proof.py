"""Constants of the hand-built weights, the proof that they copy every list, how many digits fit.

model = hand_built(Config.preset("study", d_model=2))      # a bridge
accuracy(model).per_list                                   # 1.0, of 10,000
proof(Config.preset("study", list_len=6))                  # all 100^6 lists, none run
most_digits(Config.preset("study"), torch.float32)
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.construction.weights import (
    CLOSED,
    LARGE,
    TINY,
    Constants,
    assemble,
    check_construction,
    is_roomy,
    leading_error,
    reach_of,
)
from listcomp_utils.generation import accuracy
from listcomp_utils.task import all_lists, sample_lists

MARGINS = (3.0, 2.0, 1.0)
"""Exact errors are the same everywhere, rounding depends on the machine: it is kept smaller."""
EXPONENTIAL = 0.55
"""Error of an exponential just below 1, in roundoffs: 0.5 is exact. A test measures it."""
ENUMERATED = 100_000
"""Of up to so many lists all are run."""


def hand_built(config: Config, dtype: torch.dtype = torch.float32) -> TransformerBridge:
    """A model of the study's architecture that copies every list, on the config's device.

    From d_model of list_len + 2 on, every part has an axis of its own; in fewer, down to list_len,
    the digits' scores share the value's axis and the last output's turn the constant's.

    Raises:
        ConfigError: for another architecture, a d_model below list_len, a dtype not in `DTYPES`,
            or more digits than it is known to carry (`carries`), naming the most that it does.
    """
    check_construction(config, dtype)
    if not carries(config, dtype):
        raise ConfigError(
            f"n_digits {config.n_digits} is more than {dtype} is proven to carry at list_len "
            f"{config.list_len} and d_model {config.d_model}: at most {most_digits(config, dtype)}"
        )
    return assemble(config, constants_for(config, dtype), dtype)


def proof(
    config: Config, dtype: torch.dtype = torch.float32, constants: Constants | None = None
) -> pd.DataFrame:
    """Bounds on the error of the number that each output reads, over all lists; none is run.

    A row an output: `exact_low` and `exact_high` hold in exact arithmetic, `rounding` is the most
    that a precision adds (half of the distance between neighbouring numbers an operation, added up
    to first order), `error` bounds all of it, and `proven` says that it is below 1/2.

    Source: Taylor's theorem for softmax at equal scores, with third derivatives bounded by
    16 (s X)^3 e^(2 s X) / L for digits within X; the sigmoid's by 1/8.
    """
    check_construction(config, dtype)
    constants = constants or constants_for(config, dtype)
    rows = [_bound(config, dtype, constants, j) for j in range(1, config.list_len + 1)]
    frame = pd.DataFrame(rows, columns=["exact_low", "exact_high", "rounding"])
    frame.insert(0, "output", list(config.labels[config.list_len + 1 :]))
    widest = frame[["exact_low", "exact_high"]].abs().max(axis=1)
    return frame.assign(error=widest + frame.rounding, proven=widest + frame.rounding < 0.5)


@functools.cache
def constants_for(config: Config, dtype: torch.dtype = torch.float32) -> Constants:
    """The powers of two with the smallest error bound, rounding counted as often as a proof allows.

    Where no proof is found and the lists are few, all are run with each choice.
    """

    def worst(constants: Constants, margin: float) -> float:
        bounds = [_bound(config, dtype, constants, j) for j in range(1, config.list_len + 1)]
        return max(max(-low, high) + margin * rounding for low, high, rounding in bounds)

    def best(margin: float) -> Constants:
        powers, step = [2.0**power for power in range(56)], 2.0**-50
        for _ in range(2):  # the two errors add up, so that one can be chosen after the other
            lever = min(powers, key=lambda one: worst(Constants(step, one), margin))
            step = 1 / min(powers, key=lambda one: worst(Constants(1 / one, lever), margin))
        return Constants(step, lever)

    choices = [best(margin) for margin in MARGINS]
    proven = (one for one in choices if worst(one, 1) < 0.5)
    all_run = (one for one in choices if _all_run(config, one, dtype))
    return next(itertools.chain(proven, all_run, choices))


def is_proven(config: Config, dtype: torch.dtype) -> bool:
    """Whether `proof` covers every output."""
    return bool(proof(config, dtype).proven.all())


def carries(config: Config, dtype: torch.dtype) -> bool:
    """Whether all lists are known to be copied: proven, or so few lists that all have been run."""
    return is_proven(config, dtype) or _all_run(config, constants_for(config, dtype), dtype)


def most_digits(
    config: Config,
    dtype: torch.dtype = torch.float32,
    known: Callable[[Config, torch.dtype], bool] = carries,
    low: int = 1,
    growth: float = 2,
    parts: float = math.inf,
) -> int:
    """The largest n_digits `known` to be copied, with this config's list_len and d_model.

    It is looked for from `low` on, by steps that grow, then by halves to 1 / `parts` of itself.
    """

    def right(n_digits: int) -> bool:
        try:
            larger = config.replace(n_digits=n_digits)
        except ConfigError:  # more digits or weights than any model here may have
            return False
        return known(larger, dtype)

    high = low + 1
    while right(high):
        low, high = high, int(growth * high) + 1
    while high - low > max(1, low // parts):
        middle = (low + high) // 2
        low, high = (middle, high) if right(middle) else (low, middle)
    return low


def copies(config: Config, dtype: torch.dtype) -> bool:
    """Whether the hand-built weights of this config copy all of its hard lists."""
    model = assemble(config, constants_for(config, dtype), dtype)
    return accuracy(model, hard_lists(config)).per_list == 1.0


def hard_lists(config: Config, count: int = 10_000) -> Int[Tensor, "list position"]:
    """All lists, or, of many, four times `count`: any, digits at the ends, near ties, a mixture."""
    if config.n_lists <= ENUMERATED:
        return all_lists(config)
    n, length = config.n_digits, config.list_len
    generator = torch.Generator().manual_seed(0)

    def draw(high: int, columns: int = length) -> Tensor:
        return torch.randint(high, (count, columns), generator=generator)

    sample, ends = sample_lists(config, count, seed=0), (n - 1) * draw(2)
    near = (draw(n, 1) + draw(3) - 1).clamp(0, n - 1)
    return torch.cat([sample, ends, near, torch.where(draw(2) == 1, ends, sample)])


def measure_frontier(settings: Mapping[str, Any]) -> dict[str, int]:
    """The most digits `proven`, `carried` by `hand_built`, and `copied` within 3 %: for a grid."""
    sizes = dict(settings)
    dtype = getattr(torch, sizes.pop("dtype"))
    config = Config.preset("study", device="cpu", **sizes)
    proven, carried = most_digits(config, dtype, is_proven), most_digits(config, dtype)
    copied = most_digits(config, dtype, copies, low=max(2, carried), growth=1.25, parts=33)
    return {"proven": proven, "carried": carried, "copied": copied}


def _all_run(config: Config, constants: Constants, dtype: torch.dtype) -> bool:
    """Whether the lists are so few that all can be run, and all are copied."""
    few = config.n_lists <= ENUMERATED
    return few and accuracy(assemble(config, constants, dtype)).per_list == 1.0


def _bound(
    config: Config, dtype: torch.dtype, constants: Constants, j: int
) -> tuple[float, float, float]:
    """Lowest and highest error of o_j in exact arithmetic, and the most that rounding adds."""
    unit, length = torch.finfo(dtype).eps / 2, config.list_len
    reach, step, lever = reach_of(config), constants.step, constants.lever
    spread, share, roomy = step * reach, (length - 1) / length, is_roomy(config)
    if spread > 1 or 2 * reach > lever:
        return -math.inf, math.inf, math.inf
    low, high = leading_error(config, constants, j)
    half = (high - low) / 2
    second = 2 * spread * reach * share
    third = reach * spread**2 * (16 / 6 * math.exp(2 * spread) + 1) * (length > 1)
    if not roomy:
        third += 8 * reach * spread**2
    # SEP's value is made and stored, and the logits are 2 x v - x^2 d.
    rounding = _attention_rounding(length, unit) / step + unit * lever + 3 * unit * reach**2
    if not roomy and length > 1:  # the places' parts of the scores, up to L - 1, cancel
        rounding += 2 * share * (length - 1) * unit / step
    if j > 1:
        moved = 2 * reach + second + third  # bounds w |z|
        third += (moved + reach) * (second + third) / (2 * lever)
        third += moved**3 / (12 * lever**2) * (1 + reach / lever)
        third += 4 * (length - 2) * (math.exp(1 - CLOSED) + CLOSED / LARGE * spread) * lever
        # Exponential and division of both betas, and SEP's product; o1's is with a power of 2.
        rounding += (EXPONENTIAL + 1.5 + 1) * unit * lever
        if not roomy:
            third += 2 * TINY * reach
            rounding += 1.5 * unit * length / step  # SEP's constant and both products are near 1/2
    return -half - third, half + third, rounding


def _attention_rounding(length: int, unit: float) -> float:
    """The most that rounding moves (L - 1) alpha_1 - sum_{i > 1} alpha_i, all alphas about 1 / L.

    Of two alphas only one can be 1/2 or more, where numbers lie twice as far apart; the largest
    exponential is exact.
    """
    if length == 1:
        return 0.0

    def half_ulp(value: float) -> float:
        return unit * 2.0 ** math.floor(math.log2(value))

    share, above = (length - 1) / length, half_ulp(1 / length)
    below = above / 2 if length == 2 else above
    exponentials = EXPONENTIAL * unit * (2 * share - 1 / length)
    divisions = (length - 1) * (above + below)
    products = half_ulp(share) + (length - 1) * below
    return exponentials + divisions + products + (length - 2) * half_ulp(share)
