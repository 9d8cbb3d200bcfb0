"""Putting one list's residual vector into another's run: do the outputs follow?

    pairs = list_pairs(Config(), most=10_000, seed=0)
    interchange(model, pairs, layer=1, position=2)     # the separator's vector before layer 1

`layer` counts residual streams: 0 is before layer 0, 1 after layer 0 (before layer 1), and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.config import Config
from listcomp_utils.hooks import Hook, logits_with, run_all
from listcomp_utils.model import config_of
from listcomp_utils.task import all_lists, sample_lists

Source = Literal["list", "placebo"]


@dataclass(frozen=True)
class ListPairs:
    """Base lists, whose run is edited, and source lists, whose vectors are put in."""

    base: Int[Tensor, "pair position"]
    source: Int[Tensor, "pair position"]


@dataclass(frozen=True)
class PairResiduals:
    """The residual streams of the base and of the source lists."""

    base: Float[Tensor, "pair layer_plus_1 sequence d_model"]
    source: Float[Tensor, "pair layer_plus_1 sequence d_model"]


@dataclass(frozen=True)
class Follows:
    """For each output, shares of the pairs whose base and source digits differ there."""

    source: tuple[float, ...]
    """Outputs equal to the source's digit."""
    base: tuple[float, ...]
    """Outputs equal to the base's digit."""
    n_pairs: tuple[int, ...]
    """Pairs that count, for each output."""


def list_pairs(config: Config, most: int, seed: int) -> ListPairs:
    """Every ordered pair of lists when there are at most `most`, else a seeded sample."""
    if config.n_lists**2 <= most:
        lists = all_lists(config)
        count = len(lists)
        return ListPairs(lists.repeat_interleave(count, 0), lists.repeat(count, 1))
    both = sample_lists(config, 2 * most, seed)
    return ListPairs(both[:most], both[most:])


def pair_residuals(model: TransformerBridge, pairs: ListPairs) -> PairResiduals:
    """Run both lists of every pair once, for many interchanges on the same pairs."""
    base, source = (run_all(model, lists).residuals for lists in (pairs.base, pairs.source))
    return PairResiduals(base, source)


def interchange(
    model: TransformerBridge,
    pairs: ListPairs,
    layer: int,
    position: int,
    source: Source = "list",
    seed: int = 0,
    residuals: PairResiduals | None = None,
) -> Follows:
    """Replace the residual at one layer and position of each base by the source's.

    With source "placebo" the vector put in is the base's own, moved as far as the source's is
    away but in a random direction. Outputs are teacher-forced with the base's. `residuals`, from
    `pair_residuals`, saves running the pairs again.
    """
    config = config_of(model)
    residuals = residuals or pair_residuals(model, pairs)
    base, other = residuals.base[:, layer, position], residuals.source[:, layer, position]
    if source == "placebo":
        generator = torch.Generator().manual_seed(seed)
        direction = torch.randn(base.shape, generator=generator)
        distance = (other - base).norm(dim=-1, keepdim=True)
        other = base + direction / direction.norm(dim=-1, keepdim=True) * distance
    if layer < config.n_layers:
        name = get_act_name("resid_pre", layer)
    else:
        name = get_act_name("resid_post", layer - 1)
    logits = logits_with(model, pairs.base, [(name, _put_at(position, other))])
    written = logits[:, config.prediction_positions].argmax(-1).cpu()
    shares = []
    for output in range(config.list_len):
        counted = pairs.base[:, output] != pairs.source[:, output]
        answers = written[counted, output]
        follows = (answers == pairs.source[counted, output]).double().mean().item()
        stays = (answers == pairs.base[counted, output]).double().mean().item()
        shares.append((follows, stays, int(counted.sum())))
    return Follows(*(tuple(column) for column in zip(*shares, strict=True)))


def _put_at(position: int, vectors: Tensor) -> Hook:
    def hook(residual: Tensor, hook: HookPoint) -> Tensor:
        edited = residual.clone()
        edited[:, position] = vectors.to(residual)
        return edited

    return hook
