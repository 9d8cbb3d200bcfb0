"""Putting one list's residual vector into another's run: do the outputs follow?

    pairs = list_pairs(Config(), most=10_000, seed=0)
    interchange(model, pairs, layers=[1], positions=[2])     # the separator's before layer 1

A layer counts residual streams: 0 is before layer 0, 1 after layer 0 (before layer 1), and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.config import Config
from listcomp_utils.hooks import logits_with, replace_at, residual_name, run_all
from listcomp_utils.model import config_of
from listcomp_utils.task import all_lists, sample_lists


class ListPairs(NamedTuple):
    """Base lists, whose run is edited, and source lists, whose vectors are put in."""

    base: Int[Tensor, "pair position"]
    source: Int[Tensor, "pair position"]


def list_pairs(config: Config, most: int, seed: int) -> ListPairs:
    """Every ordered pair of lists when there are at most `most`, else a seeded sample."""
    if config.n_lists**2 <= most:
        lists = all_lists(config)
        return ListPairs(lists.repeat_interleave(len(lists), 0), lists.repeat(len(lists), 1))
    return ListPairs(*sample_lists(config, 2 * most, seed).chunk(2))


def interchange(
    model: TransformerBridge,
    pairs: ListPairs,
    layers: Sequence[int] | None = None,
    positions: Sequence[int] | None = None,
    placebo: bool = False,
) -> pd.DataFrame:
    """Replace the residual of each base by the source's, at one layer and position at a time.

    By default all that can matter. A placebo is the base's own vector, moved as far as the source's
    is away but in a random direction. Of the `n_pairs` pairs whose digits differ at an output, the
    columns have the shares in which it is the source's (follows_source) or the base's digit.
    """
    config = config_of(model)
    lists, number = torch.cat(pairs).unique(dim=0, return_inverse=True)
    bases, sources = run_all(model, lists).residuals[number].chunk(2)
    differ = pairs.base != pairs.source
    n_pairs = differ.sum(0)
    rows = []
    for layer in range(config.n_layers + 1) if layers is None else layers:
        for place in range(config.prediction_positions.stop) if positions is None else positions:
            base, put_in = bases[:, layer, place], sources[:, layer, place]
            if placebo:
                direction = torch.randn(base.shape, generator=torch.Generator().manual_seed(0))
                distance = (put_in - base).norm(dim=-1, keepdim=True)
                put_in = base + direction / direction.norm(dim=-1, keepdim=True) * distance
            hook = (residual_name(config, layer), replace_at([place], put_in[:, None]))
            logits = logits_with(model, pairs.base, [hook])
            written = logits[:, config.prediction_positions].argmax(-1).cpu()
            follows, stays = (
                (((written == digits) & differ).sum(0).double() / n_pairs).tolist()
                for digits in (pairs.source, pairs.base)
            )
            columns = zip(follows, stays, n_pairs.tolist(), strict=True)
            for output, shares in enumerate(columns, 1):
                rows.append((layer, config.labels[place], f"o{output}", *shares))
    names = ["layer", "position", "output", "follows_source", "follows_base", "n_pairs"]
    return pd.DataFrame(rows, columns=names)
