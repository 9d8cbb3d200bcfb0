"""Steering through an SAE: which edits of the separator make the model write (b, a) for (a, b)?

rows = swappable(separator)                                   # lists with two different digits
scaled = swapped_by_scaling(separator, sae, rows, latent)     # every factor tried, per list
added = swapped_by_adding(separator, start, rows, separator.order_axis)
table = steering_table(separator, match, rows)                # a row a live latent
edits(separator, match, rows, random)                         # all of these in one row of figures
in_pairs(separator, match, rows)                              # two latents scaled at once

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
from listcomp_utils.features.latents import Match
from listcomp_utils.features.sae import SAE
from listcomp_utils.features.separator import KnownSeparator, written
from listcomp_utils.generation import score

FACTORS = tuple(torch.linspace(-10, 10, 81).tolist())
"""What an active latent is multiplied by; 1 leaves it."""

PAIR_FACTORS = tuple(torch.linspace(-10, 10, 21).tolist())
"""The same for the other latents when several are scaled at once: every combination."""

KINDS = ["baseline", *["order latents"] * 4, *["order axis"] * 3, *["controls"] * 4]
"""What the first figures of `edits` are of."""

AMOUNTS = tuple(torch.linspace(-1, 1, 21).tolist())
"""Of a direction that is added to many lists, in lengths of P1 - P2."""

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
    match: Match,
    rows: Int[Tensor, "row"],
    amounts: Sequence[float] = AMOUNTS,
) -> pd.DataFrame:
    """Scale, add and remove in turn every latent that is active on some of the lists `rows`.

    A row a latent: `latent`; `is_order`, along the order axis; `cosine` with it, absolute;
    `active`, the share of the lists on which it is; `scaled`, the share that some factor swaps;
    `scaled_of_active`, the same of the lists with it active; `added`, the share that some amount of
    its direction swaps; `without`, outputs right (share) with it at 0.
    """
    sae = match.sae
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
    table = pd.DataFrame(table, columns=columns)
    table.insert(1, "is_order", table.latent.isin(match.order))
    table.insert(2, "cosine", match.frame.order_cosine[table.latent].abs().values)
    return table


def edits(
    separator: KnownSeparator,
    match: Match,
    rows: Int[Tensor, "row"],
    random: Float[Tensor, "direction d_model"],
) -> dict[str, float]:
    """The share of lists that each kind of edit swaps, and what the latents cost, in words.

    Order latents and P1 - P2 are tried on all lists of two different digits, the other latents and
    `random` directions on `rows`. The figures from "others: active" on are no shares of swapped
    lists: the mean share of lists with one of the other latents on, accuracies (outputs), and how
    what adding one swaps goes with its cosine with P1 - P2 (Pearson).
    """
    every, axis = swappable(separator), separator.order_axis
    start, here = match.sae.decode(match.latents), match.order_on[every]
    scaled = [swapped_by_scaling(separator, match.sae, every, latent) for latent in match.order]
    either = torch.stack([torch.zeros_like(here), *scaled]).any(0)
    added = swapped_by_adding(separator, start[every], every, axis)
    at_random = [
        share(swapped_by_adding(separator, start[rows], rows, one, AMOUNTS)) for one in random
    ]
    table = steering_table(separator, match, rows)
    order, others = table[table.is_order], table[~table.is_order]
    right = score(written(separator, start[rows]), separator.lists[rows]).per_token
    return {
        "no edit": share(swapped_by_adding(separator, start[rows], rows, axis, [0.0])),
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
        "others: active": others.active.mean(),
        "outputs right, unedited": right,
        "one of the others at 0 moves it by at most": (right - others.without).abs().max(),
        "the busier order latent at 0 costs": (right - order.without).max(),
        "others: added with cosine": others.added.corr(others.cosine),
    }


def in_pairs(separator: KnownSeparator, match: Match, rows: Int[Tensor, "row"]) -> pd.DataFrame:
    """Scale each list's most active order and digit latents alone and two at a time.

    A row an edit: `scaled`, in words; `lists swapped` and `where the order latent is off`, shares.
    Adding P1 - P2 stands beside them. As a pair has more tries, the order latent is also given as
    many factors in the same range. Without order latents or two digits' there are no rows.
    """
    columns = ["scaled", "lists swapped", "where the order latent is off"]
    if not match.order or len(match.digits) < 2:
        return pd.DataFrame(columns=columns)
    values, many = match.latents[rows], len(FACTORS) * len(PAIR_FACTORS)
    order = torch.tensor(match.order)[values[:, match.order].topk(1).indices]
    digits = torch.tensor(match.digits)[values[:, match.digits].topk(2).indices]
    choices = {
        "order latent": (order, FACTORS),
        "order latent, as many factors as a pair": (
            order,
            torch.linspace(min(FACTORS), max(FACTORS), many).tolist(),
        ),
        "stronger digit": (digits[:, :1], FACTORS),
        "order latent and stronger digit": (torch.cat([digits[:, :1], order], 1), FACTORS),
        "order latent and weaker digit": (torch.cat([digits[:, 1:], order], 1), FACTORS),
        "both digits": (digits, FACTORS),
    }
    done = {
        name: swapped_by_scaling(separator, match.sae, rows, *choice)
        for name, choice in choices.items()
    }
    done["either the order latent or both digits"] = done["order latent"] | done["both digits"]
    start = match.sae.decode(values)
    done["(adding P1 - P2)"] = swapped_by_adding(separator, start, rows, separator.order_axis)
    off = values.gather(1, order)[:, 0] == 0
    shares = [(name, share(one), share(one[off])) for name, one in done.items()]
    return pd.DataFrame(shares, columns=columns)


def gain_of_pairs(swapped: pd.Series) -> float:
    """What the better digit latent adds to the order latent, of shares named as by `in_pairs`."""
    pairs = swapped[["order latent and stronger digit", "order latent and weaker digit"]]
    return float(pairs.max() - swapped["order latent, as many factors as a pair"])


def share(lists: Bool[Tensor, "list"]) -> float:
    """The share of some lists for which something is true; nan of none."""
    return lists.double().mean().item()
