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
from listcomp_utils.hooks import Hook, NamedHook, run_all, score_with
from listcomp_utils.mask import Edge, build_mask, edge_label, edges
from listcomp_utils.model import config_of

Removal = Literal["zero", "renormalise", "mean"]
"""What stands in for a removed edge: nothing, nothing with the row's others scaled to sum to 1, or
the edge's mean weight over lists. The three answer different questions and are never mixed."""

REMOVALS: tuple[Removal, ...] = get_args(Removal)


def scale_edges(
    keep: Float[Tensor, "#list #head query key"],
    removal: Removal,
    mean: Float[Tensor, "head query key"] | None = None,
) -> Hook:
    """A hook on an attention pattern that keeps the edges where `keep` is 1 and removes where 0.

    Raises:
        ConfigError: for an unknown `removal`, or "mean" without the mean pattern.
    """
    if removal not in REMOVALS:
        raise ConfigError(f"removal must be one of {REMOVALS}, got {removal!r}")
    if removal == "mean" and mean is None:
        raise ConfigError("removal 'mean' needs the mean pattern, got mean=None")

    def hook(pattern: Tensor, hook: HookPoint) -> Tensor:
        kept = keep.to(pattern)
        edited = pattern * kept
        if removal == "mean":
            return edited + mean.to(pattern) * (1 - kept)
        if removal == "renormalise":
            before, after = pattern.sum(-1, keepdim=True), edited.sum(-1, keepdim=True)
            # An untouched row stays as it is, to the bit; an emptied one stays empty.
            touched = (kept < 1).any(-1, keepdim=True) & (after > 0)
            return edited * torch.where(touched, before / after.clamp_min(1e-30), 1)
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
        ConfigError: for an edge that the mask does not allow, or as `scale_edges`.
    """
    config = config_of(model)
    allowed = set(edges(build_mask(config)))
    keep = torch.ones(config.n_layers, 1, 1, config.seq_len, config.seq_len)
    for layer, query, key in removed:
        if (layer, query, key) not in allowed:
            raise ConfigError(
                f"edge {(layer, query, key)} is not one of the mask's (layer, query, key)"
            )
        keep[layer, ..., query, key] = 0
    return [
        (
            get_act_name("pattern", layer),
            scale_edges(keep[layer], removal, None if mean is None else mean[layer]),
        )
        for layer in sorted({layer for layer, _, _ in removed})
    ]


def edge_table(
    model: TransformerBridge,
    lists: Int[Tensor, "list position"],
    removals: Sequence[Removal] = REMOVALS,
    mean: Float[Tensor, "layer head query key"] | None = None,
) -> pd.DataFrame:
    """What each single edge of the mask is worth: the model's score on `lists` without it.

    One row an edge and removal: removal, layer, query, key, edge (its label), loss (nats),
    per_token, per_list, o1, o2, ... (shares right) and change, of per_token against the untouched
    model. `mean` is by default the mean pattern over `lists`.

    Raises:
        ConfigError: as `knock_out`.
    """
    config, untouched = config_of(model), score_with(model, lists)
    if "mean" in removals and mean is None:
        mean = run_all(model, lists).patterns.mean(0)
    rows = []
    for removal in removals:
        for edge in edges(build_mask(config)):
            score = score_with(model, lists, knock_out(model, [edge], removal, mean))
            where = dict(zip(("layer", "query", "key"), edge, strict=True))
            row = {"removal": removal, **where, "edge": edge_label(config, edge), **score.columns()}
            rows.append({**row, "change": score.per_token - untouched.per_token})
    return pd.DataFrame(rows)
