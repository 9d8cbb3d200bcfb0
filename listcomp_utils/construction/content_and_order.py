"""Why trained models fail where they do: content against order, pair by pair.

    terms = margin_terms(weights, lists)   # o1's margin of each list, in three terms
    explain(weights).impossible
    at_logit_size(weights, [1e3, 1e5])     # the loss at given logit sizes

08_construction says what the terms are and what comes of them where two scores nearly tie; there
    bias = (U_a - U_b)(x_o1 + x_SEP + (P_1 + P_2) / 2 + (E_a + E_b) / 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
    compose,
    order_axis,
    outputs_of,
    pairwise_margins,
    read_out,
    separator,
    swap_shares,
    unequal,
)
from listcomp_utils.config import ConfigError
from listcomp_utils.construction.lemmas import pair_margins, predicted_sums
from listcomp_utils.generation import share
from listcomp_utils.task import all_lists, split_lists

NEAR = 0.1
"""Two digits whose scores differ by less are a near tie."""


def margin_terms(weights: Weights, lists: Lists) -> pd.DataFrame:
    """Lists (a, b), a not b, with the terms of o1's margin, in logits, and what came out right.

    `order`, `content` and `bias` add up to `margin`; `distance` is |s_a - s_b|; `o1`, `o2` and
    `both` say which outputs are right against every token.
    """
    lists, axis = unequal(lists), order_axis(weights)
    (first, second), unembed = lists.T, weights.unembed.T
    w, turn = unembed[first] - unembed[second], 2 * axis.attention(first, second) - 1
    token, position = weights.token, weights.position
    middle = weights.output_inputs[0] + weights.separator_input + position[:2].mean(0)
    middle = middle + (token[first] + token[second]) / 2
    outputs = outputs_of(weights, lists)
    right = outputs.written == lists
    columns = {
        "a": first,
        "b": second,
        "distance": (axis.scores[first] - axis.scores[second]).abs(),
        "order": turn * (axis.readout[first] - axis.readout[second]) / 2,
        "content": turn * (w * (token[first] - token[second])).sum(1) / 2,
        "bias": (w * middle).sum(1),
        "margin": pairwise_margins(outputs.logits, lists)[:, 0],
        "o1": right[:, 0],
        "o2": right[:, 1],
        "both": right.all(1),
    }
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()})


OF_NEAR_TIES = {
    "outweighed": "near ties in which order is smaller than content",
    "near_at_o1": "near ties right at o1",
    "trained_near": "lists right: near ties, trained on",
    "held_out_near": "lists right: near ties, held out",
    "trained_far": "lists right: others, trained on",
    "held_out_far": "lists right: others, held out",
    "missed": "held-out lists wrong",
    "missed_at_o2": "of these, wrong at o2",
    "correlation": "correlation of scores and readout",
}
OF_FORETELLING = {
    "impossible": "near ties of which lemma 3 refuses one order",
    "without_content": "the same, were o2 not to pay for o1's content",
    "precision": "held-out lists it names that are wrong",
    "recall": "wrong held-out lists that it names",
    "foretold": "precision-recall area of the scores' closeness alone",
    "contents_alike": "held-out lists right, both contents at SEP weighed alike",
}
"""Figures of `explain`, in words: but for the correlation shares of the lists (a, b), a not b."""


def explain(weights: Weights) -> pd.Series:
    """Where one model is right and wrong: the figures named above, nan where no list is of a kind.

    Lemma 3 names the lists of pairs whose margins at o2 add up to 0 or less, with nothing fitted.
    The config must hold lists out.
    """
    config = weights.config
    split = split_lists(config)
    if split.train is None or not len(split.held_out):
        raise ConfigError(f"train_fraction must hold lists out, got {config.train_fraction}")
    trained, held_out, every = (
        margin_terms(weights, lists) for lists in (split.train, split.held_out, all_lists(config))
    )
    shares = {}
    for kind, terms in {"trained": trained, "held_out": held_out}.items():
        tie = terms.distance < NEAR
        shares |= {f"{kind}_near": terms.both[tie].mean(), f"{kind}_far": terms.both[~tie].mean()}
    near, missed = every[every.distance < NEAR], ~held_out.both
    pairs, closed = pair_margins(weights), predicted_sums(weights)
    tied, paid = pairs.score.abs() < NEAR, closed.o2_passed * closed.o1_content / pairs.o1_sum
    low = pairs.loc[pairs.o2_sum <= 0, ["a", "b"]].to_numpy()
    low = pd.MultiIndex.from_arrays(np.concatenate([low, low[:, ::-1]]).T)
    named = pd.Series(pd.MultiIndex.from_frame(held_out[["a", "b"]]).isin(low))
    foretold = np.nan
    if missed.any():
        foretold = metrics.average_precision_score(missed, -held_out.distance)
    edits = swap_shares(weights, split.held_out)
    figures = {
        "outweighed": (near.order < near.content.abs()).mean(),
        "near_at_o1": near.o1.mean(),
        **shares,
        "missed": missed.mean(),
        "missed_at_o2": (~held_out.o2[missed]).mean(),
        "impossible": (pairs.o2_sum <= 0)[tied].mean(),
        "without_content": (pairs.o2_sum - paid <= 0)[tied].mean(),
        "precision": missed[named].mean(),
        "recall": named[missed].mean(),
        "foretold": foretold,
        "contents_alike": edits.kept["content difference removed"],
        "correlation": order_axis(weights).correlation,
    }
    return pd.Series(figures, dtype=float)


def weigh(weights: Weights) -> pd.Series:
    """How often order is the smaller, in near ties and, as a control, in others: shares of lists.

    The last edits: `c` is taken away from the scores, and the outputs read what SEP then holds.
    """
    lists, axis = unequal(all_lists(weights.config)), order_axis(weights)
    terms = margin_terms(weights, lists)
    near, smaller = terms.distance < NEAR, terms.order < terms.content.abs()
    attention = replace(axis, offset=0.0).attention(*lists.T)
    shares = torch.stack([attention, 1 - attention], 1)
    edited = read_out(weights, compose(weights, lists, shares, shares)).written == lists
    figures = {
        "order smaller: near ties": smaller[near].mean(),
        "others": smaller[~near].mean(),
        "these others, right": terms.both[smaller & ~near].mean(),
        "all": smaller.mean(),
        "near ties right": terms.both[near].mean(),
        "the same, c = 0": edited.all(1).numpy()[near].mean() if near.any() else np.nan,
    }
    return pd.Series(figures, dtype=float)


def through_directions(weights: Weights, count: int) -> tuple[float, float]:
    """Variance of SEP's vectors in their first principal components, lists right through these."""
    lists = all_lists(weights.config)
    held = separator(weights, lists).vectors
    mean = held.mean(0)
    _, lengths, directions = torch.linalg.svd(held - mean, full_matrices=False)
    first, powers = directions[:count], lengths**2
    outputs = read_out(weights, mean + (held - mean) @ first.T @ first)
    right = share((outputs.written == lists).all(1))
    return (powers[:count].sum() / powers.sum()).item(), right


def at_logit_size(weights: Weights, sizes: Sequence[float]) -> pd.DataFrame:
    """Loss (nats an output, all lists) when the unembedding is scaled to a largest logit."""
    check_pairs(weights.config)
    lists = all_lists(weights.config)
    logits = outputs_of(weights, lists).logits
    logits = logits / logits.abs().max()
    rows = [(size, _loss(logits * size, lists)) for size in sizes]
    return pd.DataFrame(rows, columns=["largest_logit", "loss"])


def along_path(start: Weights, end: Weights, shares: Sequence[float]) -> pd.DataFrame:
    """Loss and lists right on the straight line between two models' weights, all lists.

    The digits of `end` are relabelled so that both models have them in the same order of scores.
    """
    check_pairs(start.config)
    lists, end = all_lists(start.config), relabelled(end, order_axis(start).scores)
    rows = []
    for part in shares:
        ends = zip(start.parts, end.parts, strict=True)
        mixed = Weights(start.config, *(torch.lerp(*both, part) for both in ends))
        outputs = outputs_of(mixed, lists)
        right = share((outputs.written == lists).all(1))
        rows.append((part, _loss(outputs.logits, lists), right))
    return pd.DataFrame(rows, columns=["share", "loss", "per_list"])


def relabelled(weights: Weights, scores: Float[Tensor, "digit"]) -> Weights:
    """The same model with its digits renamed, so that its scores have the order of `scores`."""
    rows: Int[Tensor, "vocabulary"] = torch.arange(len(weights.token))
    rows[scores.argsort()] = order_axis(weights).scores.argsort()
    return replace(weights, token=weights.token[rows], unembed=weights.unembed[:, rows])


def _loss(logits: Tensor, lists: Lists) -> float:
    return cross_entropy(logits.flatten(0, 1), lists.flatten()).item()
