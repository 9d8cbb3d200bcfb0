"""Sound bounds from both sides on how many lists the study's architecture copies, from its weights.

    found = sandwich(weights)            # weights = weights_of(model, torch.float64)
    found.lower, found.upper                     # the share of lists that are right lies between
    found.right[a, b], found.wrong[a, b]         # the list (a, b) is proven right, or wrong
    found.operations / brute_force(weights).operations

One logit that beats a list's own proves it wrong; that it is right needs a bound on all. Lists are
put in cells, and each digit ranks the tokens within a cell by such a bound (`logit_bounds`). Below
the mixture of its two digits' first scores left out is what a list need not evaluate: the threshold
of Fagin, Lotem and Naor, "Optimal aggregation algorithms for middleware" (2003). Lists still open
get narrower cells, in which only the tokens kept are ranked again, until refining costs more than
evaluating what is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from listcomp_utils.circuit.formula import Weights
from listcomp_utils.config import ConfigError
from listcomp_utils.construction.logit_bounds import (
    CHUNK,
    PER_CELL,
    PER_LOGIT,
    PER_SCORE,
    PER_SPLIT,
    Problem,
    Ranking,
    cells_of,
    problem_of,
    rank,
    rounding,
    split_logits,
    unranked,
)
from listcomp_utils.generation import share

LADDER = (0, 1, 2, 4, 8)
"""How many tokens of each digit a list may evaluate after a ranking."""
WITNESSES = 2
"""How many it evaluates in search of one that beats its own, where the ranking proves nothing."""
SHRINK = 1.7
"""How many times fewer tokens each ranking keeps than the one before."""
FEWEST = 16
"""Tokens that a ranking keeps at least."""
FIRST, DEEPEST = 2, 14
"""Halvings of the widest coordinate before the first ranking and before the last."""


@dataclass(frozen=True)
class Sandwich:
    """What is proven of all lists (a, b), and its cost in multiply-adds and comparisons."""

    right: Bool[Tensor, "first second"]
    wrong: Bool[Tensor, "first second"]
    operations: int

    @property
    def lower(self) -> float:
        """Share of lists proven right."""
        return share(self.right)

    @property
    def upper(self) -> float:
        """1 minus the share of lists proven wrong."""
        return share(~self.wrong)


def sandwich(weights: Weights) -> Sandwich:
    """Bound the share of right lists from both sides; the bounds meet but for lists in rounding.

    Raises ConfigError as `check_pairs`, and for weights that are not finite.
    """
    return _prove(weights, _Search.run)


def brute_force(weights: Weights) -> Sandwich:
    """The same from every logit, for comparison: operations grow as n^3. Raises as `sandwich`."""
    return _prove(weights, lambda search, _: search.exhaust(search.everything))


def _prove(weights: Weights, look: Callable[[_Search, Int[Tensor, "list"]], None]) -> Sandwich:
    """What `look` finds at both outputs; it is given the lists that are not yet proven wrong."""
    config, weights = weights.config, weights.double()
    problem = problem_of(weights)
    if not all(part.isfinite().all() for part in weights.parts):
        raise ConfigError("weights must be finite")
    slack, spent = rounding(weights), problem.operations
    spent += 4 * config.d_model * (config.n_digits + config.d_model)
    right = torch.ones(config.n_lists, dtype=torch.bool)
    wrong = ~right
    for place in (0, 1):
        search = _Search(problem, place, slack)
        look(search, (~wrong).nonzero()[:, 0])
        right &= search.bounded & (search.margin > slack)
        wrong |= search.margin < -slack
        spent += search.spent
    shape = (config.n_digits, config.n_digits)
    return Sandwich(right.view(shape), wrong.view(shape), spent)


class _Search:
    """One output: `margin` is the least seen of each list, `bounded` whether none can be less."""

    def __init__(self, problem: Problem, place: int, slack: float) -> None:
        self.problem, self.place, self.slack = problem, place, slack
        lists, self.vocabulary = problem.lists, problem.content.shape[1]
        self.pair = lists.flip(1) if place else lists
        self.everything = torch.arange(len(lists))
        self.own = problem.logits(place, self.everything, self.pair[:, :1])[:, 0]
        self.margin = torch.full_like(self.own, torch.inf)
        self.bounded = torch.zeros_like(self.own, dtype=torch.bool)
        self.spent = len(lists) * PER_LOGIT

    def run(self, rows: Int[Tensor, "list"]) -> None:
        """Decide these lists, as far as rankings can by them, and the others from all logits."""
        self.evaluate(rows, self.pair[rows, 1:])
        rows = rows[self.margin[rows] >= -self.slack]
        split, lists = split_logits(self.problem, self.place), self.problem.lists
        n = len(self.problem.content)
        self.spent += PER_SPLIT * self.problem.content.numel() + PER_CELL * len(lists)
        ranking, group = unranked(self.problem), lists.clone()
        for level in range(FIRST, DEEPEST):
            cells = cells_of(split, rows, level)
            groups, member = (cells[:, None] * n + lists[rows]).unique(return_inverse=True)
            cost, pool = len(groups) * ranking.tokens.shape[1] * PER_SCORE, self.pool(ranking)
            if 2 * cost >= len(rows) * pool * (PER_LOGIT + 1):
                break
            # Any own token of a cell is its heart: beside it, logits hardly move within the cell.
            hearts, older = torch.empty(n**2).long(), torch.empty(len(groups)).long()
            hearts[cells], older[member] = self.pair[rows, 0], group[rows]
            keep = max(int(self.vocabulary / SHRINK ** (level - FIRST + 1)), FEWEST)
            keep, before = min(keep, ranking.tokens.shape[1]), ranking.of(older)
            ranking = rank(split, groups % n, hearts[groups // n], (rows, member), before, keep)
            self.spent += cost + PER_CELL * len(rows)
            group[rows] = member
            rows = self.settle(rows, ranking, member)
        if self.pool(ranking) < self.vocabulary:
            self.evaluate(rows, ranking.tokens[group[rows]].flatten(1))
            self.bounded[rows] = True
        else:
            self.exhaust(rows)

    def exhaust(self, rows: Int[Tensor, "list"]) -> None:
        """Compare each list's own logit with all others."""
        self.evaluate(rows, torch.arange(self.vocabulary).expand(len(rows), -1))
        self.bounded[rows] = True

    def pool(self, ranking: Ranking) -> int:
        """How many tokens a list evaluates that takes all which its two digits have kept."""
        return min(2 * ranking.tokens.shape[1], self.vocabulary)

    def evaluate(self, rows: Int[Tensor, "list"], tokens: Int[Tensor, "list token"]) -> None:
        """Compare each list's own logit with those of some tokens, computed exactly."""
        self.spent += tokens.numel() * (PER_LOGIT + 1)
        for some, named in zip(rows.split(CHUNK), tokens.split(CHUNK), strict=True):
            rivals = self.problem.logits(self.place, some, named)
            rivals = rivals.masked_fill(named == self.pair[some, :1], -torch.inf)
            margin = self.own[some] - rivals.amax(1)
            self.margin[some] = torch.minimum(self.margin[some], margin)

    def settle(
        self, rows: Int[Tensor, "list"], ranking: Ranking, member: Int[Tensor, "list 2"]
    ) -> Int[Tensor, "open"]:
        """Decide what a ranking can, exhaust the lists it is lost on, give those worth another.

        A list's two digits are in the groups `member` of the `ranking`. It evaluates as few of
        their tokens as leave the bound on all others below its own logit; with no such number, some
        for a witness.
        """
        alpha, deepest = self.problem.alpha[rows, None], ranking.tokens.shape[1]
        steps = torch.tensor([step for step in LADDER if step < deepest] + [deepest])
        first, second = ranking.above[:, steps][member].unbind(1)
        bound = alpha * first + (1 - alpha) * second
        heart = self.problem.logits(self.place, rows, ranking.heart[member[:, :1]])
        fits = bound < self.own[rows, None] - heart - self.slack
        self.spent += len(rows) * (3 * len(steps) + PER_LOGIT)
        few = fits[:, :-1].any(1)
        depth = torch.where(few, steps[fits.int().argmax(1)], WITNESSES)
        for low, high in itertools.pairwise(steps.tolist()):
            some = (depth >= high) & (self.margin[rows] >= -self.slack)
            named = ranking.tokens[:, low:high][member[some]]
            self.evaluate(rows[some], named.flatten(1))
        self.bounded[rows[few]] = True
        left = ~few & (self.margin[rows] >= -self.slack)
        self.exhaust(rows[left & ~fits[:, -1]])
        return rows[left & fits[:, -1]]
