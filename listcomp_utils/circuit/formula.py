"""The study's architecture as a formula: patterns and logits from embeddings and QK matrices alone.

    weights = weights_of(model, dtype=torch.float64)
    circuit = run(weights, all_lists(config))
    logits(weights, circuit)                       # equal to the model's
    run(weights, lists, without_edge((0, 2, 1)))      # L0 SEP<-d2 removed

Without LayerNorm and biases, and with W_V = W_O = I, a layer adds to each position a weighted sum
of the others, so every residual vector is a mixture of the input vectors x_k = E[t_k] + P_k:

    r^l_q = sum_k M^l_qk x_k,    M^0 = I,    M^(l+1) = (I + A^l) M^l,
    A^l = softmax over allowed keys of  M^l (x Q^l x^T) (M^l)^T,    Q^l = W_Q W_K^T / sqrt(d_head),
    logits_q = sum_k M^L_qk (E[t_k] U + P_k U).

Equations (1), (2) and (8) to (11) of Farrell et al., "Order by Scale" (2025) are this for two
layers and two digits. All functions are differentiable and work under `torch.func.vmap`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from listcomp_utils.config import PLAIN_LAYERS, Config, require
from listcomp_utils.generation import share
from listcomp_utils.mask import Edge, build_mask, edges
from listcomp_utils.model import config_of
from listcomp_utils.task import input_tokens

Lists = Int[Tensor, "list position"]
"""Lists of digits, a row each."""
Edit = Callable[[int, Tensor], Tensor]
"""From a layer and its patterns (list, query, key) to those that take their place."""


@dataclass(frozen=True)
class Weights:
    """All that the formula reads of a model; `query_key` is W_Q W_K^T / sqrt(d_head)."""

    config: Config
    token: Float[Tensor, "vocabulary d_model"]
    position: Float[Tensor, "sequence d_model"]
    unembed: Float[Tensor, "d_model vocabulary"]
    query_key: Float[Tensor, "layer d_model d_model"]

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The numbers: token, position, unembed and query_key."""
        return self.token, self.position, self.unembed, self.query_key

    @property
    def separator_input(self) -> Float[Tensor, "d_model"]:
        """What SEP holds before layer 0."""
        return self.token[self.config.sep_id] + self.position[self.config.sep_position]

    @property
    def output_inputs(self) -> Float[Tensor, "output d_model"]:
        """What the outputs hold before layer 0, under masked decoding."""
        return self.token[self.config.mask_id] + self.position[list(self.config.output_positions)]

    def double(self) -> Weights:
        """The same in float64."""
        return Weights(self.config, *(part.double() for part in self.parts))


class Circuit(NamedTuple):
    """Attention on some lists, and how much of each source's embedding a position then holds."""

    tokens: Int[Tensor, "list sequence"]
    patterns: Float[Tensor, "list layer query key"]
    mixtures: Float[Tensor, "list layer_plus_1 position source"]


def check_architecture(config: Config) -> None:
    """Raise ConfigError, naming the fields, unless the formula holds for this config."""
    require(config, "the closed form", **PLAIN_LAYERS, n_heads=1, positions="learned")


def weights_of(model: nn.Module, dtype: torch.dtype | None = None) -> Weights:
    """The weights of a model, with hooks or without: detached, on the CPU, in `dtype` if given."""
    config = config_of(model)
    check_architecture(config)
    native = getattr(model, "original_model", model)

    def read(layer: nn.Module) -> Tensor:
        return layer.weight.detach().to("cpu", dtype or layer.weight.dtype)

    products = [read(block.attn.q).T @ read(block.attn.k) for block in native.layers]
    return Weights(
        config,
        token=read(native.tok_embed),
        position=read(native.pos),
        unembed=read(native.head).T,
        query_key=torch.stack(products) / config.d_head**0.5,
    )


def run(weights: Weights, lists: Lists, edit: Edit | None = None) -> Circuit:
    """Patterns and mixtures on `lists`, teacher-forced where outputs are fed back.

    `edit` changes each layer's patterns before they are used, and later layers see what that does.
    Computed in float64 whatever the weights are, then given in their type: logits can be a hundred
    times larger than their differences, and float32 scores alone would cost 1e-4 of them.
    """
    config = weights.config
    tokens = input_tokens(config, lists).to(weights.token.device)
    mixture = torch.eye(config.seq_len, dtype=torch.float64, device=tokens.device)
    mixture = mixture.expand(len(tokens), -1, -1)
    patterns, mixtures = [], [mixture]
    for layer, allowed in enumerate(build_mask(config).to(tokens.device)):
        # Attention to an only key is 1 whatever the scores are; without any key it is 0.
        several = (allowed.sum(-1) > 1).nonzero().flatten()
        if layer == 0:
            scores = input_scores(weights, tokens, layer, several.tolist())
        else:
            scores = mixture[:, several] @ input_scores(weights, tokens, layer) @ mixture.mT
        chosen = scores.masked_fill(~allowed[several], -torch.inf).softmax(-1)
        pattern = allowed.to(mixture).repeat(len(tokens), 1, 1).index_copy(1, several, chosen)
        if edit is not None:
            pattern = edit(layer, pattern)
        mixture = mixture + (pattern @ mixture if layer > 0 else pattern)
        patterns.append(pattern)
        mixtures.append(mixture)
    exact = (torch.stack(patterns, 1), torch.stack(mixtures, 1))
    return Circuit(tokens, *(values.to(weights.token.dtype) for values in exact))


def without_edge(edge: Edge, renormalise: bool = False) -> Edit:
    """An edit for `run`: one edge zeroed, or with it the rest of its row scaled to sum to 1."""
    edge_layer, query, key = edge

    def edit(layer: int, pattern: Tensor) -> Tensor:
        pattern = pattern.clone()
        if layer == edge_layer:
            pattern[:, query, key] = 0
            if renormalise:
                left = pattern[:, query].sum(-1, keepdim=True)
                # A row without any other key stays empty.
                pattern[:, query] /= torch.where(left > 0, left, 1)
        return pattern

    return edit


def edge_costs(weights: Weights, lists: Lists, renormalise: bool = False) -> dict[Edge, float]:
    """Share of outputs that each edge of the mask, removed alone, turns wrong (right: below 0)."""

    def right(edit: Edit | None = None) -> float:
        written = predictions(weights, lists, edit)
        return share(written == lists.to(written.device))

    whole = right()
    return {
        e: whole - right(without_edge(e, renormalise)) for e in edges(build_mask(weights.config))
    }


def predictions(
    weights: Weights, lists: Lists, edit: Edit | None = None
) -> Int[Tensor, "list output"]:
    """The tokens with the largest logits, as `run` with this edit computes them."""
    circuit = run(weights, lists, edit)
    return logits(weights, circuit, weights.config.prediction_positions).argmax(-1)


def input_scores(
    weights: Weights,
    tokens: Int[Tensor, "list sequence"],
    layer: int,
    queries: Sequence[int] | None = None,
) -> Float[Tensor, "list query sequence"]:
    """A layer's scores between the input vectors, in float64: token and position parts added."""
    inputs = torch.cat([weights.token, weights.position]).double()
    table = inputs @ weights.query_key[layer].double() @ inputs.T
    n_tokens = len(weights.token)
    rows = list(range(tokens.shape[1]) if queries is None else queries)
    by_token, by_position = table[:n_tokens], table[n_tokens:][rows]
    return (
        by_token[tokens[:, rows, None], tokens[:, None, :]]
        + by_token[tokens[:, rows], n_tokens:]
        + by_position[:, tokens].movedim(0, 1)
        + by_position[:, n_tokens:]
    )


def logits(
    weights: Weights, circuit: Circuit, positions: Sequence[int] | None = None
) -> Float[Tensor, "list position vocabulary"]:
    """Logits at some sequence positions (default: all), from the tables E U and P U."""
    tokens, mixtures = circuit.tokens, circuit.mixtures[:, -1]
    if positions is not None:
        mixtures = mixtures[:, list(positions)]
    unembedding = weights.unembed.double()
    by_token = (weights.token.double() @ unembedding).to(weights.token.dtype)
    by_position = (weights.position.double() @ unembedding).to(weights.token.dtype)
    # Sources that hold the same token in every list, as SEP, need no look-up.
    same = (tokens == tokens[:1]).all(0)
    varying = (~same).nonzero().flatten().tolist()
    fixed = by_position + by_token[tokens[0]] * same[:, None]
    return torch.baddbmm(mixtures @ fixed, mixtures[..., varying], by_token[tokens[:, varying]])
