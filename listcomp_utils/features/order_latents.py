"""What the latents along the order axis stand for, and what holds the order where they are off.

order_maps(separator, match, match.order[:2])   # alpha1 - alpha2 beside latents, digits sorted
what_decides(separator, match)                  # a row an order latent: is it the order, a digit?
order_elsewhere(separator, match)               # the order that the other latents hold, in figures
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from listcomp_utils.features.latents import Match
from listcomp_utils.features.separator import KnownSeparator, order_held
from listcomp_utils.features.steering import share


def order_maps(
    separator: KnownSeparator, match: Match, latents: Sequence[int], most: int = 15
) -> dict[str, Float[np.ndarray, "d1 d2"]]:
    """alpha1 - alpha2 and latents' activations, each over its largest, of at most `most` digits.

    Digits are sorted by the attention that they draw, the least first; activations are taken along
    P1 - P2, so that those of a latent against it are negative.
    """
    n = separator.config.n_digits
    drawn = separator.attention[:, 0].reshape(n, n).mean(1)
    kept = drawn.argsort()[np.linspace(0, n - 1, min(most, n)).round()]
    maps = {"α1 - α2": separator.order}
    for latent in latents:
        cosine = match.frame.order_cosine[latent]
        maps[f"latent {latent}, cosine {cosine:+.2f}"] = match.latents[:, latent] * np.sign(cosine)
    largest = {name: one.abs().max().clamp_min(1e-9) for name, one in maps.items()}
    return {
        name: (one / largest[name]).reshape(n, n)[kept][:, kept].numpy().round(2)
        for name, one in maps.items()
    }


def what_decides(separator: KnownSeparator, match: Match) -> pd.DataFrame:
    """What a latent along the order axis being on or off goes by: a row a latent.

    `on` is the share of lists on which it is; `by sign` the share on which it is on or off as its
    end of the axis says, on where alpha1 - alpha2 has the sign of its cosine; `by first digit` and
    `by second digit` the share on which it is as on most lists with that digit there.
    """
    rows, n = [], separator.config.n_digits
    for latent in match.order:
        on, cosine = match.latents[:, latent] > 0, match.frame.order_cosine[latent]
        by_place = [on.reshape(n, n).double().mean(across) for across in (1, 0)]
        digits = [torch.maximum(one, 1 - one).mean().item() for one in by_place]
        rows.append(
            (latent, cosine, share(on), share(on == (separator.order * cosine > 0)), *digits)
        )
    columns = ["latent", "cosine", "on", "by sign", "by first digit", "by second digit"]
    return pd.DataFrame(rows, columns=columns)


def without_order_latents(separator: KnownSeparator, match: Match) -> Float[Tensor, "list"]:
    """The alpha1 - alpha2 that a reconstruction stands for without its order latents."""
    rest = match.latents.index_fill(1, torch.tensor(match.order).long(), 0.0)
    return order_held(separator, match.sae.decode(rest))


def held_points(
    separator: KnownSeparator, match: Match, most: int = 250
) -> dict[str, tuple[list[float], list[float]]]:
    """The order of lists and that held without order latents, where one is on and where none is."""
    rest = without_order_latents(separator, match)
    few = torch.arange(len(rest))[:: max(1, len(rest) // most)]
    on = match.order_on[few]
    groups = {"no order latent on": few[~on], "one on": few[on]}
    points = {name: (separator.order[rows], rest[rows]) for name, rows in groups.items()}
    return {name: (x.tolist(), y.tolist()) for name, (x, y) in points.items()}


def order_elsewhere(separator: KnownSeparator, match: Match) -> dict[str, float]:
    """Where the order of a list is held when no order latent is on, in words and figures.

    "the rest" are all other latents, "far from their reverse" lists with |alpha1 - alpha2| above
    its median. Correlations are nan of fewer than two lists.
    """
    on, order, n = match.order_on, separator.order, separator.config.n_digits
    rest = without_order_latents(separator, match)
    cosines = torch.tensor(match.frame.order_cosine[match.order].values)
    turned = torch.arange(n * n).reshape(n, n).T.flatten()
    unequal = turned != torch.arange(n * n)
    far = unequal & (order.abs() > order.abs().median())
    signed = match.latents[:, match.order] @ cosines
    return {
        "order latents, signed and added, with the order": correlation(signed, order),
        "lists with no order latent on": 1 - share(on),
        "standard deviation of the order there": order[~on].std().item(),
        "order held by the rest there, correlation": correlation(rest[~on], order[~on]),
        "the same where an order latent is on": correlation(rest[on], order[on]),
        "the rest's order, correlation of a list with its reverse": correlation(
            rest[unequal], rest[turned][unequal]
        ),
        "far from their reverse: one on": share(on[far]),
        "far from their reverse, none on: the reverse has one on": share(on[turned][~on & far]),
    }


def correlation(some: Sequence[float], others: Sequence[float]) -> float:
    """Pearson's correlation; nan for fewer than two pairs, or where one does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(some, others)[0, 1].item() if len(some) > 1 else float("nan")
