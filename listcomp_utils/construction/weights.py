"""Weights set by hand with which the study's architecture copies every list, and the proof of it.

    model = hand_built(Config.preset("study", d_model=2))      # a bridge
    accuracy(model).per_list                                   # 1.0, of 10,000
    proof(Config.preset("study", list_len=6))                  # all 100^6 lists, none run

Digit t stands for the number x_t = t - (n_digits - 1) / 2. With a small step s and a large lever w,
SEP scores a digit by s x_t, so that alpha_i = softmax(s x)_i is linear in the digits but for a
second-order term. One axis holds sum_i alpha_i x_i and ((L - 1) alpha_1 - sum_{i > 1} alpha_i) / s:

    SEP:  S = x_1 + (s / 2) ((x_1 - mean)^2 + variance) + O(s^2).

o1 reads S. o_j attends to SEP by beta_j = sigmoid(z_j) and to o1 by the rest, w z_j = (L / s)
(alpha_1 - alpha_j); SEP holds S - w and o1 holds w on the axis, so that twice what o_j holds is

    x_j + (s / 2) ((x_j - mean)^2 + variance) + x_1 (x_1 - x_j) / (2 w) + O(s^2) + O(1 / w^2).

The unembedding 2 x_t v - x_t^2 d (d a constant axis: 1 at o1, 1/2 at o_j) is largest for the x_t
nearest to v / d: a list is right when all these errors and the rounding stay below 1/2.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources.native import NativeModel

from listcomp_utils.config import RANKED_ARCHITECTURE, Config, ConfigError, require
from listcomp_utils.model import add_hooks, make_native_model

LOGIT = 64.0
"""Scale of the unembedding: a nearest rival is at least LOGIT (1 / 2 - error) below."""
CLOSED = 40.0
"""How far the score of a later output's key lies below those of SEP and o1."""
LARGE = 2.0**40
"""Size of the mark by which a later output's key is closed: next to it, alphas are nothing."""
MARGINS = (3.0, 2.0, 1.0)
"""Exact errors are the same everywhere, rounding depends on the machine: it is kept smaller."""
EXPONENTIAL = 0.55
"""Error of an exponential just below 1, in roundoffs: 0.5 is exact. A test measures it."""
TINY = 2.0**-40
"""What the last output holds on the constant axis in the least width, for its query to exist."""


@dataclass(frozen=True)
class Constants:
    """The two free constants of the construction, both powers of two."""

    step: float
    lever: float


def hand_built(config: Config, dtype: torch.dtype = torch.float32) -> TransformerBridge:
    """A model of the study's architecture that copies every list, on the config's device.

    Its constants are those of the smallest error bound (`constants_for`). From d_model of
    list_len + 2 on, every part has an axis of its own; in fewer, down to list_len, the digits'
    scores share the value's axis and the last output's turn the constant's.

    Raises:
        ConfigError: for another architecture, a d_model below list_len, or more digits than the
            precision carries, naming the most that it does.
    """
    check_construction(config)
    if not proof(config, dtype).proven.all():
        raise ConfigError(
            f"n_digits {config.n_digits} is more than {dtype} is proven to carry at list_len "
            f"{config.list_len} and d_model {config.d_model}: at most "
            f"{most_digits(config, dtype)}"
        )
    return assemble(config, constants_for(config, dtype), dtype)


def check_construction(config: Config) -> None:
    """Raise ConfigError, naming the fields, unless the construction fits this config."""
    require(config, "the construction", **RANKED_ARCHITECTURE)
    least = max(2, config.list_len)
    if config.d_model < least:
        raise ConfigError(
            f"the construction needs d_model of at least {least} at list_len {config.list_len}, "
            f"got d_model {config.d_model}"
        )


def digit_values(config: Config) -> Float[Tensor, "digit"]:
    """The number x_t that each digit stands for: t, with the middle of all digits at 0."""
    return torch.arange(config.n_digits, dtype=torch.float64) - (config.n_digits - 1) / 2


def assemble(config: Config, constants: Constants, dtype: torch.dtype) -> TransformerBridge:
    """The model with these constants, whether or not they are good enough."""
    check_construction(config)
    model = make_native_model(config.replace(start="random")).to(dtype)
    put_weights(model, config, constants)
    return add_hooks(model)


@torch.no_grad()
def put_weights(model: NativeModel, config: Config, constants: Constants) -> None:
    """Set all weights of a native model to the construction's."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight.zero_()
    x, step, lever = digit_values(config), constants.step, constants.lever
    n, length, roomy = config.n_digits, config.list_len, _is_roomy(config)
    value, constant = 0, 1
    # The turn of o_j is the axis of alpha_1 - alpha_j; the last has none of its own when crowded.
    turns = {j: j for j in range(2, length + (1 if roomy else 0))}
    turns |= {} if roomy or length == 1 else {length: constant}
    score = length + 1 if roomy else value
    token, position, unembed = model.tok_embed.weight, model.pos.weight, model.head.weight

    token[:n, value] = x
    token[:n, score] = x
    unembed[:n, value], unembed[:n, constant] = 2 * LOGIT * x, -LOGIT * x**2
    unembed[n:, constant] = -4 * LOGIT  # SEP and MASK are never written
    separator, outputs = position[length], position[length + 1 :]
    position[:length, value] = -1 / step
    position[0, value] = (length - 1) / step
    middles = [sum(_leading_error(config, constants, j)) / 2 for j in range(1, length + 1)]
    separator[value] = -lever - middles[0]
    outputs[0, value] = lever
    outputs[1:, value] = (middles[0] - torch.tensor(middles[1:], dtype=torch.float64)) / 2
    separator[constant] = outputs[0, constant] = 0.5
    compare, turn = torch.zeros(2, config.d_model, config.d_model, dtype=torch.float64)
    compare[constant, score] += 2 * step
    for j, axis in turns.items():
        mark = TINY if axis == constant else 1.0 if j == length else LARGE
        position[0, axis] = 1.0
        position[j - 1, axis] = -1.0
        outputs[j - 1, axis] = mark
        turn[axis, axis] += length / (step * lever * mark)
        for earlier in range(2, j):
            turn[axis, turns[earlier]] -= CLOSED / (mark * LARGE)
        if score == value:  # the places' parts of the scores cancel
            compare[constant, axis] -= 2
    for block, products in zip(model.layers, (compare, turn), strict=True):
        block.attn.q.weight.copy_(products.T * config.d_head**0.5)
        block.attn.k.weight.copy_(torch.eye(config.d_model))


def proof(
    config: Config, dtype: torch.dtype = torch.float32, constants: Constants | None = None
) -> pd.DataFrame:
    """Bounds on the error of the number that each output reads, over all n_digits^list_len lists.

    A row an output: `exact_low` and `exact_high` hold in exact arithmetic, `rounding` is the most
    that a precision adds (half of the distance between neighbouring numbers an operation, added up
    to first order), `error` bounds all of it, and `proven` says that it is below 1/2, half of what
    lies between two digits. Nothing is run, so that lists too many to enumerate are covered.

    Source: Taylor's theorem for softmax at equal scores, with third derivatives bounded by
    16 (s X)^3 e^(2 s X) / L for digits within X; the sigmoid's by 1/8.
    """
    check_construction(config)
    constants = constants or constants_for(config, dtype)
    rows = [_bound(config, dtype, constants, j) for j in range(1, config.list_len + 1)]
    frame = pd.DataFrame(rows, columns=["exact_low", "exact_high", "rounding"])
    frame.insert(0, "output", list(config.labels[config.list_len + 1 :]))
    widest = frame[["exact_low", "exact_high"]].abs().max(axis=1)
    return frame.assign(error=widest + frame.rounding, proven=widest + frame.rounding < 0.5)


@functools.cache
def constants_for(config: Config, dtype: torch.dtype = torch.float32) -> Constants:
    """The powers of two with the smallest error bound, rounding counted `MARGINS[0]` times.

    Where these are not proven to copy, but those with rounding counted fewer times are, the latter.
    """

    def worst(constants: Constants, margin: float) -> float:
        bounds = [_bound(config, dtype, constants, j) for j in range(1, config.list_len + 1)]
        return max(max(-low, high) + margin * rounding for low, high, rounding in bounds)

    def best(margin: float) -> Constants:
        powers, step = [2.0**power for power in range(56)], 2.0**-50
        for _ in range(2):  # the two errors add up, so that one can be chosen after the other
            lever = min(powers, key=lambda one: worst(Constants(step, one), margin))
            step = min(
                (1 / one for one in powers), key=lambda s: worst(Constants(s, lever), margin)
            )
        return Constants(step, lever)

    for margin in MARGINS:
        found = best(margin)
        if worst(found, 1) < 0.5:
            return found
    return best(MARGINS[0])


def most_digits(config: Config, dtype: torch.dtype = torch.float32) -> int:
    """The largest n_digits that `proof` allows, with this config's list_len and d_model."""

    def proven(n_digits: int) -> bool:
        try:
            larger = config.replace(n_digits=n_digits)
        except ConfigError:  # more weights than any model here may have
            return False
        return bool(proof(larger, dtype).proven.all())

    low, high = 1, 2
    while proven(high) and high < 1_000_000:
        low, high = high, min(2 * high, 1_000_000)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if proven(middle) else (low, middle)
    return low


def _is_roomy(config: Config) -> bool:
    return config.d_model >= config.list_len + 2


def _reach(config: Config) -> float:
    """The largest x_t."""
    return (config.n_digits - 1) / 2


def _leading_error(config: Config, constants: Constants, j: int) -> tuple[float, float]:
    """Lowest and highest second-order error of o_j, before its middle is taken away.

    The largest of (x_j - mean)^2 + variance is at one digit at one end and the others at the other.
    """
    length, square = config.list_len, _reach(config) ** 2
    low, high = 0.0, 2 * constants.step * square * (length - 1) / length
    if j > 1:  # x_1 (x_1 - x_j) / (2 w)
        low, high = low - square / (8 * constants.lever), high + square / constants.lever
    if not _is_roomy(config) and length > 1:
        # -x_j (x_1 - x_L) s / L, as alpha_1 - alpha_L stands on the constant axis
        unit = constants.step * square / length
        low -= unit / 4 if j == length else 2 * unit
        high += unit / 4 if j == 1 else 2 * unit
    return low, high


def _bound(
    config: Config, dtype: torch.dtype, constants: Constants, j: int
) -> tuple[float, float, float]:
    """Lowest and highest error of o_j in exact arithmetic, and the most that rounding adds."""
    unit, length = torch.finfo(dtype).eps / 2, config.list_len
    reach, step, lever = _reach(config), constants.step, constants.lever
    spread, share, roomy = step * reach, (length - 1) / length, _is_roomy(config)
    if spread > 1 or 2 * reach > lever:
        return -math.inf, math.inf, math.inf
    low, high = _leading_error(config, constants, j)
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
