"""What the study says that the constructions correct: its words and ours, side by side.

corrections(measured)                          # a frame: the study's words, where, measured here

Source: Farrell, Leask and Al Moubayed, "Order by Scale" (2025), and its released code.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

PRINTED = {
    "width 64": ("a two-layer model of width 64 copies 92.2 % of the outputs", 0.922),
    "width 64, best": ("at width 64, the best of 60 runs of its newest grid (outputs)", 0.9405),
    "width 8": ("at width 8, .3148 of the outputs (Table 4, mean of three runs)", 0.3148),
    "width 32": ("at width 32, .6074 of the outputs (Table 4, mean of three runs)", 0.6074),
    "width 8, best": ("at width 8, the best run of its newest grid (outputs)", 0.634),
    "length 3": ("lists of three need three layers: .989 of them right (released code)", 0.989),
    "length 4": ("lists of four, 50 digits, three layers: .889 right (released code)", 0.889),
}
"""What is printed, by what it is about: in words, and the figure."""


def corrections(measured: Mapping[str, tuple[str, float]]) -> pd.DataFrame:
    """A row for each printed figure that has a measured one: a description and its value."""
    rows = [
        (words, figure, *measured[name])
        for name, (words, figure) in PRINTED.items()
        if name in measured
    ]
    return pd.DataFrame(rows, columns=["the study", "printed", "here", "measured"])
