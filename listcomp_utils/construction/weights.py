"""Weights set by hand with which the study's architecture copies every list.

    assemble(config, Constants(2.0**-16, 2.0**15), torch.float64)      # a bridge
    put_weights(native_model, config, constants)                      # into one's own model

`proof` chooses the constants and shows that every list is right.

Digit t stands for x_t = t - (n_digits - 1) / 2; 08_construction goes through it with numbers. One
axis holds sum_i alpha_i x_i and ((L - 1) alpha_1 - sum_{i > 1} alpha_i) / s, which come to
    SEP:  S = x_1 + (s / 2) ((x_1 - mean)^2 + variance) + O(s^2).
o1 reads S. o_j attends to SEP by beta_j = sigmoid(z_j) and to o1 by the rest, w z_j = (L / s)
(alpha_1 - alpha_j); SEP holds S - w and o1 holds w on the axis, so that twice what o_j holds is
    x_j + (s / 2) ((x_j - mean)^2 + variance) + x_1 (x_1 - x_j) / (2 w) + O(s^2) + O(1 / w^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources.native import NativeModel

from listcomp_utils.config import STUDY_ARCHITECTURE, Config, ConfigError, require
from listcomp_utils.model import add_hooks, make_native_model

LOGIT = 64.0
"""Scale of the unembedding: a nearest rival is at least LOGIT (1 / 2 - error) below."""
CLOSED = 40.0
"""How far the score of a later output's key lies below those of SEP and o1."""
LARGE = 2.0**40
"""Size of the mark by which a later output's key is closed: next to it, alphas are nothing."""
TINY = 2.0**-40
"""What the last output holds on the constant axis in the least width, for its query to exist."""


@dataclass(frozen=True)
class Constants:
    """The two free constants of the construction, both powers of two."""

    step: float
    lever: float


DTYPES = (torch.bfloat16, torch.float32, torch.float64)
"""Precisions whose numbers reach from TINY to LARGE and beyond; float16's do not."""


def check_construction(config: Config, dtype: torch.dtype = torch.float32) -> None:
    """Raise ConfigError, naming what is wrong, unless the construction fits config and dtype."""
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {', '.join(map(str, DTYPES))}, got {dtype!r}")
    require(config, "the construction", **STUDY_ARCHITECTURE)
    least, length = max(2, config.list_len), config.list_len
    if config.d_model < least:
        said = f"the construction needs d_model of at least {least} at list_len {length}"
        raise ConfigError(f"{said}, got d_model {config.d_model}")


def digit_values(config: Config) -> Float[Tensor, "digit"]:
    """The number x_t that each digit stands for: t, with the middle of all digits at 0."""
    return torch.arange(config.n_digits, dtype=torch.float64) - (config.n_digits - 1) / 2


def assemble(config: Config, constants: Constants, dtype: torch.dtype) -> TransformerBridge:
    """The model with these constants, whether or not they are good enough."""
    check_construction(config, dtype)
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
    n, length, roomy = config.n_digits, config.list_len, is_roomy(config)
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
    middles = [sum(leading_error(config, constants, j)) / 2 for j in range(1, length + 1)]
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


def is_roomy(config: Config) -> bool:
    return config.d_model >= config.list_len + 2


def reach_of(config: Config) -> float:
    """The largest x_t."""
    return (config.n_digits - 1) / 2


def leading_error(config: Config, constants: Constants, j: int) -> tuple[float, float]:
    """Lowest and highest second-order error of o_j, before its middle is taken away.

    The largest of (x_j - mean)^2 + variance is at one digit at one end and the others at the other.
    """
    length, square = config.list_len, reach_of(config) ** 2
    low, high = 0.0, 2 * constants.step * square * (length - 1) / length
    if j > 1:  # x_1 (x_1 - x_j) / (2 w)
        low, high = low - square / (8 * constants.lever), high + square / constants.lever
    if not is_roomy(config) and length > 1:
        # -x_j (x_1 - x_L) s / L, as alpha_1 - alpha_L stands on the constant axis
        unit = constants.step * square / length
        low -= unit / 4 if j == length else 2 * unit
        high += unit / 4 if j == 1 else 2 * unit
    return low, high
