"""Steering through an SAE: which edits of the separator make the model write (b, a) for (a, b)?

rows = swappable(separator)                                   # lists with two different digits
scaled = swapped_by_scaling(match, rows, latent)              # every factor tried, per list
added = swapped_by_adding(match, rows, separator.order_axis)
edits(match, rows, random), in_pairs(match, rows)             # in figures

Edits start from the SAE's reconstruction. Scaling changes only lists on which a latent is active.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from listcomp_utils.circuit.order_axis import DOSES, read_out
from listcomp_utils.features.latents import Directions, Match
from listcomp_utils.features.separator import KnownSeparator, written
from listcomp_utils.generation import score, share

FACTORS = tuple(torch.linspace(-10, 10, 81).tolist())
"""What an active latent is multiplied by; 1 leaves it."""
PAIR_FACTORS = tuple(torch.linspace(-10, 10, 21).tolist())
"""The same for the other latents when several are scaled at once: every combination."""
AMOUNTS = tuple(torch.linspace(-1, 1, 21).tolist())
"""Of a direction that is added to many lists, in lengths of P1 - P2."""

KINDS = ["baseline", *["order latents"] * 4, *["order axis"] * 3, *["controls"] * 4]
"""What the first figures of `edits` are of."""

Rows = Int[Tensor, "row"]
Swapped = Bool[Tensor, "row"]
"""Of the lists with these numbers, which are written reversed."""

SLACK = 1e-3
"""Logits within which rounding could decide what is written."""
AT_ONCE = 4_096
"""Edited vectors read out at once: bounds the memory."""


def swappable(separator: KnownSeparator, most: int | None = None) -> Rows:
    """Rows of the lists of two different digits, or a random sample of `most` of them."""
    rows = (separator.lists[:, 0] != separator.lists[:, 1]).nonzero().flatten()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    return rows[order[:most]].sort().values


def swapped(
    separator: KnownSeparator,
    rows: Rows,
    start: Float[Tensor, "row d_model"],
    direction: Float[Tensor, "#row d_model"],
    doses: Sequence[float],
) -> Swapped:
    """Whether `start` plus some dose of a direction makes the model write each list reversed."""
    goal, doses = separator.lists[rows].flip(1), torch.tensor(doses)
    # The first output's logits are linear in the dose, so it writes the digit wanted between two
    # doses only, where its lead over every other token is above 0. Only these are tried.
    logits = read_out(separator.weights, start).logits[:, 0]
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
    match: Match,
    rows: Rows,
    latents: int | Int[Tensor, "row choice"],
    factors: Sequence[float] = FACTORS,
) -> Swapped:
    """Whether scaling latents swaps each list, for some combination of factors.

    `latents` is one latent for all lists, or for each list the latents to scale together: the last
    by `factors`, the others by `PAIR_FACTORS`.
    """
    if not isinstance(latents, Tensor):
        latents = torch.full((len(rows), 1), int(latents))
    values = match.latents[rows]
    start, activations = match.sae.decode(values), values.gather(1, latents)
    moves = activations[:, :, None] * match.sae.decoder[latents]
    result = swapped(match.separator, rows, start, torch.zeros_like(start[:1]), [0.0])
    inner = [factor - 1 for factor in factors]
    for outer in itertools.product(PAIR_FACTORS, repeat=latents.shape[1] - 1):
        # Nothing changes where all of them are off.
        left = ~result & (activations > 0).any(1)
        change = torch.einsum("c,ncd->nd", torch.tensor(outer) - 1, moves[left, :-1])
        edited = start[left] + change
        result[left] = swapped(match.separator, rows[left], edited, moves[left, -1], inner)
    return result


def swapped_by_adding(
    match: Match,
    rows: Rows,
    direction: Float[Tensor, "d_model"],
    amounts: Sequence[float] = DOSES,
) -> Swapped:
    """Whether adding some amount of a direction, taken as long as P1 - P2, swaps each list."""
    step = direction * (match.separator.order_axis.norm() / direction.norm())
    start = match.sae.decode(match.latents[rows])
    return swapped(match.separator, rows, start, step[None], amounts)


def steering_table(match: Match, rows: Rows) -> pd.DataFrame:
    """Scale, add and remove in turn every latent that is active on some of the lists, a row each.

    `scaled` and `added` are the shares of lists that are swapped, `without` of outputs right.
    """
    values, table = match.latents[rows], {}
    for latent in (values > 0).any(0).nonzero().flatten().tolist():
        direction = match.sae.decoder[latent]
        scaled = swapped_by_scaling(match, rows, latent)
        added = swapped_by_adding(match, rows, direction, AMOUNTS)
        without = values.index_fill(1, torch.tensor(latent), 0.0)
        table[latent] = share(scaled), share(added), outputs_right(match, rows, without)
    return pd.DataFrame.from_dict(table, "index", columns=["scaled", "added", "without"])


def outputs_right(match: Match, rows: Rows, latents: Float[Tensor, "row latent"]) -> float:
    """The share of some lists' outputs that are right with these latents."""
    answers = written(match.separator, match.sae.decode(latents))
    return score(answers, match.separator.lists[rows]).per_token


def edits(match: Match, rows: Rows, random: Directions) -> dict[str, float]:
    """The share of lists that each kind of edit swaps, and last what latents cost in outputs right.

    Order latents and P1 - P2 are tried on all lists of two digits, the rest on `rows`.
    """
    every, axis = swappable(match.separator), match.separator.order_axis
    here = match.order_on[every]
    scaled = [swapped_by_scaling(match, every, latent) for latent in match.order]
    either = torch.stack([torch.zeros_like(here), *scaled]).any(0)
    added = swapped_by_adding(match, every, axis)
    at_random = [share(swapped_by_adding(match, rows, one, AMOUNTS)) for one in random]
    table = steering_table(match, rows)
    is_order = table.index.isin(match.order)
    order, others = table[is_order], table[~is_order]
    right = outputs_right(match, rows, match.latents[rows])
    return {
        "no edit": share(swapped_by_adding(match, rows, axis, [0.0])),
        "scale the best order latent": max(map(share, scaled), default=0.0),
        "scale any order latent": share(either),
        "  where one is on": share(either[here]),
        "  where none is on": share(either[~here]),
        "add P1 - P2": share(added),
        "  where no order latent is on": share(added[~here]),
        "add an order latent's direction": order.added.max(),
        "scale another, mean": others.scaled.mean(),
        "scale another, best": others.scaled.max(),
        "add another's direction, mean": others.added.mean(),
        "add a random direction": sum(at_random) / len(random),
        "one of the others at 0 moves it by at most": (right - others.without).abs().max(),
        "the busier order latent at 0 costs": (right - order.without).max(),
    }


def in_pairs(match: Match, rows: Rows) -> pd.DataFrame:
    """Shares of lists swapped by scaling each one's most active latents, alone and two at a time.

    As a pair has more tries, the order latent is also given as many factors in the same range.
    There are no rows without an order latent and two digits'.
    """
    columns = ["scaled", "lists swapped", "where the order latent is off"]
    if not match.order or len(match.digits) < 2:
        return pd.DataFrame(columns=columns)
    values = match.latents[rows]
    order = torch.tensor(match.order)[values[:, match.order].topk(1).indices]
    digits = torch.tensor(match.digits)[values[:, match.digits].topk(2).indices]
    as_many = torch.linspace(min(FACTORS), max(FACTORS), len(FACTORS) * len(PAIR_FACTORS))
    choices = {
        "order latent": (order, FACTORS),
        "order latent, as many factors as a pair": (order, as_many.tolist()),
        "stronger digit": (digits[:, :1], FACTORS),
        "order latent and stronger digit": (torch.cat([digits[:, :1], order], 1), FACTORS),
        "order latent and weaker digit": (torch.cat([digits[:, 1:], order], 1), FACTORS),
        "both digits": (digits, FACTORS),
    }
    done = {name: swapped_by_scaling(match, rows, *choice) for name, choice in choices.items()}
    done["either the order latent or both digits"] = done["order latent"] | done["both digits"]
    done["(adding P1 - P2)"] = swapped_by_adding(match, rows, match.separator.order_axis)
    off = values.gather(1, order)[:, 0] == 0
    shares = [(name, share(one), share(one[off])) for name, one in done.items()]
    return pd.DataFrame(shares, columns=columns)


def gain_of_pairs(swapped: pd.Series) -> float:
    """What the better digit latent adds to the order latent, of shares named as by `in_pairs`."""
    pairs = swapped[["order latent and stronger digit", "order latent and weaker digit"]]
    return float(pairs.max() - swapped["order latent, as many factors as a pair"])
