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

from listcomp_utils.generation import score
from listcomp_utils.sae import SAE
from listcomp_utils.separator import Separator, written

FACTORS = tuple(torch.linspace(-10, 10, 81).tolist())
"""What an active latent is multiplied by; 1 leaves it."""

PAIR_FACTORS = tuple(torch.linspace(-10, 10, 21).tolist())
"""The same for two latents at once: every combination."""

AMOUNTS = tuple(torch.linspace(-1, 1, 101).tolist())
"""How much of a direction as long as P1 - P2 is added."""


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


def swappable(separator: Separator, most: int | None = None, seed: int = 0) -> Int[Tensor, "row"]:
    """Rows of the lists of two different digits, or a seeded sample of `most` of them."""
    rows = (separator.lists[:, 0] != separator.lists[:, 1]).nonzero().flatten()
    if most is None or len(rows) <= most:
        return rows
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order[:most]].sort().values


def swapped(
    separator: Separator, rows: Int[Tensor, "row"], edits: Iterable[Float[Tensor, "row d_model"]]
) -> Bool[Tensor, "row"]:
    """Whether at least one of the edited vectors makes the model write each list reversed."""
    goal = separator.lists[rows].flip(1)
    found = torch.zeros(len(rows), dtype=torch.bool)
    for vectors in edits:
        found |= (written(separator, vectors) == goal).all(1)
    return found


def swapped_by_scaling(
    separator: Separator,
    sae: SAE,
    rows: Int[Tensor, "row"],
    latents: int | Int[Tensor, "row choice"],
    factors: Iterable[float] = FACTORS,
) -> Bool[Tensor, "row"]:
    """Whether scaling latents swaps each list, for some combination of factors.

    `latents` is one latent for all lists, or for each list the latents to scale together.
    """
    factors, values = tuple(factors), sae.encode(separator.vectors[rows])
    start = sae.decode(values)
    if isinstance(latents, int):
        latents = torch.full((len(rows), 1), latents)
    activations = values.gather(1, latents)
    # Nothing changes where all of them are off.
    moved = (activations > 0).any(1)
    result = swapped(separator, rows, [start])
    directions = activations[moved, :, None] * sae.decoder[latents[moved]]
    combinations = itertools.product(factors, repeat=latents.shape[1])
    edits = (
        start[moved] + torch.einsum("c,ncd->nd", torch.tensor(chosen) - 1, directions)
        for chosen in combinations
    )
    result[moved] |= swapped(separator, rows[moved], edits)
    return result


def swapped_by_adding(
    separator: Separator,
    start: Float[Tensor, "row d_model"],
    rows: Int[Tensor, "row"],
    direction: Float[Tensor, "d_model"],
    amounts: Iterable[float] = AMOUNTS,
) -> Bool[Tensor, "row"]:
    """Whether adding some amount of a direction, taken as long as P1 - P2, swaps each list."""
    step = direction * (separator.order_axis.norm() / direction.norm())
    return swapped(separator, rows, (start + amount * step for amount in amounts))


def steering_table(
    separator: Separator,
    sae: SAE,
    rows: Int[Tensor, "row"],
    amounts: Iterable[float] = AMOUNTS,
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
        baseline_swapped=swapped(separator, rows, [start]).float().mean().item(),
        baseline_right=score(written(separator, start), lists).per_token,
    )


def strongest(
    values: Float[Tensor, "row latent"], among: list[int], count: int
) -> Int[Tensor, "row count"]:
    """The `count` most active latents of each row among some; raises ValueError for too few."""
    if len(among) < count:
        raise ValueError(f"{count} latents asked for among {len(among)}")
    return torch.tensor(among)[values[:, among].topk(count, dim=1).indices]
