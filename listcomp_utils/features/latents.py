"""What the latents of an SAE at the separator are: digits, the order axis, or mixtures.

match = match_latents(separator, sae)
match.frame, match.order, match.clean_digits
when_binary(match)                              # outputs right with latents only on or off
stability(separator, saes)["cosine"]            # do seeds agree?
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, normalize

from listcomp_utils.features.sae import SAE
from listcomp_utils.features.separator import KnownSeparator, quality, refitted

CLEAN = 0.9
"""From this cosine a direction counts as found, from this share of lists a latent as clean."""

KINDS = ("digit", "digit and order", "order", "mixture", "dead")
"""What a latent can be; "digit and order" lies in the plane of the two."""


Latents = Float[Tensor, "list latent"]
Directions = Float[Tensor, "direction d_model"]
Points = dict[str, tuple[list[float], list[float]]]
"""Named points of a scatter, x and y."""


@dataclass(frozen=True)
class Match:
    """An SAE on a separator, its latents on every list, and what each is closest to."""

    separator: KnownSeparator
    sae: SAE
    latents: Latents
    frame: pd.DataFrame
    """A row a latent: kind (one of KINDS); digit, the one whose embedding is closest; digit_cosine
    with it, outside the order axis; whole_cosine, the same with the order axis left in;
    order_cosine, with P1 - P2; precision and recall of being
    active for its digit being in the list; correlation of its activation with its digit's
    attention, where both are above 0, and slope, in lengths of the embedding."""

    @property
    def order(self) -> list[int]:
        """The latents along the order axis."""
        return self.frame.index[self.frame.kind == "order"].tolist()

    @property
    def digits(self) -> list[int]:
        """The latents of one digit, those with some order in them too."""
        return self.frame.index[self.frame.kind.str.startswith("digit")].tolist()

    @property
    def order_on(self) -> Bool[Tensor, "list"]:
        """The lists on which a latent along the order axis is active."""
        return (self.latents[:, self.order] > 0).any(1)

    @property
    def clean_digits(self) -> list[int]:
        """Digits with exactly one latent that is active on their lists and hardly elsewhere."""
        own = self.frame.loc[self.digits]
        clean = own.digit[(own.precision >= CLEAN) & (own.recall >= CLEAN)]
        return sorted(clean.drop_duplicates(keep=False))


def binary(latents: Latents, only: list[int] | None = None) -> Latents:
    """Latents, or `only` some, with each active value replaced by its latent's mean when active."""
    on = latents > 0
    flat = on * (latents.sum(0) / on.sum(0).clamp_min(1))
    return flat if only is None else latents.index_copy(1, torch.tensor(only).long(), flat[:, only])


def when_binary(match: Match) -> dict[str, float]:
    """Outputs right (share) with latents as they are and binary, and by the best on-off readout."""
    decode, latents = match.sae.decode, match.latents
    axis = normalize(match.separator.order_axis, dim=0)
    own, digits_binary = decode(latents), decode(binary(latents, match.digits))
    vectors = {
        "as they are": own,
        "order latents binary": decode(binary(latents, match.order)),
        "digit latents binary": digits_binary,
        "the same, order axis graded": own + outside(digits_binary - own, axis),
        "all binary": decode(binary(latents)),
        "which are on, best readout": refitted(match.separator, (latents > 0).float()),
    }
    return {name: quality(match.separator, one).per_token for name, one in vectors.items()}


def activity_maps(match: Match) -> tuple[Float[np.ndarray, "map d1 d2"], list[str]]:
    """Where each live latent is active, over d1 and d2, as a share of its largest; and its name.

    A map has at most 10 rows and columns, the largest of several lists in each. The name of a digit
    that is not clean has a star.
    """
    n_digits = match.separator.config.n_digits
    kinds = pd.CategoricalDtype(["order", "digit", "digit and order", "mixture"], ordered=True)
    live = match.frame[match.frame.kind != "dead"].astype({"kind": kinds})
    live = live.sort_values(["kind", "digit"])
    maps = match.latents[:, live.index.tolist()].T.reshape(-1, n_digits, n_digits)
    maps = adaptive_max_pool2d(maps, min(10, n_digits)) if len(live) else maps
    names = live.digit.astype(str) + np.where(live.digit.isin(match.clean_digits), "", "*")
    names = names.mask(live.kind == "order", "order").mask(live.kind == "mixture", "mixed")
    return (maps / maps.amax((1, 2), keepdim=True).clamp_min(1e-9)).numpy().round(2), names.tolist()


def graded_points(match: Match) -> Points:
    """Attention to a digit and activation of its latent, a pair a list, for three clean digits."""
    own, points = match.frame.digit[match.digits], {}
    for latent, digit in own[own.isin(match.clean_digits)].head(3).items():
        held, active = match.separator.digit_weights[:, digit], match.latents[:, latent]
        rows = (held * active > 0).nonzero().flatten()[::3]
        points[f"digit {digit}"] = (held[rows].tolist(), active[rows].tolist())
    return points


def match_latents(separator: KnownSeparator, sae: SAE) -> Match:
    """Match each latent's decoder direction and activation to the known terms."""
    latents = sae.encode(separator.vectors)
    on = latents > 0
    axis = normalize(separator.order_axis, dim=0)
    order_cosine = sae.decoder @ axis
    # A vector common to all digits can be moved from them into the constant of the sum.
    whole = separator.embeddings - separator.embeddings.mean(0)
    digits = outside(whole, axis)
    digit_cosine, digit = cosines(outside(sae.decoder, axis), digits).float().max(1)
    across = (1 - order_cosine**2).clamp_min(0)
    in_plane = (order_cosine**2 + across * digit_cosine.clamp_min(0) ** 2).sqrt()
    kinds = {
        "dead": ~on.any(0),
        "order": order_cosine.abs() >= CLEAN,
        "mixture": in_plane < CLEAN,
        "digit": digit_cosine * across.sqrt() >= CLEAN,
    }
    held = separator.digit_weights[:, digit]
    both = on & (held > 0)
    columns = {
        "digit": digit,
        "digit_cosine": digit_cosine,
        "whole_cosine": cosines(sae.decoder, whole).gather(1, digit[:, None])[:, 0],
        "order_cosine": order_cosine,
        "precision": both.sum(0) / on.sum(0).clamp_min(1),
        "recall": both.sum(0) / (held > 0).sum(0).clamp_min(1),
    }
    frame = pd.DataFrame({name: column.numpy() for name, column in columns.items()})
    frame["kind"] = np.select([one.numpy() for one in kinds.values()], [*kinds], "digit and order")
    x, y = (pd.DataFrame(t.double().where(both, torch.nan).numpy()) for t in (held, latents))
    frame["correlation"] = x.corrwith(y)
    frame["slope"] = frame.correlation * y.std() / x.std() / digits.norm(dim=1)[digit].numpy()
    return Match(separator, sae, latents, frame)


def kinds_by_seed(matches: Sequence[Match]) -> pd.DataFrame:
    """What each SAE's latents are, a row an SAE: how many of each of KINDS, and clean digits.

    `along P1 - P2` is the largest cosine of any live latent; the rest is of typical digit latents.
    """
    rows = []
    for match in matches:
        frame, digits = match.frame, match.frame.loc[match.digits]
        typical = digits[["correlation", "slope"]].quantile(0.5, interpolation="lower")
        rows.append(
            {
                **frame.kind.value_counts().reindex(list(KINDS), fill_value=0),
                "clean digits": len(match.clean_digits),
                "digits' cosine": digits.digit_cosine.mean(),
                "the same, order axis left in": digits.whole_cosine.mean(),
                "along P1 - P2": frame.order_cosine[frame.kind != "dead"].abs().max(),
                **typical,
            }
        )
    return pd.DataFrame(rows)


def outside(rows: Directions, axis: Float[Tensor, "d_model"]) -> Directions:
    """The rows without their part along an axis of length 1."""
    return rows - (rows @ axis)[:, None] * axis


def cosines(rows: Directions, columns: Directions) -> Float[Tensor, "row column"]:
    """Cosines of rows with rows, in float64."""
    return normalize(rows.double(), dim=1) @ normalize(columns.double(), dim=1).T


def matched_cosines(one: Directions, other: Directions) -> Float[np.ndarray, "pair"]:
    """Cosines of the directions paired one to one so that their sum is largest (Hungarian)."""
    table = cosines(one, other).numpy()
    return table[linear_sum_assignment(table, maximize=True)]


def live_directions(sae: SAE, vectors: Float[Tensor, "n d_model"]) -> Directions:
    """Decoder directions of the latents that are active on at least one of the vectors."""
    return sae.decoder[(sae.encode(vectors) > 0).any(0)]


def stability(separator: KnownSeparator, saes: Sequence[SAE]) -> dict[str, float]:
    """Matched cosines of live directions of SAEs that differ in the seed, over every pair of them.

    `same` is the share that is CLEAN, `lowest_pair` the least mean of a pair, `random` the mean for
    as many random directions. Raises ValueError for one SAE.
    """
    if len(saes) < 2:
        raise ValueError(f"stability needs at least two SAEs, got {len(saes)}")
    generator = torch.Generator().manual_seed(0)
    live = [live_directions(sae, separator.vectors) for sae in saes]
    both = [(one, torch.randn(one.shape, generator=generator)) for one in live]
    rows = []
    for pair in itertools.combinations(both, 2):
        found, random = (matched_cosines(*directions) for directions in zip(*pair, strict=True))
        rows.append((found.mean(), (found >= CLEAN).mean(), random.mean()))
    pairs = pd.DataFrame(rows, columns=["cosine", "same", "random"])
    return {**pairs.mean().to_dict(), "lowest_pair": float(pairs.cosine.min())}
