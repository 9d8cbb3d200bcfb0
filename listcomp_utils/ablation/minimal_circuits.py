"""Which attention edges are enough? Subsets of them are tried, many in one batch.

search = EdgeSearch(model, lists, "zero")
found = search.all_subsets()       # or search.greedy(), where they are too many
found.frontier()                   # best accuracy per token for each number of edges
found.smallest()                   # the smallest subsets with every list right
found.cut                          # what was left out to stay within search.most_tokens
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.ablation.edges import Removal, keep_edges
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.hooks import logits_with
from listcomp_utils.mask import Edge, build_mask
from listcomp_utils.model import config_of

TOKENS_AT_ONCE = 20_000
"""Tokens in one forward pass of a search: as many as fit a processor's cache."""

SAID_FROM = 10_000_000
"""Tokens from which a search says on stderr, before it starts, how long it will take."""

SCREEN = 12
"""Lists that a subset must get right before it is run on all of them."""


def feeding_edges(config: Config) -> list[Edge]:
    """The edges that can reach a position that predicts an output; the others cannot matter."""
    allowed = build_mask(config)
    needed = torch.zeros(config.seq_len, dtype=torch.bool)
    needed[config.prediction_positions] = True
    found: list[Edge] = []
    for layer in reversed(range(config.n_layers)):
        rows = allowed[layer] & needed[:, None]
        found += [(layer, query, key) for query, key in rows.nonzero().tolist()]
        needed = needed | rows.any(0)
    return sorted(found)


@dataclass(frozen=True)
class SubsetScores:
    """Accuracy with only some edges kept, for many subsets of the feeding edges."""

    edges: Sequence[Edge]
    kept: Bool[Tensor, "subset edge"]
    per_token: Float[Tensor, "subset"]
    per_list: Float[Tensor, "subset"]
    cut: str = ""
    """What the search left out to stay within its bound; empty when nothing."""

    def frontier(self) -> pd.Series:
        """The best accuracy per token for each number of edges, which is the index."""
        return pd.Series(self.per_token.numpy()).groupby(self.kept.sum(1).numpy()).max()

    def smallest(self, level: float = 1.0) -> list[tuple[Edge, ...]]:
        """The subsets of the smallest size with `level` of the lists right; empty when none has."""
        good = self.kept[self.per_list >= level]
        sizes = good.sum(1)
        return [self._edges_of(row) for row in good[sizes == min(sizes, default=0)]]

    def core(self, level: float = 1.0) -> tuple[Edge, ...]:
        """The edges that every subset with `level` of the lists right keeps."""
        good = self.kept[self.per_list >= level]
        return self._edges_of(good.all(0)) if len(good) else ()

    def _edges_of(self, row: Bool[Tensor, "edge"]) -> tuple[Edge, ...]:
        return tuple(itertools.compress(self.edges, row.tolist()))


@dataclass(frozen=True)
class EdgeSearch:
    """Searches for edges that suffice: some kept, the other feeding edges removed."""

    model: TransformerBridge
    lists: Int[Tensor, "list position"]
    removal: Removal
    mean: Float[Tensor, "layer head query key"] | None = None
    """The mean pattern, which removal "mean" needs."""
    most_tokens: int = 35_000_000
    """Subsets x lists x positions that a search runs at most: about half a minute on one thread for
    the seed preset's model, of which it allows all subsets of 16 edges."""

    @cached_property
    def edges(self) -> list[Edge]:
        """The feeding edges; those that cannot matter are left alone."""
        return feeding_edges(config_of(self.model))

    @property
    def tokens(self) -> int:
        """Tokens that one subset takes."""
        return len(self.lists) * config_of(self.model).seq_len

    @property
    def most_subsets(self) -> int:
        """Subsets that a search runs at most."""
        return self.most_tokens // self.tokens

    def score(self, kept: Bool[Tensor, "subset edge"]) -> SubsetScores:
        """Teacher-forced accuracy with only the kept feeding edges, for each subset."""
        config = config_of(self.model)
        layers, queries, keys = torch.tensor(self.edges, dtype=torch.long).reshape(-1, 3).T
        rights = []
        for part in kept.split(max(1, TOKENS_AT_ONCE // self.tokens)):
            keep = torch.ones(len(part), config.n_layers, config.seq_len, config.seq_len)
            keep[:, layers, queries, keys] = part.float()
            repeated = self.lists.repeat(len(part), 1)
            hooks = keep_edges(keep, self.removal, self.mean)
            logits = logits_with(self.model, repeated, hooks)[:, config.prediction_positions]
            right = logits.argmax(-1).cpu() == repeated
            rights.append(right.unflatten(0, (len(part), -1)))
        right = torch.cat(rights)
        per_list = right.all(2).double().mean(1)
        return SubsetScores(self.edges, kept, right.double().mean((1, 2)), per_list)

    def all_subsets(self) -> SubsetScores:
        """Every subset of the feeding edges; ConfigError when they are more than `most_subsets`."""
        count = len(self.edges)
        if 2**count > self.most_subsets:
            raise ConfigError(
                f"{count} edges have too many subsets for most_tokens {self.most_tokens:,}: at "
                f"most {self.most_subsets:,} on {len(self.lists)} lists; give fewer lists, or "
                "search greedy"
            )
        self._say_how_long("all subsets", 2**count)
        return self.score((torch.arange(2**count)[:, None] >> torch.arange(count)) & 1 == 1)

    def smallest_exact(self) -> list[tuple[Edge, ...]]:
        """The smallest subsets with every list right; all are tried, but few on all lists."""
        spread = torch.linspace(0, len(self.lists) - 1, min(SCREEN, len(self.lists))).long()
        screened = replace(self, lists=self.lists[spread]).all_subsets()
        promising = screened.kept[screened.per_list == 1.0]
        sizes = promising.sum(1)
        for size in sizes.unique():
            if found := self.score(promising[sizes == size]).smallest():
                return found
        return []

    def greedy(self) -> SubsetScores:
        """From all edges, drop again and again the one that costs least accuracy per token.

        n(n+1)/2 subsets run instead of 2^n. Where that is more than `most_subsets`, the search is
        cut: a round drops one in so many of the edges left, half of them at most, the cheapest.
        """
        count = len(self.edges)
        for share in range(max(count, 2), 1, -1):
            rounds = _rounds(count, share)
            if sum(rounds) <= self.most_subsets:
                break
        else:
            raise ConfigError(
                f"most_tokens {self.most_tokens:,} is too few for {count} edges and "
                f"{self.tokens:,} tokens a subset; give fewer lists"
            )
        whole = count * (count + 1) // 2
        cut = f"1 in {share} edges dropped a round: {sum(rounds):,} of {whole:,} subsets run"
        self._say_how_long("greedy", sum(rounds))
        kept = [torch.ones(count, dtype=torch.bool)]
        for size, left in itertools.pairwise([*rounds, 0]):
            droppable = kept[-1].nonzero()[:, 0]
            candidates = kept[-1].repeat(size, 1)
            candidates[torch.arange(size), droppable] = False
            order = self.score(candidates).per_token.argsort(descending=True, stable=True)
            kept.append(kept[-1].index_fill(0, droppable[order[: size - left]], False))
        return replace(self.score(torch.stack(kept)), cut=cut if sum(rounds) < whole else "")

    def _say_how_long(self, search: str, subsets: int) -> None:
        if subsets * self.tokens < SAID_FROM:
            return
        batch = torch.ones(max(1, TOKENS_AT_ONCE // self.tokens), len(self.edges)).bool()
        started = time.perf_counter()
        self.score(batch)
        seconds = (time.perf_counter() - started) * subsets / len(batch)
        runs = f"{subsets:,} subsets x {len(self.lists):,} lists"
        print(f"{search}: {runs}, about {seconds:.0f} s", file=sys.stderr)


def within_reach(
    config: Config, lists: Int[Tensor, "list position"]
) -> tuple[Int[Tensor, "list position"], bool]:
    """The lists to search on, fewer for more edges, and whether all subsets can be tried."""
    count = len(feeding_edges(config))
    fitting = EdgeSearch.most_tokens // (2**count * config.seq_len)
    if fitting >= min(100, len(lists)):
        return lists[: min(1000, fitting)], True
    return lists[: 1000 if count <= 50 else 100], False


def _rounds(count: int, share: int) -> list[int]:
    """Edges left at each round of a greedy search that drops one in `share`, at least one."""
    sizes = []
    while count:
        sizes.append(count)
        count -= max(1, count // share)
    return sizes
