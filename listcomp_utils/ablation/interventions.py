"""The catalogue of interventions that 03_ablation scores: what is replaced, by what, how often.

entries = catalogue(model, lists, draws=20, seed=0)
what_each_costs(model, lists, entries, (8, 3))         # a frame: one row an intervention
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils import hooks
from listcomp_utils.config import Config
from listcomp_utils.hooks import NamedHook, logits_with, score_with
from listcomp_utils.mask import build_mask
from listcomp_utils.model import config_of
from listcomp_utils.task import IGNORED, target_tokens


class Intervention(NamedTuple):
    """One thing done to the model; several draws when chance is part of it."""

    group: str
    name: str
    draws: tuple[tuple[NamedHook, ...], ...]
    by_list: bool = False
    """Whether it holds something of each list: it then fits the lists it was made for only."""


def what_each_costs(
    model: TransformerBridge,
    lists: Int[Tensor, "list position"],
    interventions: Sequence[Intervention],
    example: Sequence[int],
) -> pd.DataFrame:
    """The mean score of every intervention over its draws, one row each.

    Beside the score, its spread over draws (_sd), change_points (of per_token, against the
    untouched model) and loss_on_example (over all positions of that one list; nan where chance fits
    the lists it was drawn for only).
    """
    draws = pd.DataFrame(
        {"group": one.group, "intervention": one.name} | score_with(model, lists, edits).columns()
        for one in interventions
        for edits in one.draws
    )
    by_name = draws.groupby(["group", "intervention"], sort=False)
    table = by_name.mean()
    for score in ("loss", "per_token", "per_list"):
        table.insert(table.columns.get_loc(score) + 1, f"{score}_sd", by_name[score].std())
    table["change_points"] = 100 * (table["per_token"] - score_with(model, lists).per_token)
    table["loss_on_example"] = [
        float("nan") if one.by_list else loss_by_position(model, example, one.draws[0]).mean()
        for one in interventions
    ]
    return table.reset_index()


def loss_by_position(
    model: TransformerBridge, example: Sequence[int], edits: Sequence[NamedHook] = ()
) -> pd.Series:
    """The loss (nats) on one list at each position that predicts a token; labels are the index."""
    config, one = config_of(model), torch.tensor([example])
    targets = target_tokens(config.replace(loss_on="all"), one)[0]
    logits = logits_with(model, one, edits)[0].cpu()
    losses = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
    return pd.Series(losses.tolist(), config.labels)[(targets != IGNORED).tolist()]


def catalogue(
    model: TransformerBridge, lists: Int[Tensor, "list position"], draws: int, seed: int
) -> list[Intervention]:
    """Every intervention for a model and its lists, in order of group; those of chance drawn."""
    config, seen = config_of(model), hooks.run_all(model, lists)
    generator = torch.Generator().manual_seed(seed)
    found: list[Intervention] = []

    def add(group: str, name: str, *edits: NamedHook) -> None:
        found.append(Intervention(group, name, (edits,)))

    def add_drawn(group: str, name: str, where: str, edits: Iterable[hooks.Hook]) -> None:
        many = tuple(((where, edit),) for edit in edits)
        found.append(Intervention(group, name, many, by_list=True))

    def of_another_list(group: str, layer: int, where: str) -> None:
        orders = (torch.randperm(len(lists), generator=generator) for _ in range(draws))
        add_drawn(group, f"layer {layer}: of another list", where, map(hooks.reorder_lists, orders))

    group = "attention pattern"
    uniforms, means = [], []
    for layer in range(config.n_layers):
        where = get_act_name("pattern", layer)
        uniforms.append((where, hooks.replace(uniform_pattern(config, layer))))
        means.append((where, hooks.replace(seen.patterns[:, layer].mean(0))))
        add(group, f"layer {layer}: uniform over the allowed keys", uniforms[-1])
        add(group, f"layer {layer}: mean over lists", means[-1])
        shape = (config, layer, len(lists), generator)
        randoms = (hooks.replace(random_pattern(*shape)) for _ in range(draws))
        add_drawn(group, f"layer {layer}: random", where, randoms)
        of_another_list(group, layer, where)
    add(group, "all layers: uniform", *uniforms)
    add(group, "all layers: mean over lists", *means)

    for group, kept in (("queries", seen.queries), ("keys", seen.keys), ("values", seen.values)):
        for layer in range(config.n_layers):
            where = get_act_name(group[0], layer)
            for head in range(config.n_heads):
                what = f"layer {layer}" + (f", head {head}" if config.n_heads > 1 else "")
                mean = kept[:, layer, :, head].mean(0)
                add(group, f"{what}: zero", (where, hooks.replace_head(head, 0.0)))
                add(group, f"{what}: mean over lists", (where, hooks.replace_head(head, mean)))
            of_another_list(group, layer, where)

    group = "residual stream"
    places = {"all positions": list(range(config.seq_len))}
    places |= {label: [place] for place, label in enumerate(config.labels)}
    for layer in range(config.n_layers + 1):
        where = hooks.residual_name(config, layer)
        when = f"after layer {layer - 1}" if layer else "before layer 0"
        mean = seen.residuals[:, layer].mean(0)
        for label, place in places.items():
            add(group, f"{when}, {label}: zero", (where, hooks.replace_at(place, 0.0)))
            add(group, f"{when}, {label}: mean", (where, hooks.replace_at(place, mean[place])))

    if config.positions == "learned":
        group, where = "position embedding", "hook_pos_embed"
        add(group, "removed everywhere", (where, hooks.replace_at(range(config.seq_len), 0.0)))
        for place, label in enumerate(config.labels):
            add(group, f"removed at {label}", (where, hooks.replace_at([place], 0.0)))
        if config.list_len > 1:
            for whose in ("digit", "output"):
                order = list(getattr(config, f"{whose}_positions"))
                swapped = hooks.replace_at(order, seen.contributions[0, 1, order[::-1]])
                add(group, f"{whose}s' reversed", (where, swapped))
    return found


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
