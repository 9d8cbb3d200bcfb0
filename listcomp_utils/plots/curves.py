"""Curves, bars and points from numbers and labels.

lines({"held out": ([0, 100], [2.3, 0.6])}, "The loss falls", "optimiser step", "nats")
grouped_bars(pd.DataFrame({"study": [0.99, 0.9]}, ["o1", "o2"]), "o2 is harder", "share right")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from listcomp_utils.plots.theme import COLOURS, GREYS, label_axis, themed, wrapped

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "triangle-down")


def training_curves(course: pd.DataFrame, breakthrough: int | None, title: str) -> go.Figure:
    """Losses (nats) and floors beside shares right, a column a curve, by optimiser step.

    Held-out curves are dashed, floors dotted, single outputs wide and pale, under whole lists; the
    step `breakthrough` is marked in both panels.
    """
    left = course.columns.str.match("loss|floor")
    panels = {"Mean cross entropy (nats)": course.loc[:, left], "Share right": course.loc[:, ~left]}
    figure = line_panels(panels, title, "optimiser step")
    figure.update_traces(mode="lines+markers" if len(course) <= 40 else "lines", marker_size=4)
    figure.update_traces(dict(line_dash="dash"), lambda trace: "held out" in trace.name)
    wide = dict(line_width=7, opacity=0.45)
    figure.update_traces(wide, lambda trace: trace.name.startswith("o"))
    floor = dict(line=dict(color=GREYS[1], dash="dot", width=1.5), mode="lines")
    figure.update_traces(floor, lambda trace: "floor" in trace.name)
    if breakthrough is not None:
        figure.add_vline(breakthrough, line=dict(color=GREYS[0], dash="dash", width=1.5))
        name = f"break-through: step {breakthrough}"
        figure.layout.shapes[-1].update(name=name, showlegend=True)
    figure.update_yaxes(range=[-0.02, 1.04], col=2)
    return figure.update_layout(height=440)


def grouped_bars(
    frame: pd.DataFrame,
    title: str,
    value_name: str,
    value_range: tuple[float, float] | None = (0, 1),
) -> go.Figure:
    """Bars side by side with their numbers: one group a row, one colour a column; nan is none."""
    figure = lying_bars(frame, title, value_name, barmode="group", text_auto=".3~g")
    figure.update_traces(textposition="outside", textangle=0, constraintext="none")
    for bars in figure.data:  # plotly would write 0 where there is no number
        there = pd.notna(bars.x)
        bars.update(x=bars.x[there], y=bars.y[there])
    low, high = value_range or (min(0, frame.min(axis=None)), max(0, frame.max(axis=None)))
    # Numbers stand beyond the ends of bars: to the left of a negative one, to the right of a 0.
    room = 0.17 * (high - low)
    figure.update_xaxes(range=[low - room if low < 0 else low, high + room])
    rows, columns = frame.shape
    height = figure.layout.height + (16 * columns - 8) * rows
    return figure.update_layout(height=height, showlegend=columns > 1)


def outcome_bars(outcomes: pd.DataFrame, title: str, x_title: str) -> go.Figure:
    """For each row the shares of several outcomes end to end; the rest, a third digit, in grey."""
    frame = outcomes.assign(**{"a third digit": 1 - outcomes.sum(axis="columns")})
    colours = [*COLOURS[: outcomes.shape[1]], GREYS[2]]
    figure = lying_bars(frame, title, x_title, color_discrete_sequence=colours)
    return figure.update_xaxes(range=[0, 1])


def lying_bars(frame: pd.DataFrame, title: str, value_name: str, **options: Any) -> go.Figure:
    """Bars from left to right, a name a row of `frame`, the first on top.

    Columns are series, or with `x` and `color` among the `options` of `plotly.express.bar` named
    "value" and "variable". Names may repeat.
    """
    labels = dict(index="", value=wrapped(value_name, 30), variable="")
    rows = frame.rename_axis(columns=None).reset_index(drop=True)
    figure = px.bar(rows, orientation="h", labels=labels, template="listcomp", **options)
    label_axis(figure.update_yaxes, frame.index, reverse=True)
    return themed(figure, title, height=150 + 24 * len(frame))


def lines(
    series: dict[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    x_title: str,
    y_title: str,
    y_range: tuple[float, float] | None = None,
    points: Sequence[str] = (),
) -> go.Figure:
    """Lines with markers, each with its own x and y values; those named in `points` unconnected."""
    figure = go.Figure()
    for (name, (xs, ys)), colour, symbol in zip(series.items(), cycle(COLOURS), cycle(SYMBOLS)):
        mode = "markers" if name in points else "lines+markers"
        size = 9 if name in points and len(xs) < 20 else 6
        marker = dict(color=colour, symbol=symbol, size=size)
        figure.add_scatter(x=list(xs), y=list(ys), mode=mode, name=name, marker=marker)
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title, range=y_range)
    return themed(figure, title, height=420, showlegend=len(series) > 1)


def line_panels(panels: Mapping[str, pd.DataFrame], title: str, x_title: str) -> go.Figure:
    """Panels of lines, two a row, over the same x axis; a name has one colour in all of them.

    Each panel is a frame with a column a line; its index is x.
    """
    rows = -(-len(panels) // 2)
    long = {
        panel: lines.melt(var_name="name", value_name="y", ignore_index=False)
        for panel, lines in panels.items()
    }
    figure = px.line(
        pd.concat(long).reset_index(names=["panel", "x"]),
        x="x",
        y="y",
        color="name",
        facet_col="panel",
        facet_col_wrap=2,
        facet_col_spacing=0.1,
        facet_row_spacing=0.25 / rows,
        labels=dict(x=x_title, y="", name=""),
        template="listcomp",
    )
    figure.for_each_annotation(lambda note: note.update(text=note.text.removeprefix("panel=")))
    figure.update_xaxes(showticklabels=True)
    figure.update_yaxes(matches=None, showticklabels=True)
    return themed(figure, title, height=150 + 220 * rows)


def seed_lines(
    rows: pd.DataFrame, names: Mapping[str, str], title: str, y_range: tuple[float, float]
) -> go.Figure:
    """Means over seeds as lines, at each mean a bar from the least seed to the most.

    `names` has the columns of x, of y (with `_min` and `_max` beside it) and of what has a line of
    its own, in this order, each with its words.
    """
    x, y, line = names
    low, high = rows[y] - rows[f"{y}_min"], rows[f"{y}_max"] - rows[y]
    figure = px.line(
        rows.assign(low=low, high=high),
        **dict(x=x, y=y, color=line, symbol=line, error_y="high", error_y_minus="low"),
        labels=names,
        template="listcomp",
    )
    ticks = rows[x].drop_duplicates().sort_values()
    for number, trace in enumerate(figure.data):  # side by side, or bars would hide each other
        trace.x = trace.x + 0.06 * ticks.diff().min() * number
    figure.update_yaxes(range=y_range).update_xaxes(tickvals=ticks)
    return themed(figure, title, height=420)


def dot_rows(
    series: dict[str, pd.Series],
    title: str,
    x_title: str,
    x_range: tuple[float, float],
    marks: dict[str, float],
) -> go.Figure:
    """Points in rows named by the index, any number a row, each series a little below the last.

    `marks` are named values that get a dotted line over all rows, with the name above.
    """
    places = {name: (points, points.index) for name, points in series.items()}
    figure = lines(places, title, x_title, "", points=list(series))
    for name, value in marks.items():
        line = dict(color=GREYS[1], width=1, dash="dot")
        figure.add_vline(value, line=line, annotation_text=name, annotation_position="top")
    figure.update_traces(orientation="h", marker_size=7)
    figure.update_xaxes(range=x_range).update_yaxes(autorange="reversed")
    height = 150 + 24 * next(iter(series.values())).index.nunique()
    return figure.update_layout(scattermode="group", height=height)


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
