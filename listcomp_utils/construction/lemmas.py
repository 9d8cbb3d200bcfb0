"""What copying pairs of digits demands of the study's architecture, as identities and bounds.

    pairs = pair_margins(weights)            # a row for each pair of digits
    pair_margins(weights, alpha=0.6).copied.sum()    # lemma 5: 0, for every model

08_construction states the five lemmas and proves them; here are w = U_a - U_b, v and v' SEP after
layer 0 on (a, b) and (b, a), alpha and alpha' its attention to the first digit, beta and beta' o2's
attention to it, p = w.x_o1. An output is called right where its margin is above 0, which is
necessary: third digits may win. All raise ConfigError as `check_pairs`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from listcomp_utils.circuit.formula import Weights
from listcomp_utils.circuit.order_axis import (
    check_pairs,
    compose,
    order_axis,
    outputs_of,
    read_out,
    separator,
)
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.generation import share
from listcomp_utils.task import all_lists


def pair_margins(weights: Weights, alpha: float | None = None) -> pd.DataFrame:
    """Every pair of digits a < b: margins, in logits, of its four lists at both outputs, and sums.

    `o1_ab` is o1's margin on (a, b), `o1_sum` that of `o1_ab` and `o1_ba`: where a sum is 0 or
    less, a list is wrong (lemma 3). `copied` says whether all eight are above 0, `score` is
    s_a - s_b. An `alpha` given takes the place of SEP's own attention to the first digit in every
    list, with which no pair's four lists are all copied (lemma 5); o2's attention follows.
    """
    config = weights.config
    if alpha is not None and not 0 <= alpha <= 1:
        raise ConfigError(f"alpha must be between 0 and 1, got {alpha}")
    weights, n = weights.double(), config.n_digits
    axis, lists = order_axis(weights), all_lists(config)
    held = axis.attention(*lists.T)
    if alpha is not None:
        held = torch.full_like(held, alpha)
    shares = torch.stack([held, 1 - held], 1)
    vectors = compose(weights, lists, shares, shares)
    logits = read_out(weights, vectors).logits.view(n, n, 2, -1)
    (a, b), margins = pairs_of(config), {}
    for name, digits in {"ab": (a, b), "ba": (b, a), "aa": (a, a), "bb": (b, b)}.items():
        for place, own in enumerate(digits):
            other = a + b - own
            margin = logits[*digits, place, own] - logits[*digits, place, other]
            margins[f"o{place + 1}_{name}"] = margin.numpy()
    frame = pd.DataFrame(margins)
    sums = {f"{at}_sum": frame[f"{at}_ab"] + frame[f"{at}_ba"] for at in ("o1", "o2")}
    score, copied = axis.scores[a] - axis.scores[b], (frame > 0).all(axis=1)
    return frame.assign(a=a.numpy(), b=b.numpy(), score=score.numpy(), **sums, copied=copied)


def predicted_sums(weights: Weights) -> pd.DataFrame:
    """The sums of `pair_margins` in closed form, `o1_order + o1_content` and `o2_passed + o2_turn`.

    Lemma 2, with d = s_a - s_b, c the offset of the positions, delta_t = U_t.(P_1 - P_2) and
    Gamma = w.(E_a - E_b):
        o1_sum = w.(v - v') = [sinh(d) (delta_a - delta_b) + sinh(c) Gamma] / (cosh(d) + cosh(c)).
    Lemma 1 as an identity, with m = (v + v') / 2 and the mean of beta and beta':
        o2_sum = -mean o1_sum + (beta' - beta) (w.m - p).
    """
    config, weights = weights.config, weights.double()
    axis, (a, b) = order_axis(weights), pairs_of(config)
    d, c = axis.scores[a] - axis.scores[b], torch.full((), axis.offset, dtype=torch.float64)
    w = weights.unembed.T[a] - weights.unembed.T[b]
    order = _ratio(d, c) * (axis.readout[a] - axis.readout[b])
    content = _ratio(c, d) * (w * (weights.token[a] - weights.token[b])).sum(1)
    lists = torch.stack([a, b], 1)
    vectors = [separator(weights, rows).vectors for rows in (lists, lists.flip(1))]
    beta, turned = (read_out(weights, rows).moderation for rows in vectors)
    o1, _ = weights.output_inputs
    columns = {
        "a": a,
        "b": b,
        "o1_order": order,
        "o1_content": content,
        "o2_passed": -(beta + turned) / 2 * (order + content),
        "o2_turn": (turned - beta) * (w * (sum(vectors) / 2 - o1)).sum(1),
    }
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()})


def order_is_needed(weights: Weights) -> pd.DataFrame:
    """What is left when o2's attention to SEP, or SEP's vector, does not depend on the order.

    A row for each edit (the index): `lists` and `outputs` are shares right of all (third digits
    count), `both_orders` the share of pairs with both orders right, by lemma 1 none, and `bound`
    the most lists any model can have with such an edit.
    """
    config = weights.config
    check_pairs(config)
    weights, n, lists = weights.double(), config.n_digits, all_lists(config)
    own, vectors = outputs_of(weights, lists), separator(weights, lists).vectors
    beta, turned = own.moderation, lists[:, 1] * n + lists[:, 0]
    mean, of_both = beta.mean().expand_as(beta), (beta + beta[turned]) / 2
    edits = {
        "nothing": own,
        "o2's attention, mean over lists": read_out(weights, vectors, mean),
        "o2's attention, mean of the two orders": read_out(weights, vectors, of_both),
        "SEP's vector, mean of the two orders": read_out(weights, (vectors + vectors[turned]) / 2),
    }
    rows = {}
    for name, outputs in edits.items():
        right = outputs.written == lists
        whole = right.all(1).view(n, n)
        shares = (whole, right, (whole & whole.T)[*pairs_of(config)])
        rows[name] = [*map(share, shares)]
    names = ["lists", "outputs", "both_orders"]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=names).rename_axis("edit")
    return frame.assign(bound=[math.nan] + [one_order_bound(n)] * (len(frame) - 1))


def upper_certificate(weights: Weights) -> float:
    """An upper bound on the share of all lists that are right, by the sums alone (lemma 3)."""
    sums = pair_margins(weights)[["o1_sum", "o2_sum"]]
    return 1 - int((sums <= 0).any(axis=1).sum()) / weights.config.n_digits**2


class NearTies(NamedTuple):
    """The log-log slope of order, a part of o1's sums, against score differences below 1.

    What is `left` is its median between digits next to each other in score, as a share of the
    readout's range.
    """

    exponent: float
    left: float


def near_ties(weights: Weights) -> NearTies:
    """Lemma 4: how fast order, tanh(d / 2) (delta_a - delta_b), fades where scores nearly agree."""
    axis, (a, b) = order_axis(weights.double()), pairs_of(weights.config)
    d, reads = axis.scores[a] - axis.scores[b], axis.readout[a] - axis.readout[b]
    sums = (d / 2).tanh() * reads
    fitted = (sums > 0) & (d != 0) & (d.abs() < 1)
    logs = [values[fitted].abs().log().numpy() for values in (d, sums)]
    order = axis.scores.argsort()
    steps, reads = axis.scores[order].diff(), axis.readout[order].diff()
    left = ((steps / 2).tanh() * reads).median() / (axis.readout.max() - axis.readout.min())
    return NearTies(
        exponent=float(np.polyfit(*logs, 1)[0]) if fitted.sum() > 1 else math.nan,
        left=left.item(),
    )


def one_order_bound(n_digits: int) -> float:
    """(n + 1) / 2n: every doubled digit and one order of each pair, as a share of all lists."""
    return (n_digits + 1) / (2 * n_digits)


def pairs_of(config: Config) -> Int[Tensor, "2 pair"]:
    """Every pair of digits a < b."""
    return torch.triu_indices(config.n_digits, config.n_digits, 1)


def _ratio(x: Tensor, y: Tensor) -> Tensor:
    """sinh(x) / (cosh(x) + cosh(y)) without overflow, and exact where x is tiny."""
    return 0.5 * (((x + y) / 2).tanh() + ((x - y) / 2).tanh())
