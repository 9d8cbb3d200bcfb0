"""Which position may attend to which: the rule that forces the list through the separator.

allowed = build_mask(Config.preset("study"))   # (layer, query, key)
edges(allowed)                                 # [(0, 0, 0), (0, 1, 0), (0, 2, 0), ...]
"""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from listcomp_utils.config import Config

Edge = tuple[int, int, int]
"""(layer, query position, key position)."""


def build_mask(config: Config) -> Bool[Tensor, "layer query key"]:
    """True where the query position may attend to the key position, for each layer.

    In every layer an output may not attend to the digits. Autoregressive (the seed notebook):
    causal with the diagonal. Masked (the published study): the diagonal is closed too, but for the
    first position, and in layer 0 the outputs attend to nothing.
    """
    mask = torch.ones(config.n_layers, config.seq_len, config.seq_len, dtype=torch.bool)
    mask = mask.tril(0 if config.decoding == "autoregressive" else -1)
    mask[:, 0, 0] = True
    mask[:, config.output_positions, : config.list_len] = False
    if config.decoding == "masked":
        mask[0, config.output_positions] = False
    return mask


def edges(mask: Bool[Tensor, "layer query key"]) -> list[Edge]:
    """The allowed edges in order of layer, query and key."""
    return [tuple(edge) for edge in mask.nonzero().tolist()]


def edge_label(config: Config, edge: Edge) -> str:
    """An edge in words, as `L0 SEP<-d2`."""
    layer, query, key = edge
    return f"L{layer} {config.labels[query]}<-{config.labels[key]}"
