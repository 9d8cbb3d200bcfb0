"""The catalogue of interventions that 03_ablation scores: what is replaced, by what, how often.

entries = catalogue(model, lists, draws=20, seed=0)
intervention_table(model, lists, entries)              # a frame: one row a draw
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.config import Config
from listcomp_utils.hooks import (
    Activations,
    NamedHook,
    reorder_lists,
    replace,
    replace_at,
    replace_head,
    residual_name,
    run_all,
    score_with,
)
from listcomp_utils.mask import build_mask
from listcomp_utils.model import config_of


@dataclass(frozen=True)
class Intervention:
    """One thing done to the model; several draws when chance is part of it."""

    group: str
    name: str
    draws: tuple[tuple[NamedHook, ...], ...]
    by_list: bool = False
    """Whether it holds something of each list: it then fits the lists it was made for only."""


def intervention_table(
    model: TransformerBridge,
    lists: Int[Tensor, "list position"],
    interventions: Iterable[Intervention],
) -> pd.DataFrame:
    """The score of every draw of every intervention.

    Columns: group, intervention, draw, loss (nats), per_token, per_list, o1, o2, ... (shares
    right).
    """
    return pd.DataFrame(
        {"group": one.group, "intervention": one.name, "draw": draw}
        | score_with(model, lists, hooks).columns()
        for one in interventions
        for draw, hooks in enumerate(one.draws)
    )


def catalogue(
    model: TransformerBridge, lists: Int[Tensor, "list position"], draws: int, seed: int
) -> list[Intervention]:
    """Every intervention for a model and its lists, in order of group.

    Chance enters through a generator of its own; `draws` says how often.
    """
    config, seen = config_of(model), run_all(model, lists)
    generator = torch.Generator().manual_seed(seed)
    return [
        *_patterns(config, seen, len(lists), draws, generator),
        *_queries_keys_values(config, seen, len(lists), draws, generator),
        *_residuals(config, seen),
        *_positions(config, seen),
    ]


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


def _once(group: str, name: str, *hooks: NamedHook) -> Intervention:
    return Intervention(group, name, (hooks,))


def _of_another_list(
    group: str, layer: int, where: str, n_lists: int, draws: int, generator: torch.Generator
) -> Intervention:
    orders = [torch.randperm(n_lists, generator=generator) for _ in range(draws)]
    many = tuple(((where, reorder_lists(order)),) for order in orders)
    return Intervention(group, f"layer {layer}: of another list", many, by_list=True)


def _patterns(
    config: Config, seen: Activations, n_lists: int, draws: int, generator: torch.Generator
) -> Iterator[Intervention]:
    group = "attention pattern"
    uniforms, means = [], []
    for layer in range(config.n_layers):
        where = get_act_name("pattern", layer)
        uniforms.append((where, replace(uniform_pattern(config, layer))))
        yield _once(group, f"layer {layer}: uniform over the allowed keys", uniforms[-1])
        means.append((where, replace(seen.patterns[:, layer].mean(0))))
        yield _once(group, f"layer {layer}: mean over lists", means[-1])
        randoms = [random_pattern(config, layer, n_lists, generator) for _ in range(draws)]
        many = tuple(((where, replace(pattern)),) for pattern in randoms)
        yield Intervention(group, f"layer {layer}: random", many, by_list=True)
        yield _of_another_list(group, layer, where, n_lists, draws, generator)
    yield _once(group, "all layers: uniform", *uniforms)
    yield _once(group, "all layers: mean over lists", *means)


def _queries_keys_values(
    config: Config, seen: Activations, n_lists: int, draws: int, generator: torch.Generator
) -> Iterator[Intervention]:
    for group, kept in (("queries", seen.queries), ("keys", seen.keys), ("values", seen.values)):
        for layer in range(config.n_layers):
            where = get_act_name(group[0], layer)
            for head in range(config.n_heads):
                what = f"layer {layer}" + (f", head {head}" if config.n_heads > 1 else "")
                yield _once(group, f"{what}: zero", (where, replace_head(head, 0.0)))
                mean = replace_head(head, kept[:, layer, :, head].mean(0))
                yield _once(group, f"{what}: mean over lists", (where, mean))
            yield _of_another_list(group, layer, where, n_lists, draws, generator)


def _residuals(config: Config, seen: Activations) -> Iterator[Intervention]:
    group = "residual stream"
    places = {"all positions": list(range(config.seq_len))}
    places |= {label: [place] for place, label in enumerate(config.labels)}
    for layer in range(config.n_layers + 1):
        where = residual_name(config, layer)
        when = f"before layer {layer}" if layer < config.n_layers else f"after layer {layer - 1}"
        mean = seen.residuals[:, layer].mean(0)
        for label, place in places.items():
            yield _once(group, f"{when}, {label}: zero", (where, replace_at(place, 0.0)))
            yield _once(group, f"{when}, {label}: mean", (where, replace_at(place, mean[place])))


def _positions(config: Config, seen: Activations) -> Iterator[Intervention]:
    if config.positions != "learned":
        return
    group, where = "position embedding", "hook_pos_embed"
    embedding = seen.contributions[0, 1]
    yield _once(group, "removed everywhere", (where, replace_at(range(config.seq_len), 0.0)))
    for place, label in enumerate(config.labels):
        yield _once(group, f"removed at {label}", (where, replace_at([place], 0.0)))
    if config.list_len > 1:
        for whose, places in (
            ("digits'", config.digit_positions),
            ("outputs'", config.output_positions),
        ):
            swapped = replace_at(places, embedding[list(places)].flip(0))
            yield _once(group, f"{whose} reversed", (where, swapped))
