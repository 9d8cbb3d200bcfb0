"""Which attention edges are enough? Every subset is tried, many in one batch.

mean = run_all(model, lists).patterns.mean(0)
found = all_subsets(model, lists, "zero", mean)
found.frontier()                   # {number of edges: best accuracy per token}
found.smallest()                   # the smallest subsets with every list right
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.ablation.edges import Removal, scale_edges
from listcomp_utils.config import Config
from listcomp_utils.hooks import logits_with
from listcomp_utils.mask import Edge, build_mask
from listcomp_utils.model import config_of

ROWS_AT_ONCE = 40_000
"""Sequences in one forward pass of the search: bounds the memory."""

SCREEN = 12
"""Lists that a subset must get right before it is run on all of them."""

MOST_EDGES = 16
"""Up to this many feeding edges, all subsets are tried."""


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

    config: Config
    edges: tuple[Edge, ...]
    kept: Bool[Tensor, "subset edge"]
    per_token: Float[Tensor, "subset"]
    per_list: Float[Tensor, "subset"]

    def sizes(self) -> Int[Tensor, "subset"]:
        """Edges kept in each subset."""
        return self.kept.sum(1)

    def frontier(self) -> dict[int, float]:
        """The best accuracy per token for each number of edges."""
        sizes = self.sizes()
        return {
            size: self.per_token[sizes == size].max().item() for size in sizes.unique().tolist()
        }

    def smallest(self, level: float = 1.0) -> list[tuple[Edge, ...]]:
        """The subsets of the smallest size with `level` of the lists right; empty when none has."""
        good = self.per_list >= level
        if not good.any():
            return []
        sizes = self.sizes()
        return [self._edges_of(row) for row in self.kept[good & (sizes == sizes[good].min())]]

    def minimal(self, level: float = 1.0) -> list[tuple[Edge, ...]]:
        """The subsets with `level` of the lists right that contain no smaller one of them."""
        good = self.kept[self.per_list >= level]
        minimal: list[Tensor] = []
        for row in good[good.sum(1).argsort(stable=True)]:
            if not any((smaller & ~row).sum() == 0 for smaller in minimal):
                minimal.append(row)
        return [self._edges_of(row) for row in minimal]

    def core(self, level: float = 1.0) -> tuple[Edge, ...]:
        """The edges that every subset with `level` of the lists right keeps."""
        good = self.kept[self.per_list >= level]
        return self._edges_of(good.all(0)) if len(good) else ()

    def _edges_of(self, row: Bool[Tensor, "edge"]) -> tuple[Edge, ...]:
        return tuple(edge for edge, kept in zip(self.edges, row.tolist(), strict=True) if kept)


def score_subsets(
    model: TransformerBridge,
    lists: Int[Tensor, "list position"],
    kept: Bool[Tensor, "subset edge"],
    removal: Removal,
    mean: Float[Tensor, "layer head query key"],
) -> SubsetScores:
    """Teacher-forced accuracy with only the kept feeding edges, for each subset.

    Edges that cannot matter are left alone.
    """
    config = config_of(model)
    feeding = feeding_edges(config)
    per_token, per_list = [], []
    for part in kept.split(max(1, ROWS_AT_ONCE // len(lists))):
        weights = torch.ones(len(part), config.n_layers, config.seq_len, config.seq_len)
        for number, (layer, query, key) in enumerate(feeding):
            weights[:, layer, query, key] = part[:, number].float()
        weights = weights.repeat_interleave(len(lists), dim=0)
        hooks = [
            (
                get_act_name("pattern", layer),
                scale_edges(weights[:, None, layer], removal, mean[layer]),
            )
            for layer in range(config.n_layers)
        ]
        repeated = lists.repeat(len(part), 1)
        logits = logits_with(model, repeated, hooks)[:, config.prediction_positions]
        right = (logits.argmax(-1).cpu() == repeated).view(len(part), len(lists), -1).double()
        per_token.append(right.mean((1, 2)))
        per_list.append(right.all(2).double().mean(1))
    return SubsetScores(config, tuple(feeding), kept, torch.cat(per_token), torch.cat(per_list))


def all_subsets(
    model: TransformerBridge,
    lists: Int[Tensor, "list position"],
    removal: Removal,
    mean: Float[Tensor, "layer head query key"],
) -> SubsetScores:
    """Every subset of the feeding edges; raises ValueError when they are more than `MOST_EDGES`."""
    count = len(feeding_edges(config_of(model)))
    if count > MOST_EDGES:
        raise ValueError(f"{count} feeding edges have too many subsets (at most {MOST_EDGES})")
    numbers = torch.arange(2**count)
    kept = (numbers[:, None] >> torch.arange(count)) & 1 == 1
    return score_subsets(model, lists, kept, removal, mean)


def smallest_exact_by_size(
    model: TransformerBridge,
    lists: Int[Tensor, "list position"],
    removal: Removal,
    mean: Float[Tensor, "layer head query key"],
) -> SubsetScores:
    """Subsets in order of size, up to the first size at which one gets every list right.

    A subset is first run on a few lists; only one that gets those right is run on all. The scores
    of the others are of those few lists alone: below 1 per list, and no estimate for all.
    """
    count = len(feeding_edges(config_of(model)))
    few = lists[torch.linspace(0, len(lists) - 1, min(SCREEN, len(lists))).long()]
    parts: list[SubsetScores] = []
    for size in range(count + 1):
        kept = _subsets_of_size(count, size)
        screened = score_subsets(model, few, kept, removal, mean)
        survivors = screened.per_list == 1.0
        if survivors.any():
            full = score_subsets(model, lists, kept[survivors], removal, mean)
            screened.per_token[survivors] = full.per_token
            screened.per_list[survivors] = full.per_list
        parts.append(screened)
        if (screened.per_list == 1.0).any():
            break
    return _joined(parts)


def greedy(
    model: TransformerBridge,
    lists: Int[Tensor, "list position"],
    removal: Removal,
    mean: Float[Tensor, "layer head query key"],
) -> SubsetScores:
    """From all edges, drop again and again the one that costs least accuracy per token.

    One subset a size: n(n+1)/2 subsets run instead of 2^n. Ties go to the first edge.
    """
    count = len(feeding_edges(config_of(model)))
    current = torch.ones(count, dtype=torch.bool)
    parts = [score_subsets(model, lists, current[None], removal, mean)]
    while current.any():
        candidates = current.repeat(int(current.sum()), 1)
        candidates[torch.arange(len(candidates)), current.nonzero()[:, 0]] = False
        scored = score_subsets(model, lists, candidates, removal, mean)
        best = int(scored.per_token.argmax())
        current = candidates[best]
        parts.append(_rows(scored, [best]))
    return _joined(parts)


def _subsets_of_size(count: int, size: int) -> Bool[Tensor, "subset edge"]:
    chosen: Iterable[Sequence[int]] = list(itertools.combinations(range(count), size))
    kept = torch.zeros(len(chosen), count, dtype=torch.bool)
    if size:
        kept.scatter_(1, torch.tensor(chosen), True)
    return kept


def _rows(scores: SubsetScores, rows: Sequence[int]) -> SubsetScores:
    index = torch.tensor(rows)
    parts = (scores.kept[index], scores.per_token[index], scores.per_list[index])
    return SubsetScores(scores.config, scores.edges, *parts)


def _joined(parts: Sequence[SubsetScores]) -> SubsetScores:
    fields = [torch.cat([getattr(p, n) for p in parts]) for n in ("kept", "per_token", "per_list")]
    return SubsetScores(parts[0].config, parts[0].edges, *fields)
