"""A sound lower bound on the study's model's accuracy over all lists, without computing its logits.

    bound = certify(config, weights)             # weights = weights_of(model, torch.float64)
    bound.per_list, bound.per_token              # never above brute_force(config, weights)
    bound.certified                              # [a, b]: the list (a, b) is right, proven
    bound.operations / bound.brute_force_operations

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

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from listcomp_utils.circuit.formula import Weights
from listcomp_utils.circuit.order_axis import check_pairs
from listcomp_utils.config import Config, ConfigError

ROUNDING = 1e-9
"""A margin counts when above this times the largest logit's scale; float64 errs by far less."""
PER_LOGIT = 6
"""Multiply-adds for one logit of one list from the tables."""
CHUNK = 4096
"""Lists handled at once."""


@dataclass(frozen=True)
class Certificate:
    """What is proven of a model on all lists (a, b), and what the proof cost."""

    per_list: float
    """Share of lists proven right: a lower bound on the exact accuracy."""
    per_token: float
    """Share of output digits proven right."""
    certified: Bool[Tensor, "first second"]
    n_lists: int
    operations: int
    """Multiply-adds and comparisons."""
    brute_force_operations: int
    """The same for all logits of all lists, from the same tables."""


@dataclass(frozen=True)
class _Output:
    """One output on all lists; its logit is constant + beta r_t + (1 - beta) passed."""

    own: Int[Tensor, "list"]
    other: Int[Tensor, "list"]
    share: Float[Tensor, "list"]
    """beta; at o1 it is 1."""
    constant: Float[Tensor, "vocabulary"]
    passed: Float[Tensor, "vocabulary"]


@dataclass(frozen=True)
class _Problem:
    content: Float[Tensor, "token vocabulary"]
    """T = E U."""
    base: Float[Tensor, "vocabulary"]
    """(E_SEP + P_SEP + P_2) U."""
    slope: Float[Tensor, "vocabulary"]
    """(P_1 - P_2) U."""
    first: Int[Tensor, "list"]
    second: Int[Tensor, "list"]
    attention: Float[Tensor, "list"]
    """alpha."""
    outputs: tuple[_Output, _Output]
    table_operations: int
    slack: float

    def position_term(self, output: _Output, alpha: Tensor, beta: Tensor) -> Tensor:
        """h_t for these alpha and beta, one row each."""
        alpha, beta = alpha[:, None], beta[:, None]
        held = beta * (self.base + alpha * self.slope)
        return output.constant + held + (1 - beta) * output.passed

    def logits(
        self, output: _Output, rows: Int[Tensor, "list"], tokens: Int[Tensor, "list token"]
    ) -> Float[Tensor, "list token"]:
        """The model's logits of some tokens on some lists, exactly."""
        alpha, beta = self.attention[rows, None], output.share[rows, None]
        first, second = self.first[rows, None], self.second[rows, None]
        content = alpha * self.content[first, tokens] + (1 - alpha) * self.content[second, tokens]
        held = beta * (content + self.base[tokens] + alpha * self.slope[tokens])
        return output.constant[tokens] + held + (1 - beta) * output.passed[tokens]


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
    problem = _problem(config, weights)
    top = min(top, config.d_vocab - 1)
    operations = problem.table_operations
    rivals = []
    for output in problem.outputs:
        rival, spent = _bound_rivals(problem, output, bins, top)
        rivals.append(rival)
        operations += spent
    return _certificate(config, problem, rivals, operations)


def brute_force(config: Config, weights: Weights) -> Certificate:
    """The exact accuracy in the same terms, from every logit; operations grow as n^3."""
    problem = _problem(config, weights)
    everything = torch.arange(config.n_lists, device=problem.first.device)
    rivals = [
        torch.cat([_largest(problem, output, rows) for rows in everything.split(CHUNK)])
        for output in problem.outputs
    ]
    return _certificate(config, problem, rivals, _brute_force_operations(config, problem))


def _problem(config: Config, weights: Weights) -> _Problem:
    check_pairs(config)
    token, position, unembed, query_key = (
        part.double()
        for part in (weights.token, weights.position, weights.unembed, weights.query_key)
    )
    n, d_model = config.n_digits, config.d_model
    separator = token[config.sep_id] + position[config.sep_position]
    o1, o2 = token[config.mask_id] + position[list(config.output_positions)]
    content, digits = token[:n] @ unembed, torch.arange(n, device=token.device)
    first, second = digits.repeat_interleave(n), digits.repeat(n)
    query = separator @ query_key[0]
    scores, offset = token[:n] @ query, query @ (position[0] - position[1])
    attention = torch.sigmoid(scores[first] - scores[second] + offset)
    query = o2 @ query_key[1]
    reads = token[:n] @ query
    held = attention * (reads[first] + query @ position[0])
    held = held + (1 - attention) * (reads[second] + query @ position[1])
    share = torch.sigmoid(query @ (separator - o1) + held)
    rows = [separator + position[1], position[0] - position[1], o1, o2]
    base, slope, at_o1, at_o2 = torch.stack(rows) @ unembed
    largest = sum(part.abs().max().item() for part in (content, base, slope, at_o1, at_o2))
    outputs = (
        _Output(first, second, torch.ones_like(share), at_o1, torch.zeros_like(at_o1)),
        _Output(second, first, share, at_o2, at_o1),
    )
    # Tables T, s and q E; the two queries; alpha and beta of each list.
    spent = (n + len(rows)) * config.d_vocab * d_model + 2 * n * d_model + 2 * d_model**2
    spent += config.n_lists * 10
    return _Problem(
        content, base, slope, first, second, attention, outputs, spent, ROUNDING * largest
    )


def _bound_rivals(
    problem: _Problem, output: _Output, bins: int, top: int
) -> tuple[Float[Tensor, "list"], int]:
    """An upper bound on the logits of all tokens outside each list, and its operations."""
    alpha, beta = problem.attention, output.share
    cells = _bin(alpha, bins) * bins + _bin(beta, bins)
    order = cells.argsort(stable=True)
    sizes = torch.unique_consecutive(cells[order], return_counts=True)[1].tolist()
    bound, vocabulary, spent = torch.empty_like(alpha), problem.content.shape[1], 0
    for rows in order.split(sizes):
        first, second = problem.first[rows], problem.second[rows]
        present, place = torch.unique(torch.stack([first, second]), return_inverse=True)
        alphas, betas = (torch.stack(part[rows].aminmax()) for part in (alpha, beta))
        exact = len(rows) * vocabulary * (PER_LOGIT + 1)
        if exact <= len(present) * vocabulary * (2 * len(betas.unique()) + 1):
            bound[rows] = _largest(problem, output, rows)
            spent += exact
            continue
        scores = None
        for share in betas.unique():
            # The bracket is linear in alpha, and T does not meet it: one maximum for both digits.
            corner = problem.position_term(output, alphas, share.expand(2)).amax(0)
            at_share = share * problem.content[present] + corner
            scores = at_share if scores is None else torch.maximum(scores, at_share)
            spent += len(present) * vocabulary * 2 + vocabulary * 2 * PER_LOGIT
        scores[torch.arange(len(present)), present] = torch.finfo(scores.dtype).min
        values, tokens = scores.topk(top + 1)
        spent += len(present) * vocabulary
        at_first, at_second = place
        named = torch.cat([tokens[at_first, :top], tokens[at_second, :top]], 1)
        held = alpha[rows]
        rest = held * values[at_first, top] + (1 - held) * values[at_second, top]
        for part, left, below in zip(
            rows.split(CHUNK), named.split(CHUNK), rest.split(CHUNK), strict=True
        ):
            bound[part] = torch.maximum(_largest(problem, output, part, left), below)
        spent += len(rows) * (2 * top * (PER_LOGIT + 1) + 3)
    return bound, spent


def _bin(values: Float[Tensor, "list"], bins: int) -> Int[Tensor, "list"]:
    """Equal parts of the range that occurs."""
    low, high = values.aminmax()
    width = (high - low).clamp_min(torch.finfo(values.dtype).tiny)
    return ((values - low) / width * bins).long().clamp_max(bins - 1)


def _largest(
    problem: _Problem,
    output: _Output,
    rows: Int[Tensor, "list"],
    tokens: Int[Tensor, "list token"] | None = None,
) -> Float[Tensor, "list"]:
    """The largest logit of these tokens, or of all, the list's own digits left out."""
    if tokens is None:
        tokens = torch.arange(len(problem.base), device=rows.device).expand(len(rows), -1)
    values = problem.logits(output, rows, tokens)
    own = (tokens == problem.first[rows, None]) | (tokens == problem.second[rows, None])
    return values.masked_fill(own, -torch.inf).amax(1)


def _certificate(
    config: Config, problem: _Problem, rivals: list[Float[Tensor, "list"]], operations: int
) -> Certificate:
    everything = torch.arange(config.n_lists, device=problem.first.device)
    right = []
    for output, rival in zip(problem.outputs, rivals, strict=True):
        pair = torch.stack([output.own, output.other], 1)
        own, other = problem.logits(output, everything, pair).T
        other = other.masked_fill(output.own == output.other, -torch.inf)
        right.append(own - torch.maximum(rival, other) > problem.slack)
    both = right[0] & right[1]
    return Certificate(
        per_list=both.double().mean().item(),
        per_token=torch.stack(right).double().mean().item(),
        certified=both.view(config.n_digits, config.n_digits),
        n_lists=config.n_lists,
        operations=operations + config.n_lists * 2 * 2 * (PER_LOGIT + 1),
        brute_force_operations=_brute_force_operations(config, problem)
        + config.n_lists * 2 * 2 * (PER_LOGIT + 1),
    )


def _brute_force_operations(config: Config, problem: _Problem) -> int:
    return problem.table_operations + config.n_lists * 2 * config.d_vocab * (PER_LOGIT + 1)
