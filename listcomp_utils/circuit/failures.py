"""Which lists the study's model gets wrong, foretold from the weights without running it.

    predictor = fit_failures([(config, weights, lists), ...])     # other seeds' models
    predictor.probability(failure_features(config, weights, lists))
    score_failures(predictor, config, weights, lists)["recall"]

Two numbers of a list (a, b): |alpha_1 - alpha_2|, how unequally SEP attends to the digits, and the
rank gap, how far apart the unembedding reads the digits along P_1 - P_2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from listcomp_utils.circuit.formula import Lists, Weights
from listcomp_utils.circuit.order_axis import order_axis, outputs_of, unequal
from listcomp_utils.config import Config, ConfigError

Model = tuple[Config, Weights, Tensor]
"""A config, its weights and the lists to look at, of which those with a = b are left out."""


@dataclass(frozen=True)
class FailurePredictor:
    """A logistic regression on the two features, and the probability from which it says "wrong"."""

    intercept: float
    slopes: tuple[float, float]
    threshold: float

    def probability(self, features: Float[Tensor, "list 2"]) -> Float[Tensor, "list"]:
        """How likely the model is to get each list wrong."""
        return torch.sigmoid(self.intercept + features @ torch.tensor(self.slopes).to(features))


def failure_features(config: Config, weights: Weights, lists: Lists) -> Float[Tensor, "list 2"]:
    """|alpha_1 - alpha_2| and the rank gap |u_a - u_b|, u_t = U_t (P_1 - P_2) in units of its std.

    Raises:
        ConfigError: for a model that is not of the study's architecture with lists of two.
    """
    axis = order_axis(config, weights)
    first, second = lists.unbind(1)
    difference = (2 * axis.attention(first, second) - 1).abs()
    rank = axis.readout / axis.readout.std()
    return torch.stack([difference, (rank[first] - rank[second]).abs()], dim=1)


def fit_failures(models: Sequence[Model]) -> FailurePredictor:
    """Fit to the lists of some models; the threshold is the one of largest F1 on them.

    Raises:
        ConfigError: when the models get all of the lists right, or all wrong.
    """
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


def score_failures(
    predictor: FailurePredictor, config: Config, weights: Weights, lists: Lists
) -> pd.Series:
    """Hold a predictor against what the model does on the lists with a not b.

    Shares: `base_rate` of the lists that are wrong, `named` of those called wrong, `precision` of
    the named that are wrong (nan without any), `recall` of the wrong that are named; and
    `average_precision`, the area under the precision-recall curve. Both precisions are the base
    rate for naming lists at random.
    """
    features, wrong = _observe(config, weights, lists)
    probability = predictor.probability(features).numpy()
    wrong, named = wrong.numpy(), probability >= predictor.threshold
    return pd.Series(
        {
            "base_rate": wrong.mean(),
            "named": named.mean(),
            "precision": metrics.precision_score(wrong, named, zero_division=np.nan),
            "recall": metrics.recall_score(wrong, named, zero_division=np.nan),
            "average_precision": metrics.average_precision_score(wrong, probability),
        }
    )


def built_lists(
    config: Config, weights: Weights, lists: Lists
) -> tuple[Int[Tensor, "built position"], Int[Tensor, "built position"]]:
    """Lists built to fail and lists built to be safe, from the weights alone.

    To fail: the 5% of the lists (a not b), at least one, with the smallest rank in both features;
    to be safe: those with the largest.

    Raises:
        ConfigError: for lists without any of two different digits.
    """
    lists = unequal(lists)
    if not len(lists):
        raise ConfigError("lists must hold at least one of two different digits, got 0")
    count = max(1, int(0.05 * len(lists)))
    ranks = failure_features(config, weights, lists).argsort(0).argsort(0)
    order = ranks.sum(1).argsort()
    return lists[order[:count]], lists[order[-count:]]


def built_table(config: Config, weights: Weights, held_out: Lists, train: Lists) -> pd.DataFrame:
    """How many are `wrong` of lists built to fail, built to be safe, held out and trained on.

    Raises:
        ConfigError: as `built_lists` for the held-out lists, from which the first two are built.
    """
    kinds = ("built to fail: both numbers least", "built to be safe: both largest")
    chosen = dict(zip(kinds, built_lists(config, weights, held_out), strict=True))
    chosen |= {"all held-out lists": held_out, "all lists trained on": train}
    rows = {
        kind: [
            len(lists),
            wrong_share(config, weights, lists),
            "; ".join(f"{a}, {b}" for a, b in lists[:3].tolist()),
        ]
        for kind, lists in chosen.items()
    }
    columns = ["how many", "wrong", "examples"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("lists")


def wrong_share(config: Config, weights: Weights, lists: Lists) -> float:
    """Share of lists (a not b) that the model gets wrong."""
    return _observe(config, weights, lists)[1].double().mean().item()


def _observe(
    config: Config, weights: Weights, lists: Lists
) -> tuple[Float[Tensor, "list 2"], Bool[Tensor, "list"]]:
    lists = unequal(lists)
    wrong = (outputs_of(config, weights, lists).written != lists).any(1)
    return failure_features(config, weights, lists), wrong
