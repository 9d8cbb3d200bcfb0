"""What the latents along the order axis stand for, and what holds the order where they are off.

order_maps(match)                # alpha1 - alpha2 beside latents, digits sorted
what_decides(match)              # a row an order latent: is it the order, a digit?
order_elsewhere(match)           # the order that the other latents hold, in figures
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from listcomp_utils.features.latents import Match, Points, binary
from listcomp_utils.features.separator import order_held
from listcomp_utils.generation import share

MAPPED, DRAWN = 15, 250
"""Digits in a map, and lists in a scatter, at most."""


def order_maps(match: Match) -> dict[str, Float[np.ndarray, "d1 d2"]]:
    """alpha1 - alpha2 and two order latents' activations along P1 - P2, each over its largest.

    Some digits are shown, sorted by the attention that they draw, the least first.
    """
    separator, n = match.separator, match.separator.config.n_digits
    drawn = separator.attention[:, 0].reshape(n, n).mean(1)
    kept = drawn.argsort()[np.linspace(0, n - 1, min(MAPPED, n)).round()]
    maps = {"α1 - α2": separator.order}
    for latent in match.order[:2]:
        cosine = match.frame.order_cosine[latent]
        maps[f"latent {latent}, cosine {cosine:+.2f}"] = match.latents[:, latent] * np.sign(cosine)
    scaled = {name: one / one.abs().max().clamp_min(1e-9) for name, one in maps.items()}
    return {name: m.reshape(n, n)[kept][:, kept].numpy().round(2) for name, m in scaled.items()}


def what_decides(match: Match) -> pd.DataFrame:
    """What a latent along the order axis being on or off goes by: a row a latent, shares of lists.

    `by sign`, it is on just where alpha1 - alpha2 has the sign of its cosine; `by first digit` and
    `by second digit`, it is on or off as on most lists with that digit there.
    """
    rows, n = [], match.separator.config.n_digits
    for latent in match.order:
        on, cosine = match.latents[:, latent] > 0, match.frame.order_cosine[latent]
        by_place = [on.reshape(n, n).double().mean(across) for across in (1, 0)]
        digits = [torch.maximum(one, 1 - one).mean().item() for one in by_place]
        by_sign = share(on == (match.separator.order * cosine > 0))
        rows.append((latent, cosine, share(on), by_sign, *digits))
    columns = ["latent", "cosine", "on", "by sign", "by first digit", "by second digit"]
    return pd.DataFrame(rows, columns=columns)


def without_order_latents(match: Match, on_off: bool = False) -> Float[Tensor, "list"]:
    """The alpha1 - alpha2 that a reconstruction stands for without its order latents.

    `on_off`, with each active digit latent at its mean.
    """
    latents = binary(match.latents, match.digits) if on_off else match.latents
    rest = latents.index_fill(1, torch.tensor(match.order).long(), 0.0)
    return order_held(match.separator, match.sae.decode(rest))


def held_points(match: Match) -> Points:
    """The order of lists and that held without order latents, where one is on and where none is."""
    order, rest = match.separator.order, without_order_latents(match)
    few = torch.arange(len(rest))[:: max(1, len(rest) // DRAWN)]
    on = match.order_on[few]
    groups = {"no order latent on": few[~on], "one on": few[on]}
    return {name: (order[rows].tolist(), rest[rows].tolist()) for name, rows in groups.items()}


def order_elsewhere(match: Match) -> dict[str, float]:
    """Where the order of a list is held when no order latent is on, in words and figures.

    "the rest" are all other latents, "far" means |alpha1 - alpha2| above its median. Where no order
    latent is on the rest is the whole reconstruction, and its order as right as that; only "on or
    off" tells what holds it. `order_held` takes off what the list's own embeddings have along the
    axis; "one vector" is what correlates by that alone.
    """
    on, order, rest = match.order_on, match.separator.order, without_order_latents(match)
    on_off = without_order_latents(match, on_off=True)
    one_vector = match.separator.vectors.mean(0).expand_as(match.separator.vectors)
    alone = order_held(match.separator, one_vector)
    cosines = torch.tensor(match.frame.order_cosine[match.order].values)
    number = torch.arange(len(order)).unflatten(0, 2 * [match.separator.config.n_digits])
    turned, unequal = number.T.flatten(), (number != number.T).flatten()
    far = unequal & (order.abs() > order.abs().median())
    signed = match.latents[:, match.order] @ cosines
    of_reverse = rest[turned]
    return {
        "order latents, signed and added, with the order": correlation(signed, order),
        "lists with no order latent on": 1 - share(on),
        "standard deviation of the order over all lists": order.std().item(),
        "standard deviation of the order there": pd.Series(order[~on].numpy()).std(),
        "order held by the rest there, correlation": correlation(rest[~on], order[~on]),
        "the same with digit latents on or off": correlation(on_off[~on], order[~on]),
        "the same with one vector for all lists": correlation(alone[~on], order[~on]),
        "held by the rest where an order latent is on, correlation": correlation(
            rest[on], order[on]
        ),
        "the rest's order, correlation of a list with its reverse": correlation(
            rest[unequal], of_reverse[unequal]
        ),
        "far from their reverse: one on in one order only": share((on ^ on[turned])[far]),
        "far from their reverse: the reverse has one on": share(on[turned][far]),
        "far from their reverse, none on: the reverse has one on": share(on[turned][~on & far]),
    }


def correlation(some: Sequence[float], others: Sequence[float]) -> float:
    """Pearson's correlation; nan for fewer than two pairs, or where one does not vary."""
    return pd.Series(np.array(some)).corr(pd.Series(np.array(others)))
