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
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.config import Config
from listcomp_utils.hooks import Activations, run_all, turned
from listcomp_utils.model import config_of, device_of


def scores(
    model: TransformerBridge, seen: Activations
) -> Float[Tensor, "list layer head query key"]:
    """Attention scores before mask and softmax, from queries and keys."""
    # TransformerLens 4 caches post-softmax values under `hook_attn_scores` for this model.
    d_head = seen.queries.shape[-1]
    pattern = "list layer query head d, list layer key head d -> list layer head query key"
    queries, keys = turned(model, seen.queries), turned(model, seen.keys)
    return einops.einsum(queries, keys, pattern) / d_head**0.5


@torch.no_grad()
def score_terms(
    model: TransformerBridge, seen: Activations, layer: int
) -> dict[tuple[str, str], Float[Tensor, "list head query key"]]:
    """The scores of a layer by what the query and the key are made of; they add up exactly.

    ("token", "position") is the part from the query's token and the key's position embedding;
    "bias" holds LayerNorm's constants and the layer's. Each list has its own LayerNorm scale.
    """
    config = config_of(model)
    block, attention = model.blocks[layer], model.blocks[layer].attn
    names = ("token", "position", *(f"layer {i} output" for i in range(layer)), "bias")
    parts = F.pad(seen.contributions[:, : layer + 2], (0, 0, 0, 0, 0, 1))
    parts = _normalised(block.ln1, config, parts)

    def projected(weight: Tensor, bias: Tensor) -> Float[Tensor, "list part sequence head d_head"]:
        pattern = "list part pos d_model, head d_model d -> list part pos head d"
        out = einops.einsum(parts, weight.cpu(), pattern)
        out[:, -1] += bias.cpu().reshape(config.n_heads, -1)
        return turned(model, out)

    queries = projected(attention.W_Q, attention.b_Q)
    keys = projected(attention.W_K, attention.b_K)
    pattern = "list query head d, list key head d -> list head query key"
    return {
        (one, other): einops.einsum(queries[:, i], keys[:, j], pattern) / config.d_head**0.5
        for i, one in enumerate(names)
        for j, other in enumerate(names)
    }


@torch.no_grad()
def logit_lens(
    model: TransformerBridge, seen: Activations
) -> Float[Tensor, "list layer_plus_1 sequence vocabulary"]:
    """The residual stream, unembedded before each layer and at the end (nostalgebraist, 2020)."""
    return model.unembed(model.ln_final(seen.residuals.to(device_of(model)))).cpu()


def right_so_far(model: TransformerBridge, example: Int[Tensor, "1 position"]) -> list[list[str]]:
    """For each level and position the digit that it must predict, if the logit lens reads it."""
    wanted = dict(zip(config_of(model).prediction_positions, example[0].tolist(), strict=True))
    spoken = logit_lens(model, run_all(model, example))[0].argmax(-1).tolist()
    return [[str(t) if wanted.get(p) == t else "" for p, t in enumerate(row)] for row in spoken]


@torch.no_grad()
def logit_attribution(
    model: TransformerBridge, seen: Activations
) -> tuple[tuple[str, ...], Float[Tensor, "list path output"]]:
    """How much each path adds to the logit of the right digit, above the mean over all digits.

    Paths are the embeddings, each layer's attention from each source position, and the biases; with
    each list's own final LayerNorm scale they add up to the logits exactly.
    """
    config = config_of(model)
    places = list(config.prediction_positions)
    layers = range(config.n_layers)
    sources = [f"L{layer} from {label}" for layer in layers for label in config.labels]
    pattern = "list layer head query key, list layer key head d, layer head d out"
    pattern += " -> list layer key query out"
    w_o = torch.stack([block.attn.W_O for block in model.blocks]).cpu()
    moved = einops.einsum(seen.patterns[..., places, :], seen.values, w_o, pattern)
    embedded = seen.contributions[:, :2, places]
    biases = sum(block.attn.b_O for block in model.blocks).cpu().expand_as(embedded[:, :1])
    paths = torch.cat([embedded, moved.flatten(1, 2), biases], dim=1)

    right = seen.tokens[:, : config.list_len]
    unembedding, bias = model.W_U.cpu(), model.b_U.cpu()
    direction = unembedding.T[right] - unembedding[:, : config.n_digits].mean(1)
    paths = _normalised(model.ln_final, config, paths)
    out = einops.einsum(paths, direction, "list path place d, list place d -> list path place")
    out[:, -1] += bias[right] - bias[: config.n_digits].mean()
    return ("token", "position", *sources, "biases"), out


def _normalised(
    norm: nn.Module, config: Config, parts: Float[Tensor, "list part sequence d_model"]
) -> Float[Tensor, "list part sequence d_model"]:
    """LayerNorm of the sum of `parts`, split into what each makes of it; its shift in the last."""
    if not config.layer_norm:
        return parts
    variance = parts.sum(1, keepdim=True).var(-1, unbiased=False, keepdim=True)
    centred = parts - parts.mean(-1, keepdim=True)
    out = centred / (variance + norm.eps).sqrt() * norm.weight.cpu()
    out[:, -1] += norm.bias.cpu()
    return out
