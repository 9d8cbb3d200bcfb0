"""What copying pairs of digits demands of the study's architecture, as identities and bounds.

    pairs = pair_margins(config, weights)            # float64; a row for each pair of digits
    predicted_sums(config, weights)                  # lemmas 1 and 2: the same sums, from scalars
    order_is_needed(config, weights)                 # lemma 1: attention without the order
    upper_certificate(config, weights)               # lemma 3
    near_ties(config, weights)                       # lemma 4
    pair_margins(config, weights, alpha=0.6).copied.sum()    # lemma 5: 0, for every model

For a pair (a, b): w = U_a - U_b, v and v' SEP after layer 0 on (a, b) and (b, a), alpha and alpha'
its attention to the first digit, beta and beta' o2's attention to it, p = w.x_o1, q = w.x_o2. An
output's margin is the logit of its own digit minus that of the pair's other:
    o1: p + w.v on (a, b), -(p + w.v') on (b, a);    o2: -f on (a, b), f' on (b, a),
    f = q + p + beta (w.v - p).
A list is called right where its margins are above 0, which is necessary: third digits may win.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from listcomp_utils.circuit.formula import Lists, Weights
from listcomp_utils.circuit.order_axis import (
    check_pairs,
    compose,
    order_axis,
    outputs_of,
    read_out,
    separator,
)
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.task import all_lists

ORDERS = ("ab", "ba", "aa", "bb")
"""The four lists of two digits a < b, as the columns of `pair_margins` name them."""


@dataclass(frozen=True)
class UpperCertificate:
    """Lemma 3: shares of pairs with a list wrong, at either output and at each; so the bound.

    `per_list` is an upper bound on the share of all n^2 lists that are right.
    """

    per_list: float
    pairs: float
    pairs_at_o1: float
    pairs_at_o2: float


@dataclass(frozen=True)
class NearTies:
    """Lemma 4: how the two orders' o1 margins add up where the scores of a pair are close.

    `slope` is the readout per score by least squares and `correlation` its quality, `exponent` the
    log-log slope of the sums against score differences below 1. `left` is the median sum over
    digits next to each other in score, as a share of the readout's range, and `left_evenly` what
    even spacing over the same scores and a linear readout would leave.
    """

    slope: float
    correlation: float
    exponent: float
    left: float
    left_evenly: float


def pair_margins(config: Config, weights: Weights, alpha: float | None = None) -> pd.DataFrame:
    """Every pair of digits a < b: margins, in logits, of its four lists at both outputs, and sums.

    `o1_ab` is o1's margin on (a, b), `o1_sum` that of `o1_ab` and `o1_ba`; `copied` says whether
    all eight are above 0, `both_orders` the four of (a, b) and (b, a). `score` is s_a - s_b;
    `alpha_ab` and `beta_ab` are SEP's attention to d1 and o2's to SEP. An `alpha` given takes the
    place of SEP's own attention in every list; o2's follows.

    Lemma 3 (an upper certificate). If `o1_sum` or `o2_sum` is 0 or less, one of its two margins is,
    and that list is wrong.

    Lemma 5 (fixed attention). No pair whose four lists share one alpha is copied, at any width;
    so digits must differ in score. Proof: r = S + alpha E_a + (1 - alpha) E_b puts (b, b), (b, a),
    (a, b) and (a, a) on one line, at lambda = 0, 1 - alpha, alpha and 1. On it z, o2's score, is
    affine, so f / beta = w.(r - x_o1) + w.(x_o1 + x_o2) (1 + e^-z) is convex or concave. o2 needs
    it -, +, -, + at these four, which for alpha > 1/2 come in this order: impossible. For alpha <
    1/2 the order is (b, b), (a, b), (b, a), (a, a), and o1 needs -, +, -, + of the affine p + w.v.
    At 1/2 two lists are one.

    Raises:
        ConfigError: as `check_pairs`, or for alpha outside 0 to 1.
    """
    check_pairs(config)
    if alpha is not None and not 0 <= alpha <= 1:
        raise ConfigError(f"alpha must be between 0 and 1, got {alpha}")
    weights = _exact(weights)
    (first, second), scores = _pairs(config), order_axis(config, weights).scores
    columns = {"a": first, "b": second, "score": scores[first] - scores[second]}
    for name, a, b in zip(ORDERS, *_orders(first, second), strict=True):
        vectors, held = _separator(config, weights, torch.stack([a, b], 1), alpha)
        outputs = read_out(config, weights, vectors)
        logits, columns[f"alpha_{name}"] = outputs.logits, held
        columns[f"beta_{name}"] = outputs.moderation
        for place, own in enumerate((a, b)):
            other = first + second - own
            pair = logits[:, place].gather(1, torch.stack([own, other], 1))
            columns[f"o{place + 1}_{name}"] = pair[:, 0] - pair[:, 1]
    margins = {at: [columns[f"{at}_{order}"] for order in ORDERS] for at in ("o1", "o2")}
    for at, values in margins.items():
        columns[f"{at}_sum"] = values[0] + values[1]
    above = torch.stack([torch.stack(values) for values in margins.values()]) > 0
    columns["both_orders"] = above[:, :2].all(0).all(0)
    columns["copied"] = above.all(0).all(0)
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()})


def predicted_sums(config: Config, weights: Weights) -> pd.DataFrame:
    """The sums of `pair_margins` in closed form, `o1_order + o1_content` and `o2_passed + o2_turn`.

    Lemma 2 (readout follows score). With d = s_a - s_b, c the offset of the positions, delta_t =
    U_t.(P_1 - P_2) and Gamma = w.(E_a - E_b), exactly
        o1_sum = w.(v - v') = [sinh(d) (delta_a - delta_b) + sinh(c) Gamma] / (cosh(d) + cosh(c)).
    Proof: v - v' = (alpha + alpha' - 1) (E_a - E_b) + (alpha - alpha') (P_1 - P_2), and alpha,
    alpha' = sigmoid(c +- d). With c = 0 both orders can be right only if delta is ordered as s.

    Lemma 1 as an identity: with m = (v + v') / 2 and the mean of beta and beta',
        o2_sum = f' - f = -mean o1_sum + (beta' - beta) (w.m - p).
    `gap` is beta' - beta, `gap_needed` where o2_sum would be 0: the least gap, in the direction of
    w.m - p, that lets both orders be right at o2 when they are at o1.

    Raises:
        ConfigError: as `check_pairs`.
    """
    check_pairs(config)
    weights = _exact(weights)
    axis, (a, b) = order_axis(config, weights), _pairs(config)
    d, c = axis.scores[a] - axis.scores[b], torch.full((), axis.offset, dtype=torch.float64)
    w = weights.unembed.T[a] - weights.unembed.T[b]
    gamma = (w * (weights.token[a] - weights.token[b])).sum(1)
    order = _ratio(d, c) * (axis.readout[a] - axis.readout[b])
    content = _ratio(c, d) * gamma
    both = [torch.stack(rows, 1) for rows in ((a, b), (b, a))]
    vectors = [_separator(config, weights, rows, None)[0] for rows in both]
    beta, turned = (read_out(config, weights, rows).moderation for rows in vectors)
    o1 = weights.token[config.mask_id] + weights.position[config.output_positions[0]]
    middle = (w * (sum(vectors) / 2 - o1)).sum(1)
    passed = -(beta + turned) / 2 * (order + content)
    return pd.DataFrame(
        {
            "a": a.numpy(),
            "b": b.numpy(),
            "o1_order": order.numpy(),
            "o1_content": content.numpy(),
            "o2_passed": passed.numpy(),
            "o2_turn": ((turned - beta) * middle).numpy(),
            "gap": (turned - beta).numpy(),
            "gap_needed": (-passed / middle).numpy(),
        }
    )


def order_is_needed(config: Config, weights: Weights) -> pd.DataFrame:
    """What is left when o2's attention to SEP, or SEP's vector, does not depend on the order.

    A row for each edit (the index): `lists` and `outputs` are shares right of all (third digits
    count), `both_orders` the share of pairs with both orders right, `bound` the most lists any
    model can have with such an edit, (n + 1) / 2n, missing where nothing is edited.

    Lemma 1 (o2 must look away in turn). Both outputs right on both orders needs w.v > -p > w.v'
    and f < 0 < f'. With beta = beta' the latter says w.v < w.v': a contradiction. So at most one
    order of each pair, and the n doubled digits. If v = v', o1 writes the same digit first twice.

    Raises:
        ConfigError: as `check_pairs`.
    """
    check_pairs(config)
    weights = _exact(weights)
    n, lists = config.n_digits, all_lists(config)
    vectors = separator(config, weights, lists).vectors
    own = outputs_of(config, weights, lists)
    turned = lists[:, 1] * n + lists[:, 0]
    beta, middle = own.moderation, (vectors + vectors[turned]) / 2
    edits = {
        "nothing": own,
        "o2's attention, mean over lists": (vectors, beta.mean().expand_as(beta)),
        "o2's attention, mean of the two orders": (vectors, (beta + beta[turned]) / 2),
        "SEP's vector, mean of the two orders": (middle, None),
    }
    rows = {}
    for name, edit in edits.items():
        outputs = edit if name == "nothing" else read_out(config, weights, *edit)
        right = outputs.written == lists
        whole = right.all(1).view(n, n)
        both = (whole & whole.T).double().sum() - whole.diagonal().double().sum()
        bound = math.nan if name == "nothing" else one_order_bound(n)
        shares = (whole.double().mean().item(), right.double().mean().item())
        rows[name] = (*shares, (both / max(n * n - n, 1)).item(), bound)
    columns = ["lists", "outputs", "both_orders", "bound"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("edit")


def upper_certificate(config: Config, weights: Weights) -> UpperCertificate:
    """Bound the share of lists right from above by the sums alone; lemma 3 in `pair_margins`."""
    sums = pair_margins(config, weights)[["o1_sum", "o2_sum"]]
    wrong = sums <= 0
    either = wrong.any(axis=1)
    bound = 1 - int(either.sum()) / config.n_digits**2
    return UpperCertificate(bound, float(either.mean()), *wrong.mean().tolist())


def near_ties(config: Config, weights: Weights) -> NearTies:
    """How fast order fades between digits of nearly the same score; raises as `check_pairs`.

    Lemma 4. With c = 0 lemma 2 reads o1_sum = tanh(d / 2) (delta_a - delta_b). Where the readout is
    linear, delta = slope s + constant, that is slope d tanh(d / 2), about slope d^2 / 2. Digits
    evenly spaced over a range R of scores are d = R / (n - 1) apart: of the readout's range,
    slope R, the nearest keep tanh(d / 2) / (n - 1), about R / 2 (n - 1)^2.
    """
    check_pairs(config)
    axis = order_axis(config, _exact(weights))
    (a, b), scores = _pairs(config), axis.scores
    d = (scores[a] - scores[b]).abs()
    sums = (d / 2).tanh() * (axis.readout[a] - axis.readout[b]) * (scores[a] - scores[b]).sign()
    fitted = (sums > 0) & (d > 0) & (d < 1)
    spread = scores - scores.mean()
    order = scores.argsort()
    steps, reads = scores[order].diff(), axis.readout[order].diff()
    reach = (axis.readout.max() - axis.readout.min()).item()
    even = ((scores.max() - scores.min()) / (config.n_digits - 1)).item()
    return NearTies(
        slope=((spread @ axis.readout) / spread.square().sum()).item(),
        correlation=axis.correlation,
        exponent=_slope(d[fitted].log(), sums[fitted].log()),
        left=((steps / 2).tanh() * reads).median().item() / reach,
        left_evenly=math.tanh(even / 2) / (config.n_digits - 1),
    )


def one_order_bound(n_digits: int) -> float:
    """(n + 1) / 2n: every doubled digit and one order of each pair, as a share of all lists."""
    return (n_digits + 1) / (2 * n_digits)


def _exact(weights: Weights) -> Weights:
    parts = (weights.token, weights.position, weights.unembed, weights.query_key)
    return Weights(*(part.double().cpu() for part in parts))


def _pairs(config: Config) -> Int[Tensor, "2 pair"]:
    return torch.triu_indices(config.n_digits, config.n_digits, 1)


def _orders(first: Tensor, second: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    return (first, second, first, second), (second, first, first, second)


def _separator(
    config: Config, weights: Weights, lists: Lists, alpha: float | None
) -> tuple[Float[Tensor, "list d_model"], Float[Tensor, "list"]]:
    """SEP after layer 0 and its attention to the first digit, that of the model or fixed."""
    if alpha is None:
        held = order_axis(config, weights).attention(*lists.T)
    else:
        held = torch.full((len(lists),), alpha, dtype=torch.float64)
    both = torch.stack([held, 1 - held], 1)
    return compose(config, weights, lists, both, both), held


def _ratio(x: Tensor, y: Tensor) -> Tensor:
    """sinh(x) / (cosh(x) + cosh(y)) without overflow, and exact where x is tiny."""
    return 0.5 * (((x + y) / 2).tanh() + ((x - y) / 2).tanh())


def _slope(x: Float[Tensor, "pair"], y: Float[Tensor, "pair"]) -> float:
    if len(x) < 2:
        return math.nan
    return (((x - x.mean()) @ (y - y.mean())) / (x - x.mean()).square().sum()).item()
