"""Interventions on a running model, each scored on every list.

lists = all_lists(Config())
mean = run_all(model, lists).patterns.mean(0)
hooks = knock_out(model, [(0, 2, 1)], "zero")          # L0 SEP<-d2
score_with(model, lists, hooks).per_token
edge_table(model, lists, "renormalise")                # {edge: score}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.config import Config
from listcomp_utils.hooks import Hook, NamedHook, Score, score_with
from listcomp_utils.mask import Edge, build_mask, edges
from listcomp_utils.model import config_of

Removal = Literal["zero", "renormalise", "mean"]
"""What stands in for a removed edge: nothing, nothing with the row's others scaled to sum to 1, or
the edge's mean weight over lists. The three answer different questions and are never mixed."""


def scale_edges(
    keep: Float[Tensor, "#list #head query key"],
    removal: Removal,
    mean: Float[Tensor, "head query key"] | None = None,
) -> Hook:
    """A hook on an attention pattern that keeps the edges where `keep` is 1 and removes where 0.

    Raises:
        ValueError: for an unknown `removal`, or "mean" without the mean pattern.
    """
    if removal not in get_args(Removal):
        raise ValueError(f"removal must be one of {get_args(Removal)}, got {removal!r}")
    if removal == "mean" and mean is None:
        raise ValueError("removal 'mean' needs the mean pattern")

    def hook(pattern: Tensor, hook: HookPoint) -> Tensor:
        kept = keep.to(pattern)
        edited = pattern * kept
        if removal == "mean":
            return edited + mean.to(pattern) * (1 - kept)
        if removal == "renormalise":
            before, after = pattern.sum(-1, keepdim=True), edited.sum(-1, keepdim=True)
            # An untouched row stays as it is, to the bit; an emptied one stays empty.
            touched = (kept < 1).any(-1, keepdim=True) & (after > 0)
            factor = torch.where(touched, before / after.clamp_min(1e-30), torch.ones_like(after))
            return edited * factor
        return edited

    return hook


def knock_out(
    model: TransformerBridge,
    removed: Sequence[Edge],
    removal: Removal,
    mean: Float[Tensor, "layer head query key"] | None = None,
) -> list[NamedHook]:
    """Hooks that remove edges in every head.

    Raises:
        ValueError: for an edge that the mask does not allow, or as `scale_edges`.
    """
    config = config_of(model)
    allowed = build_mask(config)
    hooks = []
    for edge in removed:
        if tuple(edge) not in edges(allowed):
            raise ValueError(f"edge {tuple(edge)} is not one of the mask's (layer, query, key)")
    for layer in sorted({edge[0] for edge in removed}):
        keep = torch.ones(1, 1, config.seq_len, config.seq_len)
        for edge_layer, query, key in removed:
            if edge_layer == layer:
                keep[..., query, key] = 0
        layer_mean = None if mean is None else mean[layer]
        hooks.append((get_act_name("pattern", layer), scale_edges(keep, removal, layer_mean)))
    return hooks


def edge_table(
    model: TransformerBridge,
    lists: Int[Tensor, "list position"],
    removal: Removal,
    mean: Float[Tensor, "layer head query key"] | None = None,
) -> dict[Edge, Score]:
    """The score with each single edge of the mask removed."""
    return {
        edge: score_with(model, lists, knock_out(model, [edge], removal, mean))
        for edge in edges(build_mask(config_of(model)))
    }


def uniform_pattern(config: Config, layer: int) -> Float[Tensor, "query key"]:
    """Equal attention over the keys the mask allows; rows without any stay zero."""
    allowed = build_mask(config)[layer].float()
    return allowed / allowed.sum(-1, keepdim=True).clamp_min(1)


def random_pattern(
    config: Config, layer: int, n_lists: int, generator: torch.Generator
) -> Float[Tensor, "list head query key"]:
    """Attention weights drawn uniformly from all that sum to 1 over the allowed keys, per list."""
    shape = (n_lists, config.n_heads, config.seq_len, config.seq_len)
    draws = torch.empty(shape).exponential_(generator=generator) * build_mask(config)[layer]
    return draws / draws.sum(-1, keepdim=True).clamp_min(1e-30)
