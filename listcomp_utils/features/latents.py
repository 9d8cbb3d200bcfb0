"""What the latents of an SAE at the separator are: digits, the order axis, or mixtures.

match = match_latents(separator, sae)
match.where("order"), match.clean_digits
flat = binary(sae.encode(separator.vectors))        # the null of "graded": each latent on or off
activation_maps(separator, latents)[latent]         # over (d1, d2)
matched_cosines(live_directions(separator, one), live_directions(separator, other)).mean()

A vector common to all digits can be moved from them into the constant of the separator's sum, so
digits are compared after their mean and the order axis are taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import normalize

from listcomp_utils.features.sae import SAE
from listcomp_utils.features.separator import KnownSeparator
from listcomp_utils.representation import cosine_similarities

CLEAN = 0.9
"""From this cosine a direction counts as found, from this share of lists a latent as clean."""


@dataclass(frozen=True)
class LatentMatch:
    """What each latent is closest to; digits and places without the shared mean and order axis."""

    kind: list[str]
    """One of "order", "digit", "digit and order" (within their plane), "mixture", or "dead"."""
    digit: Int[Tensor, "latent"]
    """The digit whose embedding is closest."""
    digit_cosine: Float[Tensor, "latent"]
    """Cosine with that digit, outside the order axis."""
    order_cosine: Float[Tensor, "latent"]
    """Cosine with P1 - P2."""
    density: Float[Tensor, "latent"]
    """Share of the lists on which the latent is active."""
    precision: Float[Tensor, "latent"]
    """Share of the lists with the latent active that hold its digit."""
    recall: Float[Tensor, "latent"]
    """Share of the lists with its digit on which it is active."""
    correlation: Float[Tensor, "latent"]
    """Of its activation with its digit's attention, where both are above 0; nan when constant."""
    slope: Float[Tensor, "latent"]
    """Activation for a unit of attention, over the length of the embedding: 1 when it is a copy."""

    def where(self, kind: str) -> list[int]:
        """The latents of a kind."""
        return [i for i, one in enumerate(self.kind) if one == kind]

    @property
    def clean_digits(self) -> list[int]:
        """Digits with exactly one latent that is active on their lists and hardly elsewhere."""
        clean = (self.precision >= CLEAN) & (self.recall >= CLEAN)
        clean &= torch.tensor([kind.startswith("digit") for kind in self.kind])
        found, counts = self.digit[clean].unique(return_counts=True)
        return found[counts == 1].tolist()


def binary(
    latents: Float[Tensor, "list latent"], only: list[int] | None = None
) -> Float[Tensor, "list latent"]:
    """Latents with each active value replaced by that latent's mean when active (`only` some)."""
    on = latents > 0
    flat = on * (latents.sum(0) / on.sum(0).clamp_min(1))
    if only is None:
        return flat
    edited = latents.clone()
    edited[:, only] = flat[:, only]
    return edited


def match_latents(separator: KnownSeparator, sae: SAE) -> LatentMatch:
    """Match each latent's decoder direction and activation to the known terms."""
    latents = sae.encode(separator.vectors)
    on = latents > 0
    axis = normalize(separator.order_axis, dim=0)
    order_cosine = sae.decoder @ axis
    digits = separator.embeddings - separator.embeddings.mean(0)
    digits = digits - (digits @ axis)[:, None] * axis
    cosines = cosine_similarities(sae.decoder - order_cosine[:, None] * axis, digits).float()
    digit_cosine, digit = cosines.max(1)
    in_plane = (order_cosine**2 + (1 - order_cosine**2) * digit_cosine.clamp_min(0) ** 2).sqrt()
    held = separator.digit_weights
    holds = (held > 0)[:, digit]
    both = on & holds
    kinds = []
    for i in range(sae.d_sae):
        if not on[:, i].any():
            kinds.append("dead")
        elif order_cosine[i].abs() >= CLEAN:
            kinds.append("order")
        elif in_plane[i] >= CLEAN:
            plain = digit_cosine[i] * (1 - order_cosine[i] ** 2).sqrt() >= CLEAN
            kinds.append("digit" if plain else "digit and order")
        else:
            kinds.append("mixture")
    slope, correlation = _regressions(held[:, digit], latents, both)
    return LatentMatch(
        kind=kinds,
        digit=digit,
        digit_cosine=digit_cosine,
        order_cosine=order_cosine,
        density=on.float().mean(0),
        precision=both.sum(0) / on.sum(0).clamp_min(1),
        recall=both.sum(0) / holds.sum(0).clamp_min(1),
        correlation=correlation,
        slope=slope / digits.norm(dim=1)[digit],
    )


def activation_maps(
    separator: KnownSeparator, latents: Float[Tensor, "list latent"], bins: int | None = None
) -> Float[Tensor, "latent d1 d2"]:
    """Each latent over d1 and d2; with `bins`, the largest of each block of lists."""
    n = separator.config.n_digits
    maps = latents.T.reshape(-1, n, n)
    if bins is None or bins >= n:
        return maps
    place = torch.arange(n) * bins // n
    block = (place[:, None] * bins + place).flatten().expand(len(maps), -1)
    empty = torch.zeros(len(maps), bins * bins)
    return empty.scatter_reduce(1, block, maps.flatten(1), "amax").reshape(-1, bins, bins)


def matched_cosines(
    one: Float[Tensor, "latent d_model"], other: Float[Tensor, "latent_2 d_model"]
) -> Float[np.ndarray, "pair"]:
    """Cosines of the directions paired one to one so that their sum is largest (Hungarian)."""
    cosines = cosine_similarities(one, other).numpy()
    return cosines[linear_sum_assignment(cosines, maximize=True)]


def live_directions(separator: KnownSeparator, sae: SAE) -> Float[Tensor, "latent d_model"]:
    """Decoder directions of the latents that are active on at least one list."""
    return sae.decoder[(sae.encode(separator.vectors) > 0).any(0)]


def _regressions(causes: Tensor, values: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Column by column, slope and correlation of `values` on `causes` over the `counted` rows."""
    counts = counted.sum(0).clamp_min(1)
    x, y = ((t - (t * counted).sum(0) / counts) * counted for t in (causes, values))
    covariance, spread, other = (x * y).sum(0), x.square().sum(0), y.square().sum(0)
    return covariance / spread, covariance / (spread * other).sqrt()
