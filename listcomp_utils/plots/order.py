"""The figures of the order mechanism, each a function that returns one.

difference_bars(["P_o2", "-beta_s P_o1"], means, spreads, start, "What turns o1 into o2")
steering_curves(doses, {"P_1 - P_2": shares}, controls, "Lists written reversed")
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from listcomp_utils.plots.curves import lines, lying_bars
from listcomp_utils.plots.theme import COLOURS, GREYS, RIGHT, WRONG, label_axis, themed


def difference_bars(
    names: Sequence[str], means: Sequence[float], spreads: Sequence[float], start: float, title: str
) -> go.Figure:
    """What each term adds to the logit of d2 minus that of d1, top to bottom, and the running sum.

    Bars are means over lists with one standard deviation; the dotted line runs from `start`, the
    difference at o1, to the difference at o2. To the right is towards d2.
    """
    rows = list(range(len(names)))
    figure = go.Figure()
    figure.add_bar(
        x=list(means),
        y=rows,
        orientation="h",
        width=0.6,
        name="this term",
        marker=dict(color=[RIGHT if value >= 0 else WRONG for value in means]),
        error_x=dict(array=list(spreads), thickness=1.5, color=GREYS[1]),
    )
    figure.add_scatter(
        x=[start, *(start + np.cumsum(means))],
        y=[-0.7, *rows],
        mode="lines+markers",
        name="running sum, from o1's",
        line=dict(color=GREYS[0], width=1.5, dash="dot"),
    )
    figure.add_vline(x=0, line=dict(color=GREYS[1], width=1))
    label_axis(figure.update_yaxes, names, reverse=True)
    figure.update_yaxes(range=[len(names) - 0.5, -1])
    figure.update_xaxes(title_text="logit of d2 minus logit of d1: towards d1 | towards d2")
    return themed(figure, title, height=160 + 44 * len(names))


def score_points(
    scores: Float[np.ndarray, "list digit_position"], right: Bool[np.ndarray, "list"], title: str
) -> go.Figure:
    """SEP's attention scores for both digits of each list, by whether it is copied right."""
    scores, right = np.asarray(scores, dtype=float).round(2), np.asarray(right)
    names = f"right ({right.sum():,})", f"wrong ({(~right).sum():,})"
    figure = px.scatter(
        x=scores[:, 0],
        y=scores[:, 1],
        color=np.where(right, *names),
        color_discrete_map=dict(zip(names, (RIGHT, WRONG), strict=True)),
        category_orders=dict(color=names),
        labels=dict(x="score of d1", y="score of d2", color=""),
        template="listcomp",
    )
    figure.update_traces(marker_size=4)
    ends = [float(scores.min()), float(scores.max())]
    line = dict(color=GREYS[1], width=1, dash="dot")
    figure.add_scatter(x=ends, y=ends, mode="lines", name="equal attention", line=line)
    return themed(figure, title, height=520, legend_itemsizing="constant")


def accuracy_bins(
    edges: Sequence[float], shares: dict[str, Sequence[Sequence[float]]], title: str, x_title: str
) -> go.Figure:
    """Share of lists right in each bin: the mean of a series' models and their range."""
    bins = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    figure = go.Figure()
    for number, (name, models) in enumerate(shares.items()):
        table = np.array([list(row) for row in models], dtype=float)
        mean = np.nanmean(table, axis=0)
        figure.add_scatter(
            x=np.arange(len(bins)) + 0.12 * (number - (len(shares) - 1) / 2),
            y=mean,
            mode="markers",
            name=name,
            marker=dict(size=8),
            error_y=dict(
                array=np.nanmax(table, axis=0) - mean,
                arrayminus=mean - np.nanmin(table, axis=0),
                visible=len(table) > 1,
            ),
        )
    label_axis(figure.update_xaxes, bins)
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text="lists right", range=[-0.02, 1.04])
    return themed(figure, title, height=420)


def steering_curves(
    doses: Sequence[float],
    curves: dict[str, Sequence[float]],
    controls: Sequence[Sequence[float]],
    title: str,
    x_title: str = "dose, in lengths of P1 - P2",
) -> go.Figure:
    """Share of lists written reversed at each dose: a line a direction, random ones in grey."""
    figure = lines(
        {name: (doses, shares) for name, shares in curves.items()},
        title,
        x_title,
        "lists written (b, a)",
        y_range=(-0.02, 1.02),
    )
    for number, shares in enumerate(controls):
        figure.add_scatter(
            x=list(doses),
            y=list(shares),
            name="random directions",
            showlegend=number == 0,
            line=dict(color=GREYS[1], width=1),
            zorder=-1,
        )
    return figure.update_traces(mode="lines").update_layout(showlegend=True)


def attention_histograms(
    weights: dict[str, Float[np.ndarray, "list"]], title: str, n_bins: int = 40
) -> go.Figure:
    """A histogram of each attention weight over lists, with its mean."""
    edges = np.linspace(0, 1, n_bins + 1)
    rows = -(-len(weights) // 2)
    counts = {name: np.histogram(values, edges)[0] for name, values in weights.items()}
    figure = px.bar(
        pd.DataFrame(counts, index=(edges[1:] + edges[:-1]) / 2).melt(ignore_index=False),
        y="value",
        facet_col="variable",
        facet_col_wrap=2,
        facet_col_spacing=0.06,
        facet_row_spacing=0.3 / rows,
        labels=dict(index="attention weight", value="lists"),
        template="listcomp",
    )
    figure.for_each_annotation(lambda note: note.update(text=note.text.removeprefix("variable=")))
    line = dict(color=WRONG, width=2, dash="dash")
    for number, values in enumerate(weights.values()):
        # plotly.express counts the rows of its panels from below.
        row, column = rows - number // 2, number % 2 + 1
        figure.add_vline(x=float(np.asarray(values).mean()), line=line, row=row, col=column)
    figure.update_xaxes(showticklabels=True)
    return themed(figure, title, height=130 + 210 * rows)


def outcome_bars(
    names: Sequence[str], outcomes: dict[str, Sequence[float]], title: str, x_title: str
) -> go.Figure:
    """For each name the shares of several outcomes end to end, and the rest in grey."""
    frame = pd.DataFrame(outcomes)
    frame["something else"] = 1 - frame.sum(axis="columns")
    colours = [*COLOURS[: len(outcomes)], GREYS[2]]
    figure = lying_bars(frame, names, x_title, color_discrete_sequence=colours)
    figure.update_xaxes(range=[0, 1])
    return themed(figure, title, height=150 + 28 * len(names))
