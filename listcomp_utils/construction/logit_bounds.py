"""A model's logits from tables a digit, and bounds on them over many lists at once.

    problem = problem_of(weights)
    problem.logits(0, lists, tokens)             # at o1, by numbers of lists and of tokens

A list's logits at an output are a mixture of two digits' rows, alpha g_a + (1 - alpha) g_b, with
    g_d[t] = constant[t] + X axis[t] + beta alpha tilt[t] + beta rest[d, t],
where X, the list's place along the content's first axis, takes from the other terms all that lies
along that axis: a readout of one number then needs cells of X alone. Over a cell of lists, with an
interval for each of X, beta alpha and beta, g_d[t] - g_d[heart] is largest at interval ends.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from listcomp_utils.circuit.formula import Weights
from listcomp_utils.circuit.order_axis import order_axis
from listcomp_utils.task import all_lists

TINY = torch.finfo(torch.float64).tiny
CHUNK = 4096
"""Lists or groups handled at once."""
PER_LOGIT = 6
"""Operations, multiply-adds and comparisons, for one logit of one list from the tables."""
PER_SCORE = 15
"""For one token's bound in one cell, selection included."""
POWERS = 4
"""Steps of power iteration to the content's first axis; a bad axis costs operations, no proof."""
PER_SPLIT = 2 * POWERS + 6
"""For an entry of the content on its way into the split."""
PER_CELL = 15
"""To find a list's three coordinates, or its cell and the ends of both its groups'."""


@dataclass(frozen=True)
class Problem:
    """A model's tables: an output's logits are constant + beta r + (1 - beta) passed, beta 1 at o1.

    Content is T = E U, base (E_SEP + P_SEP + P_2) U and slope (P_1 - P_2) U, so that
    r = alpha T[a] + (1 - alpha) T[b] + base + alpha slope.
    """

    lists: Int[Tensor, "list 2"]
    content: Float[Tensor, "token vocabulary"]
    base: Float[Tensor, "vocabulary"]
    slope: Float[Tensor, "vocabulary"]
    constant: Float[Tensor, "output vocabulary"]
    passed: Float[Tensor, "output vocabulary"]
    alpha: Float[Tensor, "list"]
    beta: Float[Tensor, "output list"]
    operations: int

    def logits(
        self, place: int, rows: Int[Tensor, "list"], tokens: Int[Tensor, "list token"]
    ) -> Float[Tensor, "list token"]:
        """The model's logits of some tokens on some lists, exactly."""
        alpha, beta = self.alpha[rows, None], self.beta[place, rows, None]
        first, second = self.lists[rows].T[..., None]
        content = alpha * self.content[first, tokens] + (1 - alpha) * self.content[second, tokens]
        held = beta * (self.base[tokens] + alpha * self.slope[tokens])
        held = held + self.constant[place][tokens] + (1 - beta) * self.passed[place][tokens]
        return held + beta * content


def problem_of(weights: Weights) -> Problem:
    """The tables of a model, and alpha and beta of every list; raises as `check_pairs`."""
    config = weights.config
    axis, lists, n = order_axis(weights), all_lists(config), config.n_digits
    token, position, unembed, query_key = weights.parts
    separator, (o1, o2) = weights.separator_input, weights.output_inputs
    first, second = lists.T
    alpha, query = axis.attention(first, second), o2 @ query_key[1]
    reads, at_first, at_second = token[:n] @ query, *(position[:2] @ query)
    held = alpha * (reads[first] + at_first) + (1 - alpha) * (reads[second] + at_second)
    beta = torch.sigmoid(query @ (separator - o1) + held)
    rows = torch.stack([separator + position[1], axis.direction, o1, o2]) @ unembed
    base, slope, at_o1, at_o2 = rows
    # Tables T, s and q E; the two queries; alpha and beta of each list.
    spent = (n + len(rows)) * config.d_vocab * config.d_model
    spent += 2 * n * config.d_model + 2 * config.d_model**2 + config.n_lists * 10
    return Problem(
        lists,
        token[:n] @ unembed,
        base,
        slope,
        constant=torch.stack([at_o1, at_o2]),
        passed=torch.stack([torch.zeros_like(at_o1), at_o1]),
        alpha=alpha,
        beta=torch.stack([torch.ones_like(beta), beta]),
        operations=spent,
    )


class Split(NamedTuple):
    """An output's logits as constant + sum of coordinates times readouts.

    Coordinates are X, beta alpha and beta, readouts axis, tilt and rest; `reach` is how far each
    coordinate moves the logits over all lists.
    """

    constant: Float[Tensor, "vocabulary"]
    readouts: tuple[Tensor, Tensor, Float[Tensor, "digit vocabulary"]]
    coordinates: Float[Tensor, "3 list"]
    reach: Float[Tensor, "3"]


class Ranking(NamedTuple):
    """What is known of the tokens in each group: the lists of one cell that hold one digit.

    `above[:, k]` bounds g_d[t] - g_d[heart] for all tokens but the first k in `tokens` and d.
    """

    tokens: Int[Tensor, "group kept"]
    above: Float[Tensor, "group kept_plus_1"]
    heart: Int[Tensor, "group"]

    def of(self, groups: Int[Tensor, "..."]) -> Ranking:
        """The rows of some groups."""
        return Ranking(*(part[groups] for part in self))


def split_logits(problem: Problem, place: int) -> Split:
    """Write an output's logits over three coordinates; equal to the model's for any axis.

    What all tokens share stays in `rest`, where it does no harm: bounds are on differences.
    """
    content = problem.content - problem.content.mean(0)
    table = content - content.mean(1, keepdim=True)
    axis = table[table.norm(dim=1).argmax()]
    for _ in range(POWERS):
        axis = table.T @ (table @ (axis / axis.norm().clamp_min(TINY)))
    axis = axis / axis.norm().clamp_min(TINY)
    passed, alpha, beta = problem.passed[place], problem.alpha, problem.beta[place]
    held = problem.base + problem.content.mean(0) - passed
    along = [part @ axis for part in (content, problem.slope, held)]
    first, second = along[0][problem.lists].T
    main = beta * (alpha * (first + along[1]) + (1 - alpha) * second + along[2])
    tilt = problem.slope - along[1] * axis
    rest = content - along[0][:, None] * axis + held - along[2] * axis
    coordinates = torch.stack([main, beta * alpha, beta])
    spread = torch.stack([axis.std(), tilt.std(), rest.std(1).max()])
    reach = (coordinates.amax(1) - coordinates.amin(1)) * spread
    return Split(problem.constant[place] + passed, (axis, tilt, rest), coordinates, reach)


def cells_of(split: Split, rows: Int[Tensor, "list"], level: int) -> Int[Tensor, "list"]:
    """Number the cells that occur: equal parts, the more of a coordinate the more it moves logits.

    A level halves each part of the one before exactly, so that a cell lies within one older cell.
    """
    cells = torch.zeros_like(rows)
    for part, share in zip(split.coordinates, split.reach / split.reach.max(), strict=True):
        halvings = max(level + math.ceil(math.log2(share)), 0) if share > 0 else 0
        (low, high), bins = part.aminmax(), 2**halvings
        cut = ((part[rows] - low) / (high - low).clamp_min(TINY) * bins).long()
        cells = (cells << halvings) + cut.clamp_max(bins - 1)
    return cells.unique(return_inverse=True)[1]


def _span(
    values: Float[Tensor, "list"], member: Int[Tensor, "list 2"], groups: int
) -> list[Float[Tensor, "group 1"]]:
    """The least and the largest value of each group's lists."""
    blank, values = values.new_zeros(groups), values.repeat_interleave(2)
    reduce = functools.partial(blank.scatter_reduce, 0, member.flatten(), values)
    return [reduce(end, include_self=False)[:, None] for end in ("amin", "amax")]


def unranked(problem: Problem) -> Ranking:
    """The ranking before the first: a group each digit, nothing dropped."""
    digits, vocabulary = problem.content.shape
    nothing = problem.content.new_full((digits, 1), -torch.inf)
    return Ranking(torch.arange(vocabulary).expand(digits, -1), nothing, torch.zeros(digits).long())


def rank(
    split: Split,
    digit: Int[Tensor, "group"],
    heart: Int[Tensor, "group"],
    lists: tuple[Int[Tensor, "list"], Int[Tensor, "list 2"]],
    older: Ranking,
    keep: int,
) -> Ranking:
    """Rank the tokens that each group's older ranking kept, over its lists, and keep the best.

    `lists` are numbers of lists and of the groups of their two digits. What the older ranking
    dropped stays below its bound, carried to the new heart by the old one's own score.
    """
    spans = [_span(part[lists[0]], lists[1], len(digit)) for part in split.coordinates]
    axis, tilt, table = split.readouts
    tokens, above = [], []
    for part in torch.arange(len(digit)).split(CHUNK):
        (pool, bounds, was), zero, own = older.of(part), heart[part, None], digit[part, None]
        named = torch.cat([pool, was[:, None]], 1)
        score = split.constant[named] - split.constant[zero]
        moves = [readout[named] - readout[zero] for readout in (axis, tilt)]
        moves.append(table[own, named] - table[own, zero])
        for (low, high), move in zip(spans, moves, strict=True):
            score = score + torch.maximum(low[part] * move, high[part] * move)
        carried, score = bounds[:, -1:] + score[:, -1:], score[:, :-1]
        # A list compares its own two digits itself.
        score = score.masked_fill(pool == own, -torch.inf)
        values, order = pad(score, (0, 1), value=-torch.inf).topk(keep + 1)
        tokens.append(pool.gather(1, order[:, :keep].clamp_max(pool.shape[1] - 1)))
        above.append(torch.maximum(values, carried))
    return Ranking(torch.cat(tokens), torch.cat(above), heart)


def rounding(weights: Weights) -> float:
    """A margin in logits that float64 cannot make of nothing, for any order of its sums.

    A sum of products errs by at most its length times 2^-53 of the sum of their sizes, a softmax of
    two by a quarter of its score's error; four times that, for a margin of two programs.
    """
    config = weights.config
    token, position, unembed, query_key = (part.abs() for part in weights.parts)
    unit = 2.0**-53 * (2 * config.d_model + 8 * config.d_vocab**0.5 + 16)
    separator = token[config.sep_id] + position[config.sep_position]
    o1, o2 = token[config.mask_id] + position[list(config.output_positions)]

    def size(direction: Tensor, others: Tensor) -> Tensor:
        """The largest that a difference of lists and these others come to along a direction."""
        digits = 2 * (token[: config.n_digits] @ direction).max()
        return digits + (position[0] + position[1] + others) @ direction

    alpha = unit * (1 + size(separator @ query_key[0], 0 * o1) / 4)
    score = size(o2 @ query_key[1], separator + o1)
    beta = unit + (unit + alpha) * score / 4
    logit = size(unembed.amax(1), separator + o1 + o2)
    return 4 * ((unit + alpha + beta) * logit).item()
