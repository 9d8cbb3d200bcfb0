"""Steering through an SAE: which edits of the separator make the model write (b, a) for (a, b)?

rows = swappable(separator)                                   # lists with two different digits
scaled = swapped_by_scaling(separator, sae, rows, latent)     # every factor tried, per list
added = swapped_by_adding(separator, start, rows, separator.order_axis)
table = steering_table(separator, sae, rows)                  # every latent, beside the baseline

All edits start from the SAE's reconstruction, so the baseline is the model with that put in, not
the model itself. Scaling a latent moves a vector along its decoder direction, and only on lists
where the latent is active; adding moves every list.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from listcomp_utils.circuit.order_axis import DOSES, written_along
from listcomp_utils.features.sae import SAE
from listcomp_utils.features.separator import KnownSeparator, written
from listcomp_utils.generation import score

FACTORS = tuple(torch.linspace(-10, 10, 81).tolist())
"""What an active latent is multiplied by; 1 leaves it."""

PAIR_FACTORS = tuple(torch.linspace(-10, 10, 21).tolist())
"""The same for the other latents when several are scaled at once: every combination."""


@dataclass(frozen=True)
class SteeringRow:
    """What one latent does, over the lists of a table."""

    latent: int
    active: float
    """Share of the lists on which it is active."""
    scaled: float
    """Share that some factor swaps."""
    scaled_of_active: float
    """Share of the lists with it active that some factor swaps; nan without any."""
    added: float
    """Share that some amount of its direction swaps."""
    without: float
    """Outputs right (share) with it set to 0."""


@dataclass(frozen=True)
class SteeringTable:
    """Every live latent, and the reconstruction without steering."""

    rows: list[SteeringRow]
    baseline_swapped: float
    baseline_right: float
    """Outputs right (share) with the reconstruction put in, before any edit."""


def swappable(
    separator: KnownSeparator, most: int | None = None, seed: int = 0
) -> Int[Tensor, "row"]:
    """Rows of the lists of two different digits, or a seeded sample of `most` of them."""
    rows = (separator.lists[:, 0] != separator.lists[:, 1]).nonzero().flatten()
    if most is None or len(rows) <= most:
        return rows
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order[:most]].sort().values


def swapped(
    separator: KnownSeparator,
    rows: Int[Tensor, "row"],
    start: Float[Tensor, "row d_model"],
    direction: Float[Tensor, "#row d_model"],
    doses: Iterable[float],
) -> Bool[Tensor, "row"]:
    """Whether `start` plus some dose of a direction makes the model write each list reversed."""
    goal = separator.lists[rows].flip(1)
    found = torch.zeros(len(rows), dtype=torch.bool)
    for answers in written_along(separator.config, separator.weights, start, direction, doses):
        found |= (answers == goal).all(1)
    return found


def swapped_by_scaling(
    separator: KnownSeparator,
    sae: SAE,
    rows: Int[Tensor, "row"],
    latents: int | Int[Tensor, "row choice"],
    factors: Iterable[float] = FACTORS,
) -> Bool[Tensor, "row"]:
    """Whether scaling latents swaps each list, for some combination of factors.

    `latents` is one latent for all lists, or for each list the latents to scale together: the last
    by `factors`, the others by `PAIR_FACTORS`.
    """
    values = sae.encode(separator.vectors[rows])
    start = sae.decode(values)
    if isinstance(latents, int):
        latents = torch.full((len(rows), 1), latents)
    activations = values.gather(1, latents)
    # Nothing changes where all of them are off.
    moved = (activations > 0).any(1)
    still = torch.zeros_like(start[:1])
    result = swapped(separator, rows, start, still, [0.0])
    directions = activations[moved, :, None] * sae.decoder[latents[moved]]
    inner = [factor - 1 for factor in factors]
    for outer in itertools.product(PAIR_FACTORS, repeat=latents.shape[1] - 1):
        edited = start[moved] + torch.einsum(
            "c,ncd->nd", torch.tensor(outer) - 1, directions[:, :-1]
        )
        result[moved] |= swapped(separator, rows[moved], edited, directions[:, -1], inner)
    return result


def swapped_by_adding(
    separator: KnownSeparator,
    start: Float[Tensor, "row d_model"],
    rows: Int[Tensor, "row"],
    direction: Float[Tensor, "d_model"],
    amounts: Iterable[float] = DOSES,
) -> Bool[Tensor, "row"]:
    """Whether adding some amount of a direction, taken as long as P1 - P2, swaps each list."""
    step = direction * (separator.order_axis.norm() / direction.norm())
    return swapped(separator, rows, start, step[None], amounts)


def steering_table(
    separator: KnownSeparator,
    sae: SAE,
    rows: Int[Tensor, "row"],
    amounts: Iterable[float] = DOSES,
) -> SteeringTable:
    """Scale, add and remove every live latent in turn."""
    amounts, values = tuple(amounts), sae.encode(separator.vectors[rows])
    start, lists = sae.decode(values), separator.lists[rows]
    table = []
    for latent in (values > 0).any(0).nonzero().flatten().tolist():
        on = values[:, latent] > 0
        scaled = swapped_by_scaling(separator, sae, rows, latent)
        added = swapped_by_adding(separator, start, rows, sae.decoder[latent], amounts)
        without = start - values[:, latent, None] * sae.decoder[latent]
        table.append(
            SteeringRow(
                latent=latent,
                active=on.float().mean().item(),
                scaled=scaled.float().mean().item(),
                scaled_of_active=scaled[on].float().mean().item(),
                added=added.float().mean().item(),
                without=score(written(separator, without), lists).per_token,
            )
        )
    return SteeringTable(
        rows=table,
        baseline_swapped=swapped_by_adding(separator, start, rows, separator.order_axis, [0.0])
        .float()
        .mean()
        .item(),
        baseline_right=score(written(separator, start), lists).per_token,
    )


def strongest(
    values: Float[Tensor, "row latent"], among: list[int], count: int
) -> Int[Tensor, "row count"]:
    """The `count` most active latents of each row among some; raises ValueError for too few."""
    if len(among) < count:
        raise ValueError(f"{count} latents asked for among {len(among)}")
    return torch.tensor(among)[values[:, among].topk(count, dim=1).indices]
