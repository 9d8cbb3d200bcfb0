"""The catalogue of interventions that 03_ablation scores: what is replaced, by what, how often.

for entry in catalogue(model, lists, draws=20, seed=0):
    scores = score_intervention(model, lists, entry)   # one a draw
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.ablation.edges import random_pattern, uniform_pattern
from listcomp_utils.config import Config
from listcomp_utils.hooks import (
    Activations,
    NamedHook,
    Score,
    reorder_lists,
    replace,
    replace_at,
    replace_head,
    run_all,
    score_with,
)
from listcomp_utils.model import config_of


@dataclass(frozen=True)
class Intervention:
    """One thing done to the model; several draws when chance is part of it."""

    group: str
    name: str
    draws: tuple[tuple[NamedHook, ...], ...]


def score_intervention(
    model: TransformerBridge, lists: Int[Tensor, "list position"], intervention: Intervention
) -> list[Score]:
    """The score of each draw."""
    return [score_with(model, lists, hooks) for hooks in intervention.draws]


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


def _once(group: str, name: str, *hooks: NamedHook) -> Intervention:
    return Intervention(group, name, (hooks,))


def _patterns(
    config: Config, seen: Activations, n_lists: int, draws: int, generator: torch.Generator
) -> Iterator[Intervention]:
    group = "attention pattern"
    for layer in range(config.n_layers):
        where = get_act_name("pattern", layer)
        uniform = replace(uniform_pattern(config, layer))
        yield _once(group, f"layer {layer}: uniform over the allowed keys", (where, uniform))
        mean = replace(seen.patterns[:, layer].mean(0))
        yield _once(group, f"layer {layer}: mean over lists", (where, mean))
        randoms = [random_pattern(config, layer, n_lists, generator) for _ in range(draws)]
        many = tuple(((where, replace(pattern)),) for pattern in randoms)
        yield Intervention(group, f"layer {layer}: random", many)
        orders = [torch.randperm(n_lists, generator=generator) for _ in range(draws)]
        many = tuple(((where, reorder_lists(order)),) for order in orders)
        yield Intervention(group, f"layer {layer}: of another list", many)
    names = [get_act_name("pattern", layer) for layer in range(config.n_layers)]
    uniforms = [replace(uniform_pattern(config, layer)) for layer in range(config.n_layers)]
    yield _once(group, "all layers: uniform", *zip(names, uniforms, strict=True))
    means = [replace(seen.patterns[:, layer].mean(0)) for layer in range(config.n_layers)]
    yield _once(group, "all layers: mean over lists", *zip(names, means, strict=True))


def _queries_keys_values(
    config: Config, seen: Activations, n_lists: int, draws: int, generator: torch.Generator
) -> Iterator[Intervention]:
    kept = {"q": seen.queries, "k": seen.keys, "v": seen.values}
    words = {"q": "queries", "k": "keys", "v": "values"}
    for kind in kept:
        for layer in range(config.n_layers):
            where = get_act_name(kind, layer)
            for head in range(config.n_heads):
                what = f"layer {layer}" + (f", head {head}" if config.n_heads > 1 else "")
                yield _once(words[kind], f"{what}: zero", (where, replace_head(head, 0.0)))
                mean = kept[kind][:, layer, :, head].mean(0)
                yield _once(
                    words[kind], f"{what}: mean over lists", (where, replace_head(head, mean))
                )
            orders = [torch.randperm(n_lists, generator=generator) for _ in range(draws)]
            many = tuple(((where, reorder_lists(order)),) for order in orders)
            yield Intervention(words[kind], f"layer {layer}: of another list", many)


def _residuals(config: Config, seen: Activations) -> Iterator[Intervention]:
    group = "residual stream"
    everywhere = list(range(config.seq_len))
    for layer in range(config.n_layers + 1):
        if layer < config.n_layers:
            where, when = get_act_name("resid_pre", layer), f"before layer {layer}"
        else:
            where = get_act_name("resid_post", layer - 1)
            when = f"after layer {layer - 1}"
        mean = seen.residuals[:, layer].mean(0)
        places = {"all positions": everywhere}
        places |= {label: [place] for place, label in enumerate(config.labels)}
        for label, place in places.items():
            yield _once(group, f"{when}, {label}: zero", (where, replace_at(place, 0.0)))
            yield _once(group, f"{when}, {label}: mean", (where, replace_at(place, mean[place])))


def _positions(config: Config, seen: Activations) -> Iterator[Intervention]:
    if config.positions != "learned":
        return
    group, where = "position embedding", "hook_pos_embed"
    embedding = seen.contributions[0, 1]
    everywhere = list(range(config.seq_len))
    yield _once(group, "removed everywhere", (where, replace_at(everywhere, 0.0)))
    for place, label in enumerate(config.labels):
        yield _once(group, f"removed at {label}", (where, replace_at([place], 0.0)))
    if config.list_len > 1:
        swapped = list(range(config.list_len))[::-1]
        values = embedding[swapped]
        yield _once(group, "digits' reversed", (where, replace_at(swapped[::-1], values)))
        outputs = list(config.output_positions)
        values = embedding[outputs[::-1]]
        yield _once(group, "outputs' reversed", (where, replace_at(outputs, values)))
