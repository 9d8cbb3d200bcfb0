"""Why trained models fail where they do: content against order, pair by pair.

    terms = margin_terms(config, weights, lists)   # o1's margin of each list, in three terms
    explain(config, weights, split_lists(config)).without_order
    at_logit_size(config, weights, [1e3, 1e5])     # the loss at given logit sizes

At o1 the margin of a list (a, b), the logit of a less that of b, is exactly

    (alpha_1 - alpha_2) (delta_a - delta_b) / 2 + (alpha_1 - alpha_2) Gamma / 2 + bias,
    delta_t = U_t (P_1 - P_2),   Gamma = (U_a - U_b)(E_a - E_b),
    bias = (U_a - U_b)(x_o1 + x_SEP + (P_1 + P_2) / 2 + (E_a + E_b) / 2).

The first term, order, is what both orders of a pair share. The second, content, speaks for the
digit that SEP attends to more, wherever it stands, and the bias for one of the two digits: of the
two orders they help one and harm the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from sklearn import metrics
from torch import Tensor
from torch.nn.functional import cross_entropy

from listcomp_utils.circuit.formula import Lists, Weights
from listcomp_utils.circuit.order_axis import (
    check_pairs,
    order_axis,
    outputs_of,
    pairwise_margins,
    separator,
    swap_shares,
    unequal,
)
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.task import ListSplit, all_lists

NEAR = 0.1
"""Two digits whose scores differ by less are a near tie."""


def margin_terms(config: Config, weights: Weights, lists: Lists) -> pd.DataFrame:
    """Lists (a, b), a not b, with the terms of o1's margin, in logits, and what came out right.

    `order`, `content` and `bias` add up to `margin`; `distance` is |s_a - s_b|; `o1`, `o2` and
    `both` say which outputs are right against every token.

    Raises:
        ConfigError: as `check_pairs`.
    """
    check_pairs(config)
    lists, axis = unequal(lists), order_axis(config, weights)
    (first, second), unembed = lists.T, weights.unembed.T
    w = unembed[first] - unembed[second]
    alpha = axis.attention(first, second)
    turn = 2 * alpha - 1
    gamma = (w * (weights.token[first] - weights.token[second])).sum(1)
    inputs = weights.token[config.mask_id] + weights.position[config.output_positions[0]]
    inputs = inputs + weights.token[config.sep_id] + weights.position[config.sep_position]
    middle = inputs + weights.position[:2].mean(0)
    middle = middle + (weights.token[first] + weights.token[second]) / 2
    outputs = outputs_of(config, weights, lists)
    right = outputs.written == lists
    columns = {
        "a": first,
        "b": second,
        "distance": (axis.scores[first] - axis.scores[second]).abs(),
        "order": turn * (axis.readout[first] - axis.readout[second]) / 2,
        "content": turn * gamma / 2,
        "bias": (w * middle).sum(1),
        "margin": pairwise_margins(outputs.logits, lists)[:, 0],
        "o1": right[:, 0],
        "o2": right[:, 1],
        "both": right.all(1),
    }
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()})


@dataclass(frozen=True)
class Explanation:
    """Where one model is right and wrong, in shares of lists (a, b) with a not b.

    `content` is the mean of Gamma and `order_span` the span of delta, in logits; `neighbours` the
    median of |delta_a - delta_b| of digits next to each other in score. `outweighed` is the share
    of near ties in which order is smaller than content. `trained_near` to `held_out_far` are lists
    right, near ties and others apart. `missed` are held-out lists wrong, and `foretold` the area
    under the precision-recall curve for naming them by the closeness of the scores alone, nothing
    fitted. `without_content` are held-out lists right with both contents at SEP weighed alike,
    `without_order` with both places. `correlation` is that of scores and readout, `reversed` the
    lists written the other way round when the position weights are exchanged.
    """

    content: float
    order_span: float
    neighbours: float
    outweighed: float
    trained_near: float
    trained_far: float
    held_out_near: float
    held_out_far: float
    missed: float
    foretold: float
    without_content: float
    without_order: float
    correlation: float
    reversed: float


def explain(config: Config, weights: Weights, split: ListSplit) -> Explanation:
    """The figures of `Explanation` for a model and its split; nan where no list is of a kind.

    Raises:
        ConfigError: as `check_pairs`, or when no list is held out or all are sampled.
    """
    check_pairs(config)
    if split.train is None or not len(split.held_out):
        raise ConfigError(f"train_fraction must hold lists out, got {config.train_fraction}")
    axis = order_axis(config, weights)
    trained = margin_terms(config, weights, split.train)
    held_out = margin_terms(config, weights, split.held_out)
    every = margin_terms(config, weights, all_lists(config))
    near = every[every.distance < NEAR]
    edits = swap_shares(config, weights, split.held_out)
    readout = axis.readout[axis.scores.argsort()]

    def share(frame: pd.DataFrame, is_near: bool) -> float:
        return float(frame.both[(frame.distance < NEAR) == is_near].mean())

    return Explanation(
        content=float(every.content.div(_turn(config, weights, every) / 2).mean()),
        order_span=(axis.readout.max() - axis.readout.min()).item(),
        neighbours=readout.diff().abs().median().item(),
        outweighed=float((near.order < near.content.abs()).mean()),
        trained_near=share(trained, True),
        trained_far=share(trained, False),
        held_out_near=share(held_out, True),
        held_out_far=share(held_out, False),
        missed=float((~held_out.both).mean()),
        foretold=_foretold(held_out),
        without_content=edits.kept["content difference removed"],
        without_order=edits.kept["position difference removed"],
        correlation=axis.correlation,
        reversed=edits.reversed["position weights, exchanged"],
    )


def at_logit_size(config: Config, weights: Weights, sizes: Sequence[float]) -> pd.DataFrame:
    """Loss (nats an output, all lists) when the unembedding is scaled to a largest logit."""
    check_pairs(config)
    lists = all_lists(config)
    logits = outputs_of(config, weights, lists).logits
    largest = logits.abs().max()
    return pd.DataFrame(
        [(size, _loss(logits * (size / largest), lists)) for size in sizes],
        columns=["largest_logit", "loss"],
    )


def along_path(
    config: Config, start: Weights, end: Weights, shares: Sequence[float]
) -> pd.DataFrame:
    """Loss and lists right on the straight line between two models' weights, all lists.

    The digits of `end` are relabelled so that both models have them in the same order of scores;
    beside that the two models' axes are as they are.
    """
    check_pairs(config)
    lists, end = all_lists(config), relabelled(config, end, order_axis(config, start).scores)
    rows = []
    for share in shares:
        mixed = Weights(
            *(
                torch.lerp(getattr(start, name), getattr(end, name), share)
                for name in ("token", "position", "unembed", "query_key")
            )
        )
        outputs = outputs_of(config, mixed, lists)
        right = (outputs.written == lists).all(1).double().mean().item()
        rows.append((share, _loss(outputs.logits, lists), right))
    return pd.DataFrame(rows, columns=["share", "loss", "per_list"])


def relabelled(config: Config, weights: Weights, scores: Float[Tensor, "digit"]) -> Weights:
    """The same model with its digits renamed, so that its scores have the order of `scores`."""
    own = order_axis(config, weights).scores
    rows: Int[Tensor, "vocabulary"] = torch.arange(len(weights.token))
    rows[scores.argsort()] = own.argsort()
    return Weights(
        weights.token[rows], weights.position, weights.unembed[:, rows], weights.query_key
    )


def _turn(config: Config, weights: Weights, terms: pd.DataFrame) -> np.ndarray:
    """alpha_1 - alpha_2 of each list."""
    lists = torch.tensor(terms[["a", "b"]].to_numpy())
    held = separator(config, weights, lists).attention
    return (held[:, 0] - held[:, 1]).numpy()


def _foretold(terms: pd.DataFrame) -> float:
    if terms.both.all():
        return np.nan
    return float(metrics.average_precision_score(~terms.both, -terms.distance))


def _loss(logits: Tensor, lists: Lists) -> float:
    return cross_entropy(logits.flatten(0, 1), lists.flatten()).item()
