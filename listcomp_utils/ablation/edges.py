"""What an attention edge is worth: edges removed in three ways, each scored on every list.

lists = all_lists(Config())
hooks = knock_out(model, [(0, 2, 1)], "zero")          # L0 SEP<-d2
score_with(model, lists, hooks).per_token
edge_table(model, lists, ["zero", "renormalise"])      # a frame: each edge, each removal
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.config import ConfigError
from listcomp_utils.hooks import Hook, NamedHook, score_with
from listcomp_utils.mask import Edge, build_mask, edge_label, edges
from listcomp_utils.model import config_of

Removal = Literal["zero", "renormalise", "mean"]
"""What stands in for a removed edge: nothing, nothing with the row's others scaled to sum to 1, or
the edge's mean weight over lists. The three answer different questions and are never mixed."""

REMOVALS: tuple[Removal, ...] = get_args(Removal)


def keep_edges(
    keep: Float[Tensor, "subset layer query key"],
    removal: Removal,
    mean: Float[Tensor, "layer head query key"] | None = None,
) -> list[NamedHook]:
    """Hooks that keep the edges where `keep` is 1, in every head, and remove those where it is 0.

    With several subsets the lists that are run must stand there once for each, subset by subset.
    """
    if removal not in REMOVALS:
        raise ConfigError(f"removal must be one of {REMOVALS}, got {removal!r}")
    if removal == "mean" and mean is None:
        raise ConfigError("removal 'mean' needs the mean pattern, got mean=None")

    def edit(layer: int) -> Hook:
        def hook(pattern: Tensor, hook: HookPoint) -> Tensor:
            pattern = pattern.unflatten(0, (len(keep), -1))
            kept = keep[:, layer, None, None].to(pattern)
            edited = pattern * kept
            if removal == "mean":
                edited += mean[layer].to(pattern) * (1 - kept)
            if removal == "renormalise":
                before, after = pattern.sum(-1, keepdim=True), edited.sum(-1, keepdim=True)
                # An untouched row stays as it is, to the bit; an emptied one stays empty.
                touched = (kept < 1).any(-1, keepdim=True) & (after > 0)
                edited *= torch.where(touched, before / after.clamp_min(1e-30), 1)
            return edited.flatten(0, 1)

        return hook

    layers = (keep < 1).any(3).any(2).any(0).nonzero()[:, 0].tolist()
    return [(get_act_name("pattern", layer), edit(layer)) for layer in layers]


def knock_out(
    model: TransformerBridge,
    removed: Sequence[Edge],
    removal: Removal,
    mean: Float[Tensor, "layer head query key"] | None = None,
) -> list[NamedHook]:
    """Hooks that remove edges in every head; raises ConfigError for one that is not in the mask."""
    allowed = build_mask(config_of(model))
    keep = torch.ones(1, *allowed.shape)
    for edge in removed:
        if edge not in edges(allowed):
            raise ConfigError(f"edge {edge} is not one of the mask's (layer, query, key)")
        keep[0][edge] = 0
    return keep_edges(keep, removal, mean)


def edge_table(
    model: TransformerBridge,
    lists: Int[Tensor, "list position"],
    removals: Sequence[Removal],
    mean: Float[Tensor, "layer head query key"] | None = None,
) -> pd.DataFrame:
    """The model's score on `lists` without each single edge of the mask, removed in each way.

    Beside the score's columns removal, layer, query, key, edge (its label), and change, of
    per_token against the untouched model.
    """
    config, untouched = config_of(model), score_with(model, lists)
    rows = []
    for removal in removals:
        for edge in edges(build_mask(config)):
            score = score_with(model, lists, knock_out(model, [edge], removal, mean))
            where = dict(zip(("layer", "query", "key"), edge, strict=True))
            row = {"removal": removal, **where, "edge": edge_label(config, edge), **score.columns()}
            rows.append({**row, "change": score.per_token - untouched.per_token})
    return pd.DataFrame(rows)
