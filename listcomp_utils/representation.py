"""What a vector holds of the list: principal components, linear probes, distances, waves.

seen = run_all(model, lists)
vectors = separator_vectors(config, seen)["after layer 0"]
principal_components(vectors).explained[:3]
probe_table({"SEP": vectors}, {"d1": lists[:, 0]}, seed=0)   # d1's score on held-out lists
order_at_separator(config, seen, lists)["after layer 0"]     # (a, b) against (b, a)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int, Shaped
from sklearn.base import ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from sklearn.model_selection import ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from listcomp_utils.config import Config
from listcomp_utils.hooks import Activations, run_all
from listcomp_utils.model import make_model
from listcomp_utils.task import lists_to_score

HELD_OUT = 0.3
"""Share of the lists that a probe is scored on and not fitted to."""

FEWEST_PROBED = 10
"""A probe needs at least this many vectors, and two for each label."""


class Components(NamedTuple):
    """Principal components, largest first: as many as vectors or dimensions."""

    scores: Float[Tensor, "vector component"]
    directions: Float[Tensor, "component d_model"]
    explained: Float[Tensor, "component"]
    """Share of the variance along each component."""

    @property
    def effective_dimension(self) -> float:
        """Participation ratio, 1 / sum of squared shares; 0 where all vectors are the same."""
        concentration = float((self.explained**2).sum())
        return 1.0 / concentration if concentration else 0.0

    def coordinates(self, count: int) -> pd.DataFrame:
        """Scores along the first `count` components, named `PC1 (42%)`; 0 where there is none."""
        wanted = range(count)
        scores = pd.DataFrame(self.scores.numpy()).reindex(columns=wanted, fill_value=0.0)
        shares = pd.Series(self.explained.numpy()).reindex(wanted, fill_value=0.0)
        return scores.set_axis([f"PC{i + 1} ({share:.0%})" for i, share in shares.items()], axis=1)


class Spectrum(NamedTuple):
    """Share of the embeddings' power at each frequency from 1 (cycles over the digits).

    `upper` is its 95th percentile over random orders of the digits, `p_value` the share of those
    whose largest `power` is at least as large: small means real waves.
    """

    power: Float[Tensor, "frequency"]
    upper: Float[Tensor, "frequency"]
    p_value: float


class Reversal(NamedTuple):
    """Differences between the vectors of each list (a, b) and of (b, a), a not b.

    `distance` is their mean length, `distance_to_others` that between random pairs of lists;
    `components` of the differences both ways, `cosine` of the first with an axis, without sign.
    `along_copied` and `along_failed` are medians of the share of a difference's square along the
    first, over pairs that are both copied, and the others; nan where there are none.
    """

    distance: float
    distance_to_others: float
    components: Components
    cosine: float | None
    along_copied: float
    along_failed: float


def principal_components(vectors: Float[Tensor, "vector d_model"]) -> Components:
    """By singular value decomposition, in float64; each direction's largest entry is positive."""
    centred = vectors.double() - vectors.double().mean(0)
    _, lengths, directions = torch.linalg.svd(centred, full_matrices=False)
    largest = directions.abs().argmax(1, keepdim=True)
    directions = directions * directions.gather(1, largest).sign()
    shares = lengths**2 / (lengths**2).sum().clamp_min(1e-300)
    return Components(centred @ directions.T, directions, shares)


def probe_table(
    vectors: Mapping[str, Float[Tensor, "list d_model"]],
    targets: Mapping[str, Shaped[Tensor, "list"]],
    seed: int,
    classifier: ClassifierMixin | None = None,
) -> pd.DataFrame:
    """Linear probes for each target at each place, scored on lists they were not fitted to.

    Whole-number targets are found by linear discriminant analysis (accuracy), to which the length
    of a direction is nothing, or by another `classifier`; others by ridge regression (R²); on
    standardised vectors. `shuffled` is the score with the labels shuffled first; `held_out` how
    many lists it is scored on. Raises ValueError for too few vectors or labels.
    """
    rows = []
    split = ShuffleSplit(1, test_size=HELD_OUT, random_state=seed)
    for (place, at_place), (target, labels) in product(vectors.items(), targets.items()):
        features, goal = at_place.double().numpy(), labels.numpy()
        kind, probe = "accuracy", classifier or LinearDiscriminantAnalysis()
        n_labels = len(np.unique(goal))
        fewest = max(FEWEST_PROBED, 2 * n_labels)
        if labels.is_floating_point():
            kind, probe, fewest = "R²", Ridge(), FEWEST_PROBED
        if len(goal) < fewest:
            raise ValueError(f"a probe needs at least {fewest} vectors, got {len(goal)}")
        if n_labels < 2 or not features.std(0).any():
            raise ValueError("a probe needs at least two different labels and vectors")
        model = make_pipeline(StandardScaler(), probe)
        shuffled = np.random.default_rng(seed).permutation(goal)
        scores = [cross_val_score(model, features, y, cv=split).item() for y in (goal, shuffled)]
        rows.append((place, target, kind, *scores, math.ceil(HELD_OUT * len(goal))))
    columns = ["place", "target", "kind", "score", "shuffled", "held_out"]
    return pd.DataFrame(rows, columns=columns)


def separator_vectors(
    config: Config, seen: Activations
) -> dict[str, Float[Tensor, "list d_model"]]:
    """SEP's residual stream after layer 0, where outputs read it, and after the last layer."""
    return {
        f"after layer {level - 1}": seen.residuals[:, level, config.sep_position]
        for level in (1, config.n_layers)
    }


def order_at_separator(
    config: Config, seen: Activations, lists: Int[Tensor, "list position"]
) -> dict[str, Reversal]:
    """Reversals of SEP's vectors; the axis is the first position's embedding less the last's."""
    places = seen.contributions[0, 1].double()
    axis = places[0] - places[config.list_len - 1] if config.positions == "learned" else None
    written = seen.logits[:, config.prediction_positions].argmax(-1)
    copied, vectors = (written == lists).all(1), separator_vectors(config, seen)
    return {place: reversal(at_place, lists, copied, axis) for place, at_place in vectors.items()}


def untrained_reversals(config: Config, seeds: Iterable[int]) -> list[float]:
    """What one direction holds of the reversals after layer 0 in untrained models, by seed."""
    lists = lists_to_score(config, most=10_000)
    models = (make_model(config.replace(seed=seed)) for seed in seeds)
    found = [order_at_separator(config, run_all(model, lists), lists) for model in models]
    return [one["after layer 0"].components.explained[0].item() for one in found]


def reversal(
    vectors: Float[Tensor, "list d_model"],
    lists: Int[Tensor, "list position"],
    copied: Bool[Tensor, "list"],
    axis: Float[Tensor, "d_model"] | None = None,
) -> Reversal:
    """How a list differs from itself reversed, over all lists whose reverse is there too."""
    number = {tuple(row): number for number, row in enumerate(lists.tolist())}
    firsts = [row for row in number if row < row[::-1] and row[::-1] in number]
    if not firsts:
        raise ValueError("no list here differs from its reverse")
    one, other = torch.tensor([(number[row], number[row[::-1]]) for row in firsts]).T
    differences = (vectors[one] - vectors[other]).double()
    components = principal_components(torch.cat([differences, -differences]))
    shuffled = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))
    others = (vectors - vectors[shuffled]).double().norm(dim=1)
    cosine = None
    if axis is not None:
        cosine = torch.cosine_similarity(components.directions[0], axis, 0).abs().item()
    distances = differences.norm(dim=1).mean().item(), others[others > 0].mean().item()
    along = (differences @ components.directions[0]).square()
    along = along / differences.square().sum(1).clamp_min(1e-300)
    both = copied[one] & copied[other]
    medians = (
        along[some].quantile(0.5).item() if some.any() else math.nan for some in (both, ~both)
    )
    return Reversal(*distances, components, cosine, *medians)


def fourier_spectrum(
    embeddings: Float[Tensor, "digit d_model"], permutations: int, seed: int
) -> Spectrum:
    """Do the embeddings form waves over the digits, more than the same vectors in random order?

    The basis is that of Nanda et al., "Progress measures for grokking" (2023).
    """
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(embeddings), generator=generator) for _ in range(permutations)]
    real, null = _power(embeddings), torch.stack([_power(embeddings[order]) for order in orders])
    as_large = (null.max(1).values >= real.max()).sum().item()
    return Spectrum(real, null.quantile(0.95, dim=0), (as_large + 1) / (permutations + 1))


def _power(embeddings: Tensor) -> Tensor:
    centred = embeddings.double() - embeddings.double().mean(0)
    power = torch.fft.rfft(centred, dim=0).abs().square().sum(1)[1:]
    # Frequencies below half the digits stand for themselves and their mirror image.
    if len(embeddings) % 2 == 0:
        power[:-1] *= 2
    return power / power.sum().clamp_min(1e-300)
