"""The start "ranks": a code for any list in the initial weights, with the digits in random order.

    model = make_native_model(Config.preset("ranked"))     # calls `put_ranks`
    ranks_of(config)                                       # the place of each digit in [-1, 1]

Every digit t has a place tau_t on a line, evenly spaced, in an order drawn by the seed; the rest is
coarse, so that at the start hardly any list is copied. The mechanism is that of
`construction.weights`, with these axes of the residual stream:

    value      holds the number that an output reads its digit from: the nearest place wins
    constant   1/2 at SEP and at o1, for the unembedding's parabola 2 tau_t x - tau_t^2
    score      what SEP compares the digits by
    closing    marks o2, o3, ..., which no output may read
    turn j     alpha_1 - alpha_j at SEP, which says how far o_j must look away from it
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from listcomp_utils.config import Config

VALUE, CONSTANT, SCORE, CLOSING, FIRST_TURN = range(5)
"""Coordinates of the residual stream; the turns of o2, o3, ... follow each other."""
NOISE = 0.02
"""Share of the usual initial weights that is added; the unembedding keeps all of its own."""
CLOSED = 4.0
"""What a closed key's score is below the others'."""
PARTS = ("values", "scores", "places", "constants", "lever", "turns", "line", "parabola")
"""What the code is made of: of the digits' embeddings, the positions', QK and the unembedding."""


class Coarseness(NamedTuple):
    """The largest score of a digit, what o2's attention moves, and the logits at a place of 1."""

    score: float
    lever: float
    logit: float


def coarseness(config: Config) -> Coarseness:
    """Constants that leave errors of a few places, and a near tie some nats.

    Errors of the code are about score and 1 / lever beside places 2 / n_digits apart; the logits of
    neighbours on the line differ by 4 logit / n_digits^2.
    """
    n = config.n_digits
    return Coarseness(score=3 / n, lever=0.6 * n, logit=3.0 * n**2)


def ranks_of(config: Config) -> Float[Tensor, "digit"]:
    """Places of the digits, evenly spaced in [-1, 1], in an order drawn by `config.seed`."""
    generator = torch.Generator().manual_seed(config.seed)
    order = torch.randperm(config.n_digits, generator=generator)
    return torch.linspace(-1, 1, config.n_digits)[order]


@torch.no_grad()
def put_ranks(
    model: nn.Module,
    config: Config,
    parts: Collection[str] = PARTS,
    size: Coarseness | None = None,
    noise: float = NOISE,
) -> None:
    """Shrink a native model's initial weights to `noise` of them and add parts of the code."""
    for name, weight in model.named_parameters():
        if weight.requires_grad and name != "head.weight":
            weight *= noise
    size, n, length = size or coarseness(config), config.n_digits, config.list_len
    places, separator, o1 = ranks_of(config), config.sep_position, config.sep_position + 1
    token, position, unembed = model.tok_embed.weight, model.pos.weight, model.head.weight

    def add(part: str, weight: Tensor, rows: Any, axis: int | list[int], value: Any) -> None:
        if part in parts:
            weight[rows, axis] += value

    digits, others = slice(n), slice(n, None)
    add("values", token, digits, VALUE, places)
    add("scores", token, digits, SCORE, places)
    add("line", unembed, digits, VALUE, 2 * size.logit * places)
    add("parabola", unembed, digits, CONSTANT, -size.logit * places**2)
    add("parabola", unembed, others, CONSTANT, -2 * size.logit)  # SEP and MASK are never written
    add("places", position, 0, VALUE, length / size.score)
    add("places", position, separator, VALUE, -1 / size.score)
    add("lever", position, separator, VALUE, -size.lever)
    add("lever", position, o1, VALUE, size.lever)
    add("constants", position, [separator, o1], CONSTANT, 0.5)
    products = {"scores": [(CONSTANT, SCORE, 2 * size.score)], "turns": []}
    for j in range(2, length + 1):
        turn = FIRST_TURN + j - 2
        add("turns", position, 0, turn, 1)
        add("turns", position, j - 1, turn, -1)
        add("turns", position, separator + j, [turn, CLOSING], 1)
        products["turns"].append((turn, turn, length / (size.score * size.lever)))
        if length > 2:
            products["turns"].append((turn, CLOSING, -CLOSED))
    for (part, added), block in zip(products.items(), model.layers, strict=True):
        # Each adds strength * query[a] * key[b] to the layer's scores.
        for row, (a, b, strength) in enumerate(added):
            root = (abs(strength) * config.d_head**0.5) ** 0.5
            add(part, block.attn.q.weight, row, a, root)
            add(part, block.attn.k.weight, row, b, math.copysign(root, strength))
