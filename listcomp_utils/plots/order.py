"""The figures of the order mechanism, each a function that returns one.

score_points(scores, right, "Lists fail where both digits score alike")
steering_curves(doses, {"P_1 - P_2": shares}, controls, "Lists written reversed")
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from listcomp_utils.plots.curves import lines, lying_bars
from listcomp_utils.plots.theme import COLOURS, GREYS


def score_points(
    scores: Float[np.ndarray, "list digit_position"], right: Bool[np.ndarray, "list"], title: str
) -> go.Figure:
    """SEP's attention scores for both digits of each list, by whether it is copied right."""
    scores = np.asarray(scores, dtype=float).round(2)
    places = {
        f"right ({right.sum():,})": scores[right].T,
        f"wrong ({(~right).sum():,})": scores[~right].T,
        "equal scores": 2 * [[scores.min(), scores.max()]],
    }
    *points, equal = places
    figure = lines(places, title, "score s of d1", "score s of d2", points=points)
    figure.update_traces(marker_size=4)
    line = dict(color=GREYS[1], width=1, dash="dot")
    figure.update_traces(dict(mode="lines", line=line), dict(name=equal))
    return figure.update_layout(height=520, legend_itemsizing="constant")


def accuracy_bins(
    edges: Sequence[float], shares: dict[str, Sequence[Sequence[float]]], title: str, x_title: str
) -> go.Figure:
    """Share of lists right in each bin: the mean of a series' models and their range."""
    bins = [f"{low:g}<br>to {high:g}" for low, high in pairwise(edges)]
    models = {name: pd.DataFrame(list(rows), dtype=float) for name, rows in shares.items()}
    means = {name: (bins, table.mean()) for name, table in models.items()}
    figure = lines(means, title, x_title, "lists right", (-0.02, 1.04), points=list(means))
    for trace, table in zip(figure.data, models.values(), strict=True):
        above, below = table.max() - table.mean(), table.mean() - table.min()
        trace.error_y = dict(array=above, arrayminus=below, visible=len(table) > 1)
    return figure.update_layout(scattermode="group")


def steering_curves(
    doses: Sequence[float],
    curves: dict[str, Sequence[float]],
    controls: Sequence[Sequence[float]],
    title: str,
) -> go.Figure:
    """Share of lists reversed by doses up to each size: a line a direction, random ones grey."""
    series = {name: (doses, shares) for name, shares in curves.items()}
    # One line with a gap after each direction, so that the legend names them once.
    random = [*doses, None] * len(controls), [y for shares in controls for y in (*shares, None)]
    figure = lines(
        {**series, "random directions": random},
        title,
        "largest dose allowed, in lengths of P1 - P2",
        "lists written (b, a)",
        y_range=(-0.02, 1.02),
    )
    grey = dict(line=dict(color=GREYS[1], width=1), zorder=-1)
    figure.update_traces(grey, dict(name="random directions"))
    return figure.update_traces(mode="lines")


def outcome_bars(outcomes: pd.DataFrame, title: str, x_title: str) -> go.Figure:
    """For each row the shares of several outcomes end to end; the rest, a third digit, in grey."""
    frame = outcomes.assign(**{"a third digit": 1 - outcomes.sum(axis="columns")})
    colours = [*COLOURS[: outcomes.shape[1]], GREYS[2]]
    figure = lying_bars(frame, title, x_title, color_discrete_sequence=colours)
    return figure.update_xaxes(range=[0, 1])
