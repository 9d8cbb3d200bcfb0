"""The study's architecture as a formula: patterns and logits from embeddings and QK matrices alone.

    weights = weights_of(model, dtype=torch.float64)
    circuit = run(config, weights, all_lists(config))
    circuit.patterns                               # (list, layer, query, key)
    circuit.mixtures[:, 1, config.sep_position]    # what SEP holds after layer 0
    logits(weights, circuit)                       # equal to the model's

Without LayerNorm and biases, and with W_V = W_O = I, a layer adds to each position a weighted sum
of the others, so every residual vector is a mixture of the input vectors x_k = E[t_k] + P_k:

    r^l_q = sum_k M^l_qk x_k,    M^0 = I,    M^(l+1) = (I + A^l) M^l,
    A^l = softmax over allowed keys of  M^l (x Q^l x^T) (M^l)^T,    Q^l = W_Q W_K^T / sqrt(d_head),
    logits_q = sum_k M^L_qk (E[t_k] U + P_k U).

Equations (1), (2) and (8) to (11) of Farrell et al., "Order by Scale" (2025) are this for two
layers and two digits. All functions are differentiable and work under `torch.func.vmap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.mask import build_mask
from listcomp_utils.model import config_of
from listcomp_utils.task import input_tokens

NEEDED = {
    "layer_norm": False,
    "bias": False,
    "learn_w_v": False,
    "learn_w_o": False,
    "n_heads": 1,
    "positions": "learned",
}
"""What a config must say for the formula to hold."""


@dataclass(frozen=True)
class Weights:
    """All that the formula reads of a model."""

    token: Float[Tensor, "vocabulary d_model"]
    position: Float[Tensor, "sequence d_model"]
    unembed: Float[Tensor, "d_model vocabulary"]
    query_key: Float[Tensor, "layer d_model d_model"]
    """W_Q W_K^T / sqrt(d_head)."""


@dataclass(frozen=True)
class Circuit:
    """What the formula computed on some lists."""

    tokens: Int[Tensor, "list sequence"]
    patterns: Float[Tensor, "list layer query key"]
    """Attention; rows that may attend to nothing are 0."""
    mixtures: Float[Tensor, "list layer_plus_1 position source"]
    """How much of each source position's embedding a position holds, before each layer and at the
    end."""


def check_architecture(config: Config) -> None:
    """Raise ConfigError, naming the fields, unless the formula holds for this config."""
    wrong = {
        name: getattr(config, name) for name in NEEDED if getattr(config, name) != NEEDED[name]
    }
    if wrong:
        got = ", ".join(f"{name}={value}" for name, value in wrong.items())
        needed = ", ".join(f"{name}={NEEDED[name]}" for name in wrong)
        raise ConfigError(f"the closed form needs {needed}, got {got}; preset 'study' has these")


def weights_of(model: nn.Module, dtype: torch.dtype | None = None) -> Weights:
    """The weights of a trained model with hooks, detached, in `dtype` or as they are.

    Raises:
        ConfigError: when the model has LayerNorm, biases, other values, several heads or
            positions that are not learned.
    """
    check_architecture(config_of(model))

    def read(weight: Tensor) -> Tensor:
        return weight.detach().to(dtype or weight.dtype)

    d_head = model.blocks[0].attn.W_Q.shape[-1]
    products = [read(b.attn.W_Q[0]) @ read(b.attn.W_K[0]).T for b in model.blocks]
    return Weights(
        token=read(model.W_E),
        position=read(model.W_pos),
        unembed=read(model.W_U),
        query_key=torch.stack(products) / d_head**0.5,
    )


def run(config: Config, weights: Weights, lists: Int[Tensor, "list position"]) -> Circuit:
    """Patterns and mixtures on `lists`, teacher-forced where outputs are fed back.

    Computed in float64 whatever the weights are, then given in their type: logits can be a hundred
    times larger than their differences, and float32 scores alone would cost 1e-4 of them.
    """
    tokens = input_tokens(config, lists).to(weights.token.device)
    allowed = build_mask(config).to(tokens.device)
    mixture = torch.eye(config.seq_len).to(tokens.device, torch.float64)
    mixture = mixture.expand(len(tokens), -1, -1)
    patterns, mixtures = [], [mixture]
    for layer in range(config.n_layers):
        # Attention to an only key is 1 whatever the scores are; without any key it is 0.
        rows = list(allowed[layer].to(mixture)[:, None].expand(-1, len(tokens), -1))
        choosing = (allowed[layer].sum(-1) > 1).nonzero().flatten().tolist()
        if layer == 0:
            scores = input_scores(weights, tokens, layer, choosing)
        else:
            scores = mixture[:, choosing] @ input_scores(weights, tokens, layer) @ mixture.mT
        chosen = scores.masked_fill(~allowed[layer, choosing], -torch.inf).softmax(-1)
        for place, query in enumerate(choosing):
            rows[query] = chosen[:, place]
        pattern = torch.stack(rows, 1)
        mixture = mixture + (pattern @ mixture if layer > 0 else pattern)
        patterns.append(pattern)
        mixtures.append(mixture)
    exact = (torch.stack(patterns, 1), torch.stack(mixtures, 1))
    return Circuit(tokens, *(values.to(weights.token.dtype) for values in exact))


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


def residuals(
    weights: Weights,
    tokens: Int[Tensor, "list sequence"],
    mixtures: Float[Tensor, "list position source"],
) -> Float[Tensor, "list position d_model"]:
    """The vectors that mixtures stand for: sum over sources of weight times (E[t] + P)."""
    return mixtures @ weights.token[tokens] + mixtures @ weights.position


def unembed(
    weights: Weights,
    tokens: Int[Tensor, "list sequence"],
    mixtures: Float[Tensor, "list position source"],
) -> Float[Tensor, "list position vocabulary"]:
    """Logits of mixtures, which may have been edited, from the tables E U and P U."""
    unembedding = weights.unembed.double()
    by_token = (weights.token.double() @ unembedding).to(weights.token.dtype)
    by_position = (weights.position.double() @ unembedding).to(weights.token.dtype)
    # Sources that hold the same token in every list, as SEP, need no look-up.
    same = (tokens == tokens[:1]).all(0)
    varying = (~same).nonzero().flatten().tolist()
    fixed = by_position + by_token[tokens[0]] * same[:, None]
    return torch.baddbmm(mixtures @ fixed, mixtures[..., varying], by_token[tokens[:, varying]])


def logits(
    weights: Weights, circuit: Circuit, positions: Sequence[int] | None = None
) -> Float[Tensor, "list position vocabulary"]:
    """Logits at some sequence positions (default: all)."""
    mixtures = circuit.mixtures[:, -1]
    if positions is not None:
        mixtures = mixtures[:, list(positions)]
    return unembed(weights, circuit.tokens, mixtures)


def logit_terms(
    weights: Weights, circuit: Circuit, position: int, answers: Int[Tensor, "list answer"]
) -> Float[Tensor, "list kind source answer"]:
    """What each embedding adds to the logits of some answers at one position; adds up exactly.

    `kind` 0 is the source's token embedding, 1 its position embedding; each is the mixture's
    weight of that source times the embedding's dot product with the answer's unembedding.
    """
    answer_vectors = weights.unembed.T[answers]
    by_token = torch.einsum("lsd,lad->lsa", weights.token[circuit.tokens], answer_vectors)
    by_position = torch.einsum("sd,lad->lsa", weights.position, answer_vectors)
    held = circuit.mixtures[:, -1, position, None, :, None]
    return held * torch.stack([by_token, by_position], dim=1)
