"""What a vector holds of the list: principal components, linear probes, distances.

vectors = run_all(model, lists).residuals[:, 1, config.sep_position]    # SEP after layer 0
principal_components(vectors).explained[:3]
probe(vectors, lists[:, 0], seed=0).score                               # d1, on held-out lists
reversal(vectors, lists).explained[0]                                   # (a, b) against (b, a)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

HELD_OUT = 0.3
"""Share of the lists that a probe is scored on and not fitted to."""


@dataclass(frozen=True)
class Components:
    """Principal components of centred vectors, largest first."""

    scores: Float[Tensor, "vector component"]
    directions: Float[Tensor, "component d_model"]
    explained: Float[Tensor, "component"]
    """Share of the variance along each component."""

    @property
    def effective_dimension(self) -> float:
        """Participation ratio, 1 / sum of squared shares: n for n equally large components."""
        return 1.0 / float((self.explained**2).sum())


@dataclass(frozen=True)
class Probe:
    """A linear probe on held-out vectors, beside the same probe fitted to shuffled labels."""

    score: float
    """Accuracy for classes, R² for numbers."""
    shuffled: float
    """The same with labels shuffled before fitting: what the probe scores without any signal."""
    kind: str
    n_held_out: int


@dataclass(frozen=True)
class Reversal:
    """Differences between the vectors of each list (a, b) and of (b, a), a not b."""

    distance: float
    """Mean length of the difference."""
    distance_to_others: float
    """Mean length of the difference between random pairs of lists."""
    explained: Float[Tensor, "component"]
    """Share of the squared differences (not centred) along each of their principal directions."""
    directions: Float[Tensor, "component d_model"]


def principal_components(vectors: Float[Tensor, "vector d_model"]) -> Components:
    """Principal components by singular value decomposition, in float64.

    Signs are fixed: the largest entry of each direction is positive.
    """
    centred = vectors.double() - vectors.double().mean(0)
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    largest = directions.abs().argmax(1, keepdim=True)
    directions = directions * directions.gather(1, largest).sign()
    total = (values**2).sum().clamp_min(1e-300)
    return Components(centred @ directions.T, directions, values**2 / total)


def cosine_similarities(
    rows: Float[Tensor, "row d_model"], columns: Float[Tensor, "column d_model"]
) -> Float[Tensor, "row column"]:
    """Cosine between every row and every column vector."""
    unit = torch.nn.functional.normalize
    return unit(rows.double(), dim=-1) @ unit(columns.double(), dim=-1).T


def probe(
    vectors: Float[Tensor, "list d_model"],
    labels: Int[Tensor, "list"] | Float[Tensor, "list"],
    seed: int,
    numeric: bool = False,
) -> Probe:
    """Fit a linear probe to some lists and score it on others, with a shuffled-label control.

    Classes by logistic regression (accuracy), numbers by ridge regression (R²), both on
    standardised vectors. Source: scikit-learn.

    Raises:
        ValueError: when there are fewer than two different labels, or too few lists to hold out.
    """
    features, targets = vectors.double().numpy(), np.asarray(labels)
    if len(np.unique(targets)) < 2:
        raise ValueError("a probe needs at least two different labels")
    if len(targets) < 10:
        raise ValueError(f"a probe needs at least 10 vectors, got {len(targets)}")
    shuffled = np.random.default_rng(seed).permutation(targets)
    scores = []
    for goal in (targets, shuffled):
        parts = train_test_split(features, goal, test_size=HELD_OUT, random_state=seed)
        fit_to, score_on, fit_labels, score_labels = parts
        model = Ridge() if numeric else LogisticRegression(max_iter=2000, C=10.0)
        fitted = make_pipeline(StandardScaler(), model).fit(fit_to, fit_labels)
        scores.append(float(fitted.score(score_on, score_labels)))
    return Probe(scores[0], scores[1], "R²" if numeric else "accuracy", len(score_labels))


def reversal(
    vectors: Float[Tensor, "list d_model"], lists: Int[Tensor, "list position"], seed: int = 0
) -> Reversal:
    """How a list differs from itself reversed, over all lists whose reverse is there too.

    Raises:
        ValueError: when no list differs from its reverse within `lists`.
    """
    rows = {tuple(row): number for number, row in enumerate(lists.tolist())}
    pairs = [
        (number, rows[row[::-1]])
        for row, number in rows.items()
        if row < row[::-1] and row[::-1] in rows
    ]
    if not pairs:
        raise ValueError("no list here differs from its reverse")
    one, other = torch.tensor(pairs).T
    differences = (vectors[one] - vectors[other]).double()
    _, values, directions = torch.linalg.svd(differences, full_matrices=False)
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(vectors), generator=generator)
    others = (vectors - vectors[shuffled]).double().norm(dim=1)
    return Reversal(
        distance=differences.norm(dim=1).mean().item(),
        distance_to_others=others[others > 0].mean().item(),
        explained=values**2 / (values**2).sum().clamp_min(1e-300),
        directions=directions,
    )


@dataclass(frozen=True)
class Spectrum:
    """Fourier power of embeddings over the digits, against random orders of the digits."""

    power: Float[Tensor, "frequency"]
    """Share of the centred embeddings' power at each frequency from 1 (cycles over the digits)."""
    usual: Float[Tensor, "frequency"]
    """Mean share over random orders."""
    upper: Float[Tensor, "frequency"]
    """95th percentile of the share over random orders, frequency by frequency."""
    p_value: float
    """Share of random orders whose largest share is at least as large: small means real waves."""


def fourier_spectrum(
    embeddings: Float[Tensor, "digit d_model"], permutations: int, seed: int
) -> Spectrum:
    """Do the embeddings form waves over the digits, more than the same vectors in random order?

    Source: Nanda et al., "Progress measures for grokking" (2023), for the basis; digits here are
    arbitrary symbols, so a wave would be a surprise.
    """
    generator = torch.Generator().manual_seed(seed)
    real = _power(embeddings)
    orders = [torch.randperm(len(embeddings), generator=generator) for _ in range(permutations)]
    null = torch.stack([_power(embeddings[order]) for order in orders])
    as_large = (null.max(1).values >= real.max()).sum().item()
    return Spectrum(
        power=real,
        usual=null.mean(0),
        upper=null.quantile(0.95, dim=0),
        p_value=(as_large + 1) / (permutations + 1),
    )


def _power(embeddings: Tensor) -> Tensor:
    centred = embeddings.double() - embeddings.double().mean(0)
    power = torch.fft.rfft(centred, dim=0).abs().square().sum(1)[1:]
    # Frequencies below half the digits stand for themselves and their mirror image.
    if len(embeddings) % 2 == 0:
        power[:-1] *= 2
    return power / power.sum().clamp_min(1e-300)
