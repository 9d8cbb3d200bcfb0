"""Steering through an SAE: which edits of the separator make the model write (b, a) for (a, b)?

rows = swappable(separator)                                   # lists with two different digits
scaled = swapped_by_scaling(separator, sae, rows, latent)     # every factor tried, per list
added = swapped_by_adding(separator, start, rows, separator.order_axis)
table = steering_table(separator, sae, rows)                  # a row a live latent

All edits start from the SAE's reconstruction: the baseline is the model with that put in. Scaling a
latent changes only the lists on which it is active; adding moves every list.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from listcomp_utils.circuit.order_axis import DOSES, read_out
from listcomp_utils.features.sae import SAE
from listcomp_utils.features.separator import KnownSeparator, written
from listcomp_utils.generation import score

FACTORS = tuple(torch.linspace(-10, 10, 81).tolist())
"""What an active latent is multiplied by; 1 leaves it."""

PAIR_FACTORS = tuple(torch.linspace(-10, 10, 21).tolist())
"""The same for the other latents when several are scaled at once: every combination."""

SLACK = 1e-3
"""Logits within which rounding could decide what is written."""

AT_ONCE = 4_096
"""Edited vectors read out at once: bounds the memory."""


def swappable(separator: KnownSeparator, most: int | None = None) -> Int[Tensor, "row"]:
    """Rows of the lists of two different digits, or a random sample of `most` of them."""
    rows = (separator.lists[:, 0] != separator.lists[:, 1]).nonzero().flatten()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    return rows[order[:most]].sort().values


def swapped(
    separator: KnownSeparator,
    rows: Int[Tensor, "row"],
    start: Float[Tensor, "row d_model"],
    direction: Float[Tensor, "#row d_model"],
    doses: Sequence[float],
) -> Bool[Tensor, "row"]:
    """Whether `start` plus some dose of a direction makes the model write each list reversed."""
    goal, doses = separator.lists[rows].flip(1), torch.tensor(doses)
    # The first output's logits are linear in the dose, so it writes the digit wanted between two
    # doses only, where its lead over every other token is above 0. Only these are tried.
    logits = read_out(separator.config, separator.weights, start).logits[:, 0]
    slopes = (direction @ separator.weights.unembed).expand_as(logits)
    lead, gain = (x.gather(1, goal[:, :1]) - x for x in (logits, slopes))
    crossing = -(lead + SLACK) / gain
    lowest = crossing.where(gain > 0, -torch.inf).amax(1, keepdim=True)
    highest = crossing.where(gain < 0, torch.inf).amin(1, keepdim=True)
    found = torch.zeros(len(rows), dtype=torch.bool)
    for part in ((lowest <= doses) & (doses <= highest)).T.nonzero().split(AT_ONCE):
        dose, row = part[~found[part[:, 1]]].T
        edited = start[row] + doses[dose, None] * direction.expand_as(start)[row]
        found[row[(written(separator, edited) == goal[row]).all(1)]] = True
    return found


def swapped_by_scaling(
    separator: KnownSeparator,
    sae: SAE,
    rows: Int[Tensor, "row"],
    latents: int | Int[Tensor, "row choice"],
    factors: Sequence[float] = FACTORS,
) -> Bool[Tensor, "row"]:
    """Whether scaling latents swaps each list, for some combination of factors.

    `latents` is one latent for all lists, or for each list the latents to scale together: the last
    by `factors`, the others by `PAIR_FACTORS`.
    """
    if not isinstance(latents, Tensor):
        latents = torch.full((len(rows), 1), int(latents))
    values = sae.encode(separator.vectors[rows])
    start, activations = sae.decode(values), values.gather(1, latents)
    moves = activations[:, :, None] * sae.decoder[latents]
    result = swapped(separator, rows, start, torch.zeros_like(start[:1]), [0.0])
    inner = [factor - 1 for factor in factors]
    for outer in itertools.product(PAIR_FACTORS, repeat=latents.shape[1] - 1):
        # Nothing changes where all of them are off.
        left = ~result & (activations > 0).any(1)
        change = torch.einsum("c,ncd->nd", torch.tensor(outer) - 1, moves[left, :-1])
        edited = start[left] + change
        result[left] = swapped(separator, rows[left], edited, moves[left, -1], inner)
    return result


def swapped_by_adding(
    separator: KnownSeparator,
    start: Float[Tensor, "row d_model"],
    rows: Int[Tensor, "row"],
    direction: Float[Tensor, "d_model"],
    amounts: Sequence[float] = DOSES,
) -> Bool[Tensor, "row"]:
    """Whether adding some amount of a direction, taken as long as P1 - P2, swaps each list."""
    step = direction * (separator.order_axis.norm() / direction.norm())
    return swapped(separator, rows, start, step[None], amounts)


def steering_table(
    separator: KnownSeparator,
    sae: SAE,
    rows: Int[Tensor, "row"],
    amounts: Sequence[float] = DOSES,
) -> pd.DataFrame:
    """Scale, add and remove in turn every latent that is active on some of the lists `rows`.

    A row a latent: `latent`; `active`, the share of the lists on which it is; `scaled`, the share
    that some factor swaps; `scaled_of_active`, the same of the lists with it active; `added`, the
    share that some amount of its direction swaps; `without`, outputs right (share) with it at 0.
    """
    values = sae.encode(separator.vectors[rows])
    start, table = sae.decode(values), []
    unedited = (written(separator, start) == separator.lists[rows].flip(1)).all(1)
    for latent in (values > 0).any(0).nonzero().flatten().tolist():
        on, direction = values[:, latent] > 0, sae.decoder[latent]
        scaled = unedited.clone()
        scaled[on] = swapped_by_scaling(separator, sae, rows[on], latent)
        added = swapped_by_adding(separator, start, rows, direction, amounts)
        answers = written(separator, start - values[:, latent, None] * direction)
        without = score(answers, separator.lists[rows]).per_token
        table.append((latent, *map(share, (on, scaled, scaled[on], added)), without))
    columns = ["latent", "active", "scaled", "scaled_of_active", "added", "without"]
    return pd.DataFrame(table, columns=columns)


def share(lists: Bool[Tensor, "list"]) -> float:
    """The share of some lists for which something is true; nan of none."""
    return lists.double().mean().item()
