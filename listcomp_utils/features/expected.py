"""What is held against 06_features' autoencoders: bounds on each random seed, others' figures.

    found[figure].min() >= bound                     # for each of LOWEST
    beside_follow_up({"same model": read_table("features_released")})

Source of the figures: drafts and tables of the authors of "Order by Scale", to 2026.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

NONE_ON, ON_OFF = "lists with no order latent on", "the same with digit latents on or off"
REVERSE = "the rest's order, correlation of a list with its reverse"
SWITCH = "far from their reverse, none on: the reverse has one on"
OTHERS, BUSIER = "one of the others at 0 moves it by at most", "the busier order latent at 0 costs"

LOWEST = (
    ("digits with one clean latent", "clean digits", 80),
    ("a latent along P1 - P2, absolute cosine", "along P1 - P2", 0.98),
    ("activation with attention, median correlation", "correlation", 0.9),
    ("activation for attention, median slope", "slope", 0.9),
    ("outputs lost when activations are binary", "lost when binary", 0.1),
    (NONE_ON, NONE_ON, 0.1),
    ("order held there by digit latents on or off, correlation", ON_OFF, 0.9),
    (REVERSE, REVERSE, 0.95),
    (SWITCH, SWITCH, 0.9),
    ("the same where one is on", "  where one is on", 0.8),
    ("lists swapped by adding P1 - P2", "add P1 - P2", 0.85),
    ("setting the busier order latent to 0 costs", BUSIER, 0.2),
)
"""A claim's name, its figure (a column, with a row a seed), and the least of the lowest seed."""

HIGHEST = (
    ("activation for attention, median slope, highest seed", "slope", 1.1),
    ("the same where none is on, highest seed", "  where none is on", 0.1),
    ("lists swapped by adding a random direction, highest seed", "add a random direction", 0.3),
    ("lists swapped by scaling another latent, best of all seeds", "scale another, best", 0.1),
    ("accuracy moved by removing another latent, most", OTHERS, 0.1),
)
"""The same, with the most of the highest."""

REPORTED = (
    (1, 50, "held out", 0.30),
    (2, None, "held out", 0.61),
    (3, None, "held out", 0.87),
    (4, 100, "held out", 0.8885),
    (1, None, "all", 0.416),
    (2, None, "all", 0.794),
    (3, 256, "all", 0.939),
    (4, None, "all", 0.938),
    (5, 512, "all", 0.941),
)
"""k, latents (None: not given), of which lists, the share of outputs right of its best."""


def beside_follow_up(sources: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row a printed figure, and the best, mean and number of ours in each named grid.

    Ours have the number of latents that is printed, or any where none is.
    """
    rows = []
    for k, width, lists, printed in REPORTED:
        name = "per_token" if lists == "all" else "held_out_per_token"
        row = {"k": k, "latents": width or "not given", "lists": lists, "follow-up": printed}
        for source, frame in sources.items():
            reached = frame[name][(frame.k == k) & ((frame.d_sae == width) | (width is None))]
            row[f"ours, {source}: best"] = reached.max()
            row[f"ours, {source}: mean"] = reached.mean()
            row[f"ours, {source}: number"] = len(reached)
        rows.append(row)
    return pd.DataFrame(rows)
