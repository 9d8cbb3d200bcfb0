"""Where each position looks, and which weights make it look there.

model = load_or_train(Config.preset("seed")).model
seen = run_all(model, all_lists(Config()))     # everything the analyses below need
seen.patterns.mean(0)                          # (layer, head, query, key)
terms = score_terms(model, seen, layer=0)      # adds up to the scores before the softmax
lens = logit_lens(model, seen)                 # (list, layer + 1, position, vocabulary)
"""

from __future__ import annotations

import einops
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.hooks import Activations, turned
from listcomp_utils.model import config_of, device_of


def scores(seen: Activations) -> Float[Tensor, "list layer head query key"]:
    """Attention scores before mask and softmax, from queries and keys.

    TransformerLens 4 caches post-softmax values under `hook_attn_scores` for this model, so they
    are recomputed.
    """
    d_head = seen.queries.shape[-1]
    pattern = "list layer query head d, list layer key head d -> list layer head query key"
    return einops.einsum(seen.queries, seen.keys, pattern) / d_head**0.5


def contribution_names(config: Config) -> tuple[str, ...]:
    """Names of what is added to the residual stream, in order."""
    return ("token", "position", *(f"layer {layer} output" for layer in range(config.n_layers)))


@torch.no_grad()
def score_terms(
    model: TransformerBridge, seen: Activations, layer: int
) -> dict[tuple[str, str], Float[Tensor, "list head query key"]]:
    """The scores of a layer by what the query and the key are made of; they add up exactly.

    Keys are pairs such as ("token", "position"): the part of the score from the query's token and
    the key's position embedding. "bias" holds the constant parts (LayerNorm's and the layer's).
    Each list's own LayerNorm scale is applied, so the sum is exact with LayerNorm too.
    """
    config = config_of(model)
    attention = model.blocks[layer].attn
    names = (*contribution_names(config)[: layer + 2], "bias")
    gain, shift = _norm_parameters(model.blocks[layer], config)
    parts = _normalised_parts(seen.contributions[:, : layer + 2], gain, config)

    def projected(weight: Tensor, bias: Tensor) -> Float[Tensor, "list part sequence head d_head"]:
        pattern = "list part pos d_model, head d_model d -> list part pos head d"
        out = einops.einsum(parts, weight.cpu(), pattern)
        constant = einops.einsum(shift, weight.cpu(), "d_model, head d_model d -> head d")
        constant = (constant + bias.cpu()).expand(*out[:, :1].shape)
        return torch.cat([out, constant], dim=1)

    queries = turned(model, projected(attention.W_Q, attention.b_Q.reshape(config.n_heads, -1)))
    keys = turned(model, projected(attention.W_K, attention.b_K.reshape(config.n_heads, -1)))
    pattern = "list query head d, list key head d -> list head query key"
    return {
        (one, other): einops.einsum(queries[:, i], keys[:, j], pattern) / config.d_head**0.5
        for i, one in enumerate(names)
        for j, other in enumerate(names)
    }


@torch.no_grad()
def weight_tables(
    model: TransformerBridge, layer: int, head: int = 0
) -> dict[str, Float[Tensor, "query key"]]:
    """Token by token, token by position and position by position parts of W_Q W_K^T, no lists run.

    With LayerNorm its centring and gain are folded in; dividing by the LayerNorm scales of query
    and key gives the scores. Rows are queries, columns keys.

    Raises:
        ConfigError: with rotary positions, where a score depends on how far apart the two are.
    """
    config = config_of(model)
    if config.positions == "rotary":
        raise ConfigError("weight_tables needs positions 'learned' or 'none', got 'rotary'")
    attention = model.blocks[layer].attn
    gain, _ = _norm_parameters(model.blocks[layer], config)
    product = attention.W_Q[head] @ attention.W_K[head].T / config.d_head**0.5
    tokens, positions = ((_centre(w, config) * gain.to(w)) for w in (model.W_E, model.W_pos))
    sides = {"token": tokens, "position": positions}
    return {
        f"{one} by {other}": (sides[one] @ product @ sides[other].T).cpu()
        for one in sides
        for other in sides
    }


@torch.no_grad()
def logit_lens(
    model: TransformerBridge, seen: Activations
) -> Float[Tensor, "list layer_plus_1 sequence vocabulary"]:
    """What the residual stream would say if it were unembedded before each layer and at the end.

    Source: nostalgebraist, "interpreting GPT: the logit lens" (2020).
    """
    return model.unembed(model.ln_final(seen.residuals.to(device_of(model)))).cpu()


@torch.no_grad()
def logit_attribution(
    model: TransformerBridge, seen: Activations
) -> tuple[tuple[str, ...], Float[Tensor, "list path output"]]:
    """How much each path adds to the logit of the right digit, above the mean over all digits.

    Paths are the token and position embeddings, each layer's attention from each source position
    (through V and O, heads together), and the biases. Taken at the positions that predict the
    outputs, with each list's own final LayerNorm scale; the paths add up to the logits exactly.
    """
    config = config_of(model)
    gain, shift = _norm_parameters(model, config)
    paths, names = [seen.contributions[:, 0], seen.contributions[:, 1]], ["token", "position"]
    constants = torch.zeros_like(paths[0])
    for layer, block in enumerate(model.blocks):
        pattern = "list head query key, list key head d, head d d_model -> list key query d_model"
        weight = block.attn.W_O.cpu()
        moved = einops.einsum(seen.patterns[:, layer], seen.values[:, layer], weight, pattern)
        for key, label in enumerate(config.labels):
            paths.append(moved[:, key])
            names.append(f"L{layer} from {label}")
        constants = constants + block.attn.b_O.cpu()
    paths.append(constants)
    names.append("biases")
    residual = seen.contributions.sum(1)
    scale = _scale(residual, config)
    unembedding = model.W_U.cpu()
    digits = unembedding[:, : config.n_digits]
    right = seen.tokens[:, : config.list_len]
    direction = unembedding.T[right] - digits.mean(1)
    places = list(config.prediction_positions)
    stacked = torch.stack(paths, dim=1)[:, :, places] / scale[:, None, places]
    linear = _centre(stacked, config) * gain
    out = einops.einsum(linear, direction, "list path place d, list place d -> list path place")
    bias = model.b_U.cpu()
    constant = einops.einsum(shift, direction, "d, list place d -> list place")
    out[:, -1] += constant + bias[right] - bias[: config.n_digits].mean()
    return tuple(names), out


def _normalised_parts(contributions: Tensor, gain: Tensor, config: Config) -> Tensor:
    """Each contribution after LayerNorm's linear part, at the scale of their sum."""
    scale = _scale(contributions.sum(1), config)
    return _centre(contributions, config) / scale[:, None] * gain


def _scale(residual: Tensor, config: Config) -> Tensor:
    if not config.layer_norm:
        return torch.ones_like(residual[..., :1])
    return (residual.var(-1, unbiased=False, keepdim=True) + LAYER_NORM_EPSILON).sqrt()


LAYER_NORM_EPSILON = 1e-5
"""TransformerLens' default, which this project's models use."""


def _centre(vectors: Tensor, config: Config) -> Tensor:
    return vectors - vectors.mean(-1, keepdim=True) if config.layer_norm else vectors


def _norm_parameters(owner: object, config: Config) -> tuple[Tensor, Tensor]:
    """Gain and shift of a block's or the final LayerNorm; ones and zeros without it."""
    if not config.layer_norm:
        return torch.ones(config.d_model), torch.zeros(config.d_model)
    norm = getattr(owner, "ln1", None) or owner.ln_final
    return norm.weight.detach().cpu(), norm.bias.detach().cpu()
