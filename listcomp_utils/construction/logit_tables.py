"""Any logit of the study's model in a few operations, from tables a digit.

    problem = problem_of(config, weights)        # weights = weights_of(model, torch.float64)
    problem.logits(0, lists, tokens)             # at o1, by numbers of lists and of tokens

For lists of two digits, two layers and masked decoding, with r = SEP after layer 0, x = E_M + P,
    logits at o1:  U (x_o1 + r),    at o2:  U (x_o2 + beta r + (1 - beta) x_o1),
    r = E_SEP + P_SEP + alpha (E_a + P_1) + (1 - alpha) (E_b + P_2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from listcomp_utils.circuit.formula import Weights
from listcomp_utils.circuit.order_axis import check_pairs
from listcomp_utils.config import Config
from listcomp_utils.task import all_lists

PER_LOGIT = 6
"""Multiply-adds for one logit of one list from the tables."""


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


def problem_of(config: Config, weights: Weights) -> Problem:
    """The tables of a model, and alpha and beta of every list; raises as `check_pairs`."""
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
    )
