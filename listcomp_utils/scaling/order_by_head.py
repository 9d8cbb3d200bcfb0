"""Does the order mechanism survive? Its figures for several heads and for other positions.

    order_figures(model)["position_weights_reverse"]     # share of lists written the other way
    fair_share(100)                                      # what can be right without places

With W_V = W_O = I, no LayerNorm and no bias, SEP holds after layer 0, head by head (each its own
coordinates), a sum of the digits' embeddings and of their positions', with the same weights. Here
one of the two gets each other's weights, and the outputs read what comes of it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.config import PLAIN_LAYERS, Config, ConfigError, require
from listcomp_utils.generation import generate
from listcomp_utils.hooks import logits_with, replace_at, run_all
from listcomp_utils.model import config_of, make_native_model
from listcomp_utils.task import all_lists, input_tokens, lists_to_score
from listcomp_utils.training.loop import one_thread

MOST_LISTS = 10_000


def fair_share(n_digits: int) -> tuple[float, float]:
    """Most of all pairs that can be right, per token and per list, when outputs have no place.

    Two layers, one head, no LayerNorm, and o1 and o2 with the same input (rotary positions or
    none): of each pair one list is lost, and on it one output at least. 07_scaling has the proof.
    Lists of one digit twice are not concerned.
    """
    unequal = 1 - 1 / n_digits
    return 1 - unequal / 4, 1 - unequal / 2


def train_on_one_order(config: Config, steps: int = 300) -> nn.Module:
    """A model trained on the rising lists alone: one order of each pair, which can be learned."""
    model = make_native_model(config)
    rising = _pairs(config)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer, tokens = torch.optim.AdamW(weights, lr=1e-2), input_tokens(config, rising)
    with one_thread():
        for _ in range(steps):
            optimizer.zero_grad()
            logits = model(tokens)[:, config.prediction_positions]
            F.cross_entropy(logits.flatten(0, 1), rising.flatten()).backward()
            optimizer.step()
    return model


def one_and_both_right(model: nn.Module) -> tuple[float, float]:
    """Shares of pairs that are right in rising order, and in both orders."""
    rising = _pairs(config_of(model))
    one, other = ((generate(model, rows) == rows).all(1) for rows in (rising, rising.flip(1)))
    return one.double().mean().item(), (one & other).double().mean().item()


def one_order_learned(config: Config) -> tuple[float, float]:
    """`one_and_both_right` of a model trained on one order: least and most, rotary and none."""
    models = (train_on_one_order(config.replace(positions=p)) for p in ("rotary", "none"))
    one, both = zip(*map(one_and_both_right, models), strict=True)
    return min(one), max(both)


def _pairs(config: Config) -> Tensor:
    """All lists (a, b) with a less than b."""
    lists = all_lists(config)
    return lists[lists[:, 0] < lists[:, 1]]


@torch.no_grad()
def order_figures(model: TransformerBridge) -> dict[str, float | None]:
    """Figures of the order mechanism of a model, over all lists (a, b) with a not b, or a sample.

    `both_right` is the share of pairs {a, b} whose two lists are right, `kept` of lists that are;
    `..._reverse` are shares written as (b, a) with the weights of the digits' positions or contents
    exchanged at SEP. Raises ConfigError where SEP's vector is another sum.
    """
    config = config_of(model)
    require(config, "the order mechanism", list_len=2, decoding="masked", **PLAIN_LAYERS)
    if config.n_layers < 2:
        raise ConfigError("the order mechanism needs n_layers 2 or more, got 1")
    pairs = lists_to_score(config, MOST_LISTS).sort(1).values.unique(dim=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    lists, reverse = torch.cat([pairs, pairs.flip(1)]), torch.cat([pairs.flip(1), pairs])
    seen, sep = run_all(model, lists), config.sep_position
    inputs = seen.contributions[:, :2]
    digits = inputs[:, :, :2].unflatten(-1, (config.n_heads, -1))
    weights = seen.patterns[:, 0, :, sep, :2]
    swapped = weights.flip(-1)

    def writes(wanted: Tensor, content: Tensor, position: Tensor) -> Tensor:
        """Which lists are written as wanted with these weights at SEP."""
        both = torch.stack([content, position], 1)
        mixed = torch.einsum("lchp,lcphd->lhd", both, digits).flatten(1)
        hook = replace_at([sep], (inputs[:, :, sep].sum(1) + mixed)[:, None])
        logits = logits_with(model, lists, [(get_act_name("resid_pre", 1), hook)])
        return (logits[:, config.prediction_positions].argmax(-1).cpu() == wanted).all(1).double()

    right = writes(lists, weights, weights)
    return {
        "alignment": _alignment(model) if config.positions == "learned" else None,
        "both_right": right.reshape(2, -1).amin(0).mean().item(),
        "kept": right.mean().item(),
        "position_weights_reverse": writes(reverse, weights, swapped).mean().item(),
        "content_weights_reverse": writes(reverse, swapped, weights).mean().item(),
    }


def _alignment(model: TransformerBridge) -> float:
    """Correlation of digits' scores and of what the unembedding reads of P_1 - P_2, best head."""
    config = config_of(model)
    seen = run_all(model, torch.arange(config.n_digits)[:, None].expand(-1, 2))
    query = seen.queries[0, 0, config.sep_position]
    scores = torch.einsum("he,the->ht", query, seen.keys[:, 0, 0])
    heads = (config.n_heads, -1)
    difference = (seen.contributions[0, 1, 0] - seen.contributions[0, 1, 1]).unflatten(0, heads)
    unembedding = model.W_U.T[: config.n_digits].cpu().unflatten(1, heads)
    readout = torch.einsum("the,he->ht", unembedding, difference)
    pairs = torch.stack([scores, readout], 1)
    return max(abs(torch.corrcoef(pair)[0, 1].item()) for pair in pairs)
