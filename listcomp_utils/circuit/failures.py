"""Which lists the study's model gets wrong, foretold from the weights without running it.

    predictor = fit_failures([(config, weights, lists), ...])     # other seeds' models
    predictor.probability(failure_features(config, weights, lists))
    score_failures(predictor, config, weights, lists).recall

Two numbers of a list (a, b): |alpha_1 - alpha_2|, how unequally SEP attends to the digits, and the
rank gap, how far apart the unembedding reads the digits along P_1 - P_2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve
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
    """Of |alpha_1 - alpha_2| and of the rank gap."""
    threshold: float

    def probability(self, features: Float[Tensor, "list 2"]) -> Float[Tensor, "list"]:
        """How likely the model is to get each list wrong."""
        return torch.sigmoid(self.intercept + features @ torch.tensor(self.slopes).to(features))


@dataclass(frozen=True)
class FailureScore:
    """How a predictor did; precision is the base rate for one that names lists at random."""

    n_lists: int
    base_rate: float
    """Share of the lists that are wrong."""
    named: float
    """Share of the lists that the predictor calls wrong."""
    precision: float
    """Of those, the share that is wrong; nan when it calls none."""
    recall: float
    """Share of the wrong lists that it calls wrong."""
    average_precision: float
    """Area under the precision-recall curve; the base rate at random."""


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
    precision, recall, thresholds = precision_recall_curve(
        wrong, fitted.predict_proba(features)[:, 1]
    )
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return FailurePredictor(
        intercept=float(fitted.intercept_[0]),
        slopes=tuple(float(slope) for slope in fitted.coef_[0]),
        threshold=float(thresholds[f1[:-1].argmax()]),
    )


def score_failures(
    predictor: FailurePredictor, config: Config, weights: Weights, lists: Lists
) -> FailureScore:
    """Hold a predictor against what the model does."""
    features, wrong = _observe(config, weights, lists)
    probability = predictor.probability(features)
    named = probability >= predictor.threshold
    hits = (named & wrong).sum()
    return FailureScore(
        n_lists=len(wrong),
        base_rate=wrong.double().mean().item(),
        named=named.double().mean().item(),
        precision=(hits / named.sum()).item(),
        recall=(hits / wrong.sum()).item(),
        average_precision=float(average_precision_score(wrong.numpy(), probability.numpy())),
    )


def built_lists(
    config: Config, weights: Weights, lists: Lists, share: float = 0.05
) -> tuple[Int[Tensor, "built position"], Int[Tensor, "built position"]]:
    """Lists built to fail and lists built to be safe, from the weights alone.

    To fail: the `share` of the lists (a not b), at least one, with the smallest rank in both
    features; to be safe: that with the largest.

    Raises:
        ConfigError: for a share that is not in (0, 0.5], or no lists.
    """
    lists = unequal(lists)
    if not 0 < share <= 0.5:
        raise ConfigError(f"share must be in (0, 0.5], got {share}")
    if not len(lists):
        raise ConfigError("lists must hold at least one of two different digits, got 0")
    count = max(1, int(share * len(lists)))
    features = failure_features(config, weights, lists)
    places = features.argsort(0).argsort(0).sum(1)
    order = places.argsort()
    return lists[order[:count]], lists[order[-count:]]


def wrong_share(config: Config, weights: Weights, lists: Lists) -> float:
    """Share of lists (a not b) that the model gets wrong."""
    return _observe(config, weights, lists)[1].double().mean().item()


def _observe(
    config: Config, weights: Weights, lists: Lists
) -> tuple[Float[Tensor, "list 2"], Bool[Tensor, "list"]]:
    lists = unequal(lists)
    wrong = (outputs_of(config, weights, lists).written != lists).any(1)
    return failure_features(config, weights, lists), wrong
