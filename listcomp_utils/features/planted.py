"""When is the true dictionary found? SAEs on vectors whose dictionary is planted.

recover({"n_digits": 50, "d_model": 32, "share": 0.5, "steps": 2000, "seed": 0})["digits_found"]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from listcomp_utils.features.latents import CLEAN, cosines, live_directions, outside
from listcomp_utils.features.sae import SAEConfig, train_sae
from listcomp_utils.generation import share

SIZES = [{"n_digits": n_digits} for n_digits in (10, 25, 50, 100)]
SIZES += [{"d_model": d_model} for d_model in (8, 16, 32)]
SIZES += [{"share": share} for share in (0.01, 0.03, 0.1)]
PLANTED = tuple(
    {"n_digits": 100, "d_model": 64, "share": 1.0, **size, "steps": 2_000, "seed": seed}
    for size in SIZES
    for seed in range(3)
)
"""Planted dictionaries: the digits, the width and the share of lists vary one at a time."""


def planted_vectors(
    n_digits: int, d_model: int, share: float, seed: int
) -> tuple[Float[Tensor, "list d_model"], Float[Tensor, "digit d_model"], Float[Tensor, "d_model"]]:
    """Vectors of a share of all lists like the study's separator, with their digits and order axis.

    Digits are random directions, the order axis half as long again; alpha1 is the sigmoid of the
    difference of two random numbers, one a digit, as in the trained model.
    """
    generator = torch.Generator().manual_seed(seed)
    digits = torch.randn(n_digits, d_model, generator=generator) / d_model**0.5
    axis = normalize(torch.randn(d_model, generator=generator), dim=0) * 1.5
    liking = 0.45 * torch.randn(n_digits, generator=generator)
    lists = torch.cartesian_prod(torch.arange(n_digits), torch.arange(n_digits))
    lists = lists[torch.randperm(len(lists), generator=generator)[: int(share * len(lists))]]
    first = torch.sigmoid(liking[lists[:, 0]] - liking[lists[:, 1]])[:, None]
    both = first * digits[lists[:, 0]] + (1 - first) * digits[lists[:, 1]]
    return both + (first - 0.5) * axis, digits, axis


def recover(settings: Mapping[str, Any]) -> dict[str, float | bool]:
    """Train an SAE (k = 3, twice as many latents as digits) on planted vectors and look.

    `settings` are those of `planted_vectors` and `steps`. `digits_found` is the share of digits
    with a latent along them, the order axis taken out; `order_found`, whether that has one.
    """
    given = dict(settings)
    steps, seed = given.pop("steps"), given["seed"]
    vectors, digits, axis = planted_vectors(**given)
    sae, _ = train_sae(vectors, SAEConfig(d_sae=2 * len(digits), k=3, steps=steps, seed=seed))
    directions, unit = live_directions(sae, vectors), normalize(axis, dim=0)
    found = cosines(outside(digits - digits.mean(0), unit), outside(directions, unit)).amax(1)
    order = cosines(directions, unit[None]).abs().max()
    return {
        "digits_found": share(found >= CLEAN),
        "order_found": bool(order >= CLEAN),
    }
