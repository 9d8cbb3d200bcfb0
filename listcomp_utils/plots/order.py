"""The figures of the order mechanism, each a function that returns one.

difference_bars(["P_o2", "-beta_s P_o1"], means, spreads, start, "What turns o1 into o2")
steering_curves(doses, {"P_1 - P_2": shares}, controls, "Lists written reversed")
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from listcomp_utils.plots.curves import line_panels, lines, lying_bars
from listcomp_utils.plots.diagrams import ranked_bars
from listcomp_utils.plots.theme import COLOURS, GREYS, RIGHT, WRONG


def difference_bars(
    names: Sequence[str], means: Sequence[float], spreads: Sequence[float], start: float, title: str
) -> go.Figure:
    """What each term adds to the logit of d2 minus that of d1, top to bottom, and the running sum.

    Bars are means over lists with one standard deviation; the dotted line runs from `start`, the
    difference at o1, to the difference at o2. To the right is towards d2.
    """
    value_name = "logit of d2 minus logit of d1: towards d1 | towards d2"
    terms = ["this term"] * len(names)
    figure = ranked_bars(names, means, spreads, terms, title, value_name, reference=0)
    colours = [RIGHT if value >= 0 else WRONG for value in means]
    figure.update_traces(marker_color=colours, error_x_color=GREYS[1])
    figure.add_scatter(
        x=[start, *(start + np.cumsum(means))],
        y=[-0.7, *range(len(names))],
        name="running sum, from o1's",
        line=dict(color=GREYS[0], width=1.5, dash="dot"),
    )
    figure.update_yaxes(range=[len(names) - 0.5, -1])
    return figure.update_layout(height=figure.layout.height + 20 * len(names))


def score_points(
    scores: Float[np.ndarray, "list digit_position"], right: Bool[np.ndarray, "list"], title: str
) -> go.Figure:
    """SEP's attention scores for both digits of each list, by whether it is copied right."""
    scores = np.asarray(scores, dtype=float).round(2)
    places = {
        f"right ({right.sum():,})": scores[right].T,
        f"wrong ({(~right).sum():,})": scores[~right].T,
        "equal attention": 2 * [[scores.min(), scores.max()]],
    }
    *points, equal = places
    figure = lines(places, title, "score of d1", "score of d2", points=points)
    figure.update_traces(marker_size=4)
    line = dict(color=GREYS[1], width=1, dash="dot")
    figure.update_traces(dict(mode="lines", line=line), dict(name=equal))
    return figure.update_layout(height=520, legend_itemsizing="constant")


def accuracy_bins(
    edges: Sequence[float], shares: dict[str, Sequence[Sequence[float]]], title: str, x_title: str
) -> go.Figure:
    """Share of lists right in each bin: the mean of a series' models and their range."""
    bins = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
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
    """Share of lists written reversed at each dose: a line a direction, random ones in grey."""
    series = {name: (doses, shares) for name, shares in curves.items()}
    # One line with a gap after each direction, so that the legend names them once.
    random = [*doses, None] * len(controls), [y for shares in controls for y in (*shares, None)]
    figure = lines(
        {**series, "random directions": random},
        title,
        "dose, in lengths of P1 - P2",
        "lists written (b, a)",
        y_range=(-0.02, 1.02),
    )
    grey = dict(line=dict(color=GREYS[1], width=1), zorder=-1)
    figure.update_traces(grey, dict(name="random directions"))
    return figure.update_traces(mode="lines")


def attention_histograms(weights: dict[str, Float[np.ndarray, "list"]], title: str) -> go.Figure:
    """A histogram of each attention weight over lists, with its mean."""
    edges = np.linspace(0, 1, 41)
    panels = {}
    for name, values in weights.items():
        counts = np.histogram(values, edges)[0]
        mean = pd.Series([0, counts.max()], 2 * [float(np.mean(values))])
        panels[name] = {"lists": pd.Series([*counts, 0], edges), "mean": mean}
    figure = line_panels(panels, title, "attention weight", "lists")
    figure.update_traces(dict(line_shape="hv", fill="tozeroy"), dict(name="lists"))
    return figure.update_traces(dict(line_dash="dash"), dict(name="mean"))


def outcome_bars(
    names: Sequence[str], outcomes: dict[str, Sequence[float]], title: str, x_title: str
) -> go.Figure:
    """For each name the shares of several outcomes end to end, and the rest in grey."""
    frame = pd.DataFrame(outcomes, names)
    frame["something else"] = 1 - frame.sum(axis="columns")
    colours = [*COLOURS[: len(outcomes)], GREYS[2]]
    figure = lying_bars(frame, title, x_title, color_discrete_sequence=colours)
    return figure.update_xaxes(range=[0, 1])
