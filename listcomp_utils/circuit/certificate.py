"""A sound lower bound on the study's model's accuracy over all lists, without computing its logits.

    bound = certify(config, weights)             # weights = weights_of(model, torch.float64)
    bound.per_list, bound.per_token              # never above brute_force(config, weights)
    bound.certified                              # [a, b]: the list (a, b) is right, proven
    bound.operations / brute_force(config, weights).operations

For lists of two digits, two layers and masked decoding, with r = SEP after layer 0, x = E_M + P,
    logits at o1:  U (x_o1 + r),    at o2:  U (x_o2 + beta r + (1 - beta) x_o1),
    r = E_SEP + P_SEP + alpha (E_a + P_1) + (1 - alpha) (E_b + P_2),
where alpha, beta and any one logit cost a few operations a list, from tables a digit. Only the
largest logit of the tokens that are not in the list costs the vocabulary. It is bounded instead:
    logit_t = alpha (beta T[a, t] + h_t) + (1 - alpha) (beta T[b, t] + h_t),    T = E U,
with h_t bilinear in (alpha, beta), so that over a cell of the (alpha, beta) plane each bracket is
largest at a corner. A cell ranks the tokens of each digit by that maximum. A list evaluates the
`top` tokens of both its digits exactly; any other token is below the same mixture of the two first
scores left out, the threshold of Fagin, Lotem and Naor, "Optimal aggregation algorithms for
middleware" (2003).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from listcomp_utils.circuit.formula import Weights
from listcomp_utils.circuit.order_axis import check_pairs
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.task import all_lists

ROUNDING = 1e-9
"""A margin counts when above this times the largest logit's scale; float64 errs by far less."""
PER_LOGIT = 6
"""Multiply-adds for one logit of one list from the tables."""
CHUNK = 4096
"""Lists handled at once."""


@dataclass(frozen=True)
class Certificate:
    """What is proven of a model on all lists (a, b), and its cost in multiply-adds and comparisons.

    The shares of lists and of output digits proven right are lower bounds on the exact accuracy.
    """

    per_list: float
    per_token: float
    certified: Bool[Tensor, "first second"]
    operations: int


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
    slack: float

    def position_term(
        self, place: int, alpha: Tensor, beta: Tensor, tokens: Tensor | slice = slice(None)
    ) -> Tensor:
        """h_t for these alpha and beta, one row each."""
        held = beta * (self.base[tokens] + alpha * self.slope[tokens])
        return self.constant[place][tokens] + held + (1 - beta) * self.passed[place][tokens]

    def logits(
        self, place: int, rows: Int[Tensor, "list"], tokens: Int[Tensor, "list token"]
    ) -> Float[Tensor, "list token"]:
        """The model's logits of some tokens on some lists, exactly."""
        alpha, beta = self.alpha[rows, None], self.beta[place, rows, None]
        first, second = self.lists[rows].T[..., None]
        content = alpha * self.content[first, tokens] + (1 - alpha) * self.content[second, tokens]
        return self.position_term(place, alpha, beta, tokens) + beta * content


def certify(config: Config, weights: Weights, bins: int = 32, top: int = 8) -> Certificate:
    """Bound the accuracy over all lists from below, in operations that grow as n^2 for fixed bins.

    `bins` cuts the ranges of alpha and of beta, and `top` is how many tokens each digit names; a
    larger `top` certifies at least the same lists. Cells with so few lists that all their logits
    cost no more than the ranking are computed exactly.

    Raises:
        ConfigError: for another architecture or task than the study's, or bins or top below 1.
    """
    for name, value in {"bins": bins, "top": top}.items():
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    problem, top = problem_of(config, weights), min(top, config.d_vocab - 1)
    rivals, spent = zip(
        *(_bound_rivals(problem, place, bins, top) for place in (0, 1)), strict=True
    )
    return _certificate(problem, rivals, sum(spent))


def brute_force(config: Config, weights: Weights) -> Certificate:
    """The exact accuracy in the same terms, from every logit; operations grow as n^3."""
    problem = problem_of(config, weights)
    everything = torch.arange(config.n_lists, device=problem.lists.device)
    rivals = [_largest(problem, place, everything) for place in (0, 1)]
    return _certificate(problem, rivals, config.n_lists * 2 * config.d_vocab * (PER_LOGIT + 1))


def problem_of(config: Config, weights: Weights) -> Problem:
    check_pairs(config)
    token, position, unembed, query_key = (
        part.double()
        for part in (weights.token, weights.position, weights.unembed, weights.query_key)
    )
    n, lists = config.n_digits, all_lists(config).to(token.device)
    separator = token[config.sep_id] + position[config.sep_position]
    o1, o2 = token[config.mask_id] + position[list(config.output_positions)]
    first, second = lists.T
    query = separator @ query_key[0]
    scores, offset = token[:n] @ query, query @ (position[0] - position[1])
    alpha = torch.sigmoid(scores[first] - scores[second] + offset)
    query = o2 @ query_key[1]
    reads = token[:n] @ query
    held = alpha * (reads[first] + query @ position[0])
    held = held + (1 - alpha) * (reads[second] + query @ position[1])
    beta = torch.sigmoid(query @ (separator - o1) + held)
    content = token[:n] @ unembed
    rows = torch.stack([separator + position[1], position[0] - position[1], o1, o2]) @ unembed
    base, slope, at_o1, at_o2 = rows
    # Tables T, s and q E; the two queries; alpha and beta of each list.
    spent = (n + len(rows)) * config.d_vocab * config.d_model
    spent += 2 * n * config.d_model + 2 * config.d_model**2 + config.n_lists * 10
    return Problem(
        lists,
        content,
        base,
        slope,
        constant=torch.stack([at_o1, at_o2]),
        passed=torch.stack([torch.zeros_like(at_o1), at_o1]),
        alpha=alpha,
        beta=torch.stack([torch.ones_like(beta), beta]),
        operations=spent,
        slack=ROUNDING * (content.abs().max() + rows.abs().amax(1).sum()).item(),
    )


def _bound_rivals(
    problem: Problem, place: int, bins: int, top: int
) -> tuple[Float[Tensor, "list"], int]:
    """An upper bound on the logits of all tokens outside each list, and its operations."""
    alpha, beta = problem.alpha, problem.beta[place]
    cells = cut(alpha, bins) * bins + cut(beta, bins)
    order = cells.argsort(stable=True)
    sizes = torch.unique_consecutive(cells[order], return_counts=True)[1].tolist()
    bound, vocabulary, spent = torch.empty_like(alpha), problem.content.shape[1], 0
    for rows in order.split(sizes):
        present, (at_first, at_second) = problem.lists[rows].T.unique(return_inverse=True)
        alphas = torch.stack(alpha[rows].aminmax())[:, None]
        betas = torch.stack(beta[rows].aminmax()).unique()
        exact = len(rows) * vocabulary * (PER_LOGIT + 1)
        if exact <= len(present) * vocabulary * (2 * len(betas) + 1):
            bound[rows] = _largest(problem, place, rows)
            spent += exact
            continue
        # The bracket is linear in alpha, and T does not meet it: one maximum for both digits.
        corners = (
            share * problem.content[present] + problem.position_term(place, alphas, share).amax(0)
            for share in betas
        )
        scores = functools.reduce(torch.maximum, corners)
        scores[torch.arange(len(present)), present] = torch.finfo(scores.dtype).min
        values, tokens = scores.topk(top + 1)
        named = torch.cat([tokens[at_first, :top], tokens[at_second, :top]], 1)
        held = alpha[rows]
        rest = held * values[at_first, top] + (1 - held) * values[at_second, top]
        bound[rows] = torch.maximum(_largest(problem, place, rows, named), rest)
        spent += len(betas) * vocabulary * 2 * (len(present) + PER_LOGIT)
        spent += len(present) * vocabulary + len(rows) * (2 * top * (PER_LOGIT + 1) + 3)
    return bound, spent


def cut(values: Float[Tensor, "list"], bins: int) -> Int[Tensor, "list"]:
    """Equal parts of the range that occurs."""
    low, high = values.aminmax()
    width = (high - low).clamp_min(torch.finfo(values.dtype).tiny)
    return ((values - low) / width * bins).long().clamp_max(bins - 1)


def _largest(
    problem: Problem,
    place: int,
    rows: Int[Tensor, "list"],
    tokens: Int[Tensor, "list token"] | None = None,
) -> Float[Tensor, "list"]:
    """The largest logit of these tokens, or of all, the list's own digits left out."""
    if tokens is None:
        tokens = torch.arange(len(problem.base), device=rows.device).expand(len(rows), -1)
    largest = []
    for some, named in zip(rows.split(CHUNK), tokens.split(CHUNK), strict=True):
        first, second = problem.lists[some].T[..., None]
        own = (named == first) | (named == second)
        largest.append(problem.logits(place, some, named).masked_fill(own, -torch.inf).amax(1))
    return torch.cat(largest)


def _certificate(
    problem: Problem, rivals: Sequence[Float[Tensor, "list"]], operations: int
) -> Certificate:
    everything = torch.arange(len(problem.lists), device=problem.lists.device)
    right = []
    for place, rival in enumerate(rivals):
        pair = problem.lists.flip(1) if place else problem.lists
        own, other = problem.logits(place, everything, pair).T
        other = other.masked_fill(pair[:, 0] == pair[:, 1], -torch.inf)
        right.append(own - torch.maximum(rival, other) > problem.slack)
    both, n = right[0] & right[1], len(problem.content)
    return Certificate(
        per_list=both.double().mean().item(),
        per_token=torch.stack(right).double().mean().item(),
        certified=both.view(n, n),
        operations=problem.operations + operations + len(both) * 2 * 2 * (PER_LOGIT + 1),
    )
