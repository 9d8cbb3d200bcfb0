"""Does the order mechanism survive? Its figures for several heads and for other positions.

    figures = measure_order(result)                # of a TrainResult: two layers, lists of two
    figures["position_weights_reverse"]            # share of lists written the other way round
    fair_share(config)                             # most lists that can be right without places

With W_V = W_O = I, no LayerNorm and no bias, SEP holds after layer 0, head by head (each its own
coordinates), a sum of the digits' embeddings and of their positions', with the same weights. Here
one of the two gets each other's weights, and the outputs read what comes of it.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.hooks import logits_with, replace_at, run_all
from listcomp_utils.model import config_of
from listcomp_utils.task import lists_to_score
from listcomp_utils.training.loop import TrainResult

MOST_LISTS = 10_000
"""Lists that are measured at most."""

NEEDED = {
    "list_len": 2,
    "decoding": "masked",
    "layer_norm": False,
    "bias": False,
    "learn_w_v": False,
    "learn_w_o": False,
}


FIGURES = (
    "attention_spread",
    "alignment",
    "order_distance",
    "both_right",
    "kept",
    "position_weights_reverse",
    "content_weights_reverse",
    "both_weights_reverse",
    "turned_over",
)
"""Names of what `measure_order` gives."""


def fair_share(n_digits: int) -> tuple[float, float]:
    """Most of all pairs that can be right, per token and per list, when outputs have no place.

    Two layers, one head, no LayerNorm, and o1 and o2 with the same input x (rotary positions or
    none). Then with o2's attention beta to SEP, and any W_V and W_O between,

        y_1 = x + W r,    y_2 = x + beta W r + (1 - beta) W x = beta y_1 + (1 - beta) (x + W x).

    Let k be how much (x + W x) prefers a to b in logits. For (a, b) to be right y_1 must prefer a
    and y_2 must prefer b, hence k < 0; for (b, a) the other way round, hence k > 0. One of the two
    lists is lost, and on it one output at least. Lists of one digit twice are not concerned.
    """
    unequal = 1 - 1 / n_digits
    return 1 - unequal / 4, 1 - unequal / 2


def measure_order(trained: TrainResult) -> dict[str, Any]:
    """Figures of the order mechanism of one training, over all lists (a, b) with a not b.

    Raises:
        ConfigError: for an architecture in which SEP's vector is another sum.
    """
    return order_figures(trained.model)


@torch.no_grad()
def order_figures(model: TransformerBridge) -> dict[str, Any]:
    """As `measure_order`, of a model.

    `attention_spread`: largest standard deviation over lists of SEP's attention to d1, of all
    heads. `alignment`: the largest absolute correlation over the digits of a head's score with
    what its coordinates read of P_1 - P_2; None without learned positions. `order_distance`: how
    far apart (a, b) and (b, a) are at SEP, relative to the spread of its vectors. `both_right`:
    share of pairs {a, b} whose two lists are right. The rest are shares of lists written exactly
    as (a, b) (`kept`) or (b, a), with weights exchanged at SEP.
    """
    config = config_of(model)
    wrong = {k: getattr(config, k) for k in NEEDED if getattr(config, k) != NEEDED[k]}
    if wrong or config.n_layers < 2:
        raise ConfigError(f"the order figures need {NEEDED} and two layers or more, got {wrong}")
    lists = lists_to_score(config, MOST_LISTS)
    lists = lists[lists[:, 0] != lists[:, 1]].unique(dim=0)
    lists = torch.cat([lists, lists.flip(1)]).unique(dim=0)
    seen, sep = run_all(model, lists), config.sep_position
    weights = seen.patterns[:, 0, :, sep, :2]
    tokens, places = seen.contributions[:, 0], seen.contributions[:, 1]
    base = tokens[:, sep] + places[:, sep]

    def vectors(content: Tensor, position: Tensor) -> Tensor:
        return base + _mixed(content, tokens[:, :2]) + _mixed(position, places[:, :2])

    def written(content: Tensor, position: Tensor) -> Tensor:
        hook = replace_at([sep], vectors(content, position)[:, None])
        logits = logits_with(model, lists, [(get_act_name("resid_pre", 1), hook)])
        return logits[:, config.prediction_positions].argmax(-1).cpu()

    own, turned, swapped = vectors(weights, weights), lists.flip(1), weights.flip(-1)
    plain = written(weights, weights)
    right = (plain == lists).all(1)
    place = {tuple(row): number for number, row in enumerate(lists.tolist())}
    partner = torch.tensor([place[tuple(row)] for row in turned.tolist()])
    spread = _length(own - own.mean(0))

    def share(rows: Tensor, wanted: Tensor) -> float:
        return (rows == wanted).all(1).double().mean().item()

    return {
        "attention_spread": weights[..., 0].std(0, correction=0).max().item(),
        "alignment": _alignment(config, model, tokens, places),
        "order_distance": (_length(own - own[partner]) / spread).item(),
        "both_right": (right & right[partner]).double().mean().item(),
        "kept": share(plain, lists),
        "position_weights_reverse": share(written(weights, swapped), turned),
        "content_weights_reverse": share(written(swapped, weights), turned),
        "both_weights_reverse": share(written(swapped, swapped), turned),
        "turned_over": share(plain, turned),
    }


def _mixed(
    weights: Float[Tensor, "list head digit_position"],
    vectors: Float[Tensor, "list digit_position d_model"],
) -> Float[Tensor, "list d_model"]:
    """A weighted sum of two vectors, each head's weights on its own coordinates."""
    by_head = vectors.unflatten(-1, (weights.shape[1], -1))
    return torch.einsum("lhp,lphd->lhd", weights, by_head).flatten(1)


def _alignment(
    config: Config, model: TransformerBridge, tokens: Tensor, places: Tensor
) -> float | None:
    if config.positions != "learned":
        return None
    attention, sep = model.blocks[0].attn, config.sep_position
    query = torch.einsum("d,hde->he", tokens[0, sep] + places[0, sep], attention.W_Q.cpu())
    digits = model.W_E[: config.n_digits].detach().cpu()
    keys = torch.einsum("td,hde->the", digits, attention.W_K.cpu())
    scores = torch.einsum("he,the->ht", query, keys)
    difference = (places[0, 0] - places[0, 1]).unflatten(0, (config.n_heads, -1))
    unembed = model.W_U.T[: config.n_digits].detach().cpu().unflatten(1, (config.n_heads, -1))
    readout = torch.einsum("the,he->ht", unembed, difference)
    found = [
        abs(torch.corrcoef(torch.stack(pair))[0, 1].item())
        for pair in zip(scores, readout, strict=True)
    ]
    return max(found)


def _length(vectors: Float[Tensor, "list d_model"]) -> Tensor:
    return vectors.square().sum(-1).mean().sqrt()
