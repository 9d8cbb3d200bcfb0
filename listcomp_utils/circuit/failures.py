"""Which lists the study's model gets wrong, foretold from the weights without running it.

    predictor = fit_failures([(weights, lists), ...])     # other seeds' models
    score_failures(predictor, weights, lists)["recall"]
    compare_numbers(predictor, weights, {"held out": lists})     # are both numbers needed?

Two numbers of a list (a, b): |alpha_1 - alpha_2|, how unequally SEP attends to the digits, and the
rank gap, how far apart the unembedding reads the digits along P_1 - P_2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from listcomp_utils.circuit.formula import Lists, Weights
from listcomp_utils.circuit.order_axis import NEAR, order_axis, outputs_of, unequal
from listcomp_utils.config import ConfigError
from listcomp_utils.generation import share

TIE = 0.08
"""A list is near a tie up to this |s_a - s_b|, s the scores at SEP."""


@dataclass(frozen=True)
class FailurePredictor:
    """A logistic regression on the two features, and the probability from which it says "wrong"."""

    intercept: float
    slopes: tuple[float, float]
    threshold: float


def failure_features(weights: Weights, lists: Lists) -> Float[Tensor, "list 2"]:
    """|alpha_1 - alpha_2| and the rank gap |u_a - u_b|, u_t = U_t (P_1 - P_2) over its std."""
    axis = order_axis(weights)
    difference = (2 * axis.attention(*lists.unbind(1)) - 1).abs()
    rank = axis.readout / axis.readout.std()
    return torch.stack([difference, rank[lists].diff()[:, 0].abs()], dim=1)


def fit_failures(models: Sequence[tuple[Weights, Lists]]) -> FailurePredictor:
    """Fit to the lists (a not b) of some models; the threshold has the largest F1 on them."""
    parts = [_observe(*model) for model in models]
    features, wrong = (torch.cat(pieces).numpy() for pieces in zip(*parts, strict=True))
    if wrong.all() or not wrong.any():
        raise ConfigError("lists must hold some that are right and some that are wrong")
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(features, wrong)
    probability = fitted.predict_proba(features)[:, 1]
    precision, recall, thresholds = metrics.precision_recall_curve(wrong, probability)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return FailurePredictor(
        intercept=float(fitted.intercept_[0]),
        slopes=tuple(fitted.coef_[0].tolist()),
        threshold=float(thresholds[f1[:-1].argmax()]),
    )


def score_failures(predictor: FailurePredictor, weights: Weights, lists: Lists) -> pd.Series:
    """Hold a predictor against what the model does on the lists with a not b.

    Shares: `base_rate` of the lists that are wrong, `precision` of those called wrong that are (nan
    without any), `recall` of the wrong that are called so; and `average_precision`, the area under
    the precision-recall curve. Lists named at random have the base rate as both precisions.
    """
    features, wrong = (values.numpy() for values in _observe(weights, lists))
    logit = predictor.intercept + features @ predictor.slopes
    probability = torch.from_numpy(logit).sigmoid().numpy()
    named = probability >= predictor.threshold
    return pd.Series(
        {
            "base_rate": wrong.mean(),
            "precision": metrics.precision_score(wrong, named, zero_division=np.nan),
            "recall": metrics.recall_score(wrong, named, zero_division=np.nan),
            "average_precision": _average_precision(wrong, probability),
        }
    )


def compare_numbers(
    predictor: FailurePredictor, weights: Weights, kinds: Mapping[str, Lists]
) -> pd.DataFrame:
    """Average precision of both features and of single numbers, the smallest named first.

    The single numbers have no fit: each feature, and |s_a - s_b|, s the scores at SEP. A column a
    kind of lists, those with a not b; nan where none is wrong.
    """
    found = {}
    for kind, lists in kinds.items():
        features, wrong = _observe(weights, lists)
        numbers = {
            "both, fitted on other seeds": -(
                features @ torch.tensor(predictor.slopes).to(features)
            ),
            "rank gap alone": features[:, 1],
            "|s_a - s_b| alone": _apart(weights, unequal(lists)),
            "|α1 - α2| alone": features[:, 0],
        }
        found[kind] = {name: _average_precision(wrong, -one) for name, one in numbers.items()}
    return pd.DataFrame(found).rename_axis("lists named by").reset_index()


def missed_off_the_diagonal(weights: Weights, lists: Lists) -> pd.DataFrame:
    """The lists (a not b) that come out wrong though not NEAR a tie: ten at most, a row each."""
    lists = unequal(lists)
    features, wrong = _observe(weights, lists)
    missed = wrong & (features[:, 0] > NEAR)
    frame = pd.DataFrame(features[missed].numpy(), columns=["|α1 - α2|", "rank gap"])
    frame.insert(0, "wrong, off the diagonal", [f"{a}, {b}" for a, b in lists[missed].tolist()])
    return frame.head(10)


def built_table(weights: Weights, held_out: Lists, train: Lists) -> pd.DataFrame:
    """How many are `wrong` of lists built to fail, built to be safe, held out and trained on.

    Built from the weights alone: the 5% of the held-out lists (a not b), at least one, of smallest
    rank in both features, and those of largest. The others are split by TIE. All have a not b.
    """
    ranked = unequal(held_out)
    if not len(ranked):
        raise ConfigError("lists must hold at least one of two different digits, got 0")
    count = max(1, int(0.05 * len(ranked)))
    order = failure_features(weights, ranked).argsort(0).argsort(0).sum(1).argsort()
    chosen = {
        "built to fail: both numbers least": ranked[order[:count]],
        "built to be safe: both largest": ranked[order[-count:]],
    }
    for kind, lists in {"held out": ranked, "trained on": unequal(train)}.items():
        near = _apart(weights, lists) <= TIE
        chosen[f"{kind}, |s_a - s_b| at most {TIE}"] = lists[near]
        chosen[f"{kind}, |s_a - s_b| above"] = lists[~near]
    rows = [
        {
            "lists": kind,
            "how many": len(lists),
            "wrong": share(_observe(weights, lists)[1]),
            "examples": "; ".join(f"{a}, {b}" for a, b in lists[:3].tolist()),
        }
        for kind, lists in chosen.items()
    ]
    return pd.DataFrame(rows)


def _apart(weights: Weights, lists: Lists) -> Float[Tensor, "list"]:
    return order_axis(weights).scores[lists].diff()[:, 0].abs()


def _average_precision(wrong: np.ndarray, named_by: np.ndarray) -> float:
    """Area under the precision-recall curve; nan where nothing is wrong."""
    return metrics.average_precision_score(wrong, named_by) if wrong.any() else np.nan


def _observe(
    weights: Weights, lists: Lists
) -> tuple[Float[Tensor, "list 2"], Bool[Tensor, "list"]]:
    lists = unequal(lists)
    wrong = (outputs_of(weights, lists).written != lists).any(1)
    return failure_features(weights, lists), wrong
