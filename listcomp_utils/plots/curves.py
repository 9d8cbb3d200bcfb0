"""Curves, bars and points from numbers and labels; nothing here computes.

lines({"held out": ([0, 100], [2.3, 0.6])}, "The loss falls", "optimiser step", "nats")
grouped_bars(["o1", "o2"], {"study": [0.99, 0.91]}, "o2 fails more often", "share right")
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from listcomp_utils.plots.theme import COLOURS, GREYS, label_axis, themed, wrapped

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "triangle-down")


def training_curves(
    steps: Sequence[int],
    losses: dict[str, Sequence[float]],
    loss_floor: float,
    accuracies: dict[str, Sequence[float]],
    breakthrough: int | None,
    title: str,
    breakthrough_label: str = "break-through",
) -> go.Figure:
    """Loss with its floor beside accuracies, all against optimiser steps.

    `breakthrough` is the step to mark in both panels, or None. The legend names both marks.
    """
    figure = make_subplots(1, 2, subplot_titles=["Loss", "Share right"], horizontal_spacing=0.14)
    mode = "lines+markers" if len(steps) <= 40 else "lines"
    for column, (curves, palette) in enumerate([(losses, GREYS), (accuracies, COLOURS)], start=1):
        for (name, values), colour in zip(curves.items(), itertools.cycle(palette)):
            line = dict(color=colour, dash="dash" if "held out" in name else "solid")
            curve = go.Scatter(x=list(steps), y=list(values), mode=mode, name=name, line=line)
            figure.add_trace(curve, row=1, col=column)
    line = dict(color=GREYS[1], width=1.5, dash="dot")
    floor = dict(name=f"floor {loss_floor:.3f}", showlegend=True)
    figure.add_hline(y=loss_floor, line=line, row=1, col=1, **floor)
    if breakthrough is not None:
        line = dict(color=COLOURS[-1], width=1.5, dash="dash")
        figure.add_vline(x=breakthrough, line=line)
        name = f"{breakthrough_label}: step {breakthrough}"
        figure.layout.shapes[-1].update(name=name, showlegend=True)
    figure.update_traces(marker_size=4)
    figure.update_xaxes(title_text="optimiser step", rangemode="tozero")
    figure.update_yaxes(title_text="mean cross entropy (nats)", col=1)
    figure.update_yaxes(title_text="share right", range=[-0.02, 1.04], col=2)
    return themed(figure, title, height=440)


def grouped_bars(
    groups: Sequence[str],
    series: dict[str, Sequence[float]],
    title: str,
    value_name: str,
    value_range: tuple[float, float] | None = (0, 1),
) -> go.Figure:
    """Bars side by side with their numbers: one group a row, one colour a series."""
    frame = pd.DataFrame({name: list(values) for name, values in series.items()})
    figure = lying_bars(frame, groups, value_name, barmode="group", text_auto=".3~g")
    figure.update_traces(textposition="outside", textangle=0, constraintext="none")
    low, high = value_range or (min(0, frame.min(axis=None)), max(0, frame.max(axis=None)))
    # Numbers stand beyond the ends of bars, which is to the left where the bar is negative.
    room = 0.12 * (high - low)
    figure.update_xaxes(range=[low - room if low < 0 else low, high + room if high > 0 else high])
    height = 140 + 16 * len(groups) * (len(series) + 1)
    return themed(figure, title, height, showlegend=len(series) > 1)


def lying_bars(
    frame: pd.DataFrame, names: Sequence[str], value_name: str, **options: Any
) -> go.Figure:
    """Bars from left to right, a name a row of `frame`, the first on top; not yet themed.

    Columns are series, or with `x` and `color` among the `options` of `plotly.express.bar` named
    "value" and "variable".
    """
    labels = dict(index="", value=wrapped(value_name, 30), variable="")
    figure = px.bar(frame, orientation="h", labels=labels, template="listcomp", **options)
    label_axis(figure.update_yaxes, [name.replace("<br>", " ") for name in names], reverse=True)
    return figure


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
    for (name, (xs, ys)), symbol in zip(series.items(), itertools.cycle(SYMBOLS)):
        mode = "markers" if name in points else "lines+markers"
        marker = dict(symbol=symbol, size=9 if name in points and len(xs) < 20 else 6)
        figure.add_scatter(x=list(xs), y=list(ys), mode=mode, name=name, marker=marker)
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title, range=y_range)
    return themed(figure, title, height=420, showlegend=len(series) > 1)


def line_panels(
    panels: dict[str, dict[str, tuple[Sequence[float], Sequence[float]]]],
    title: str,
    x_title: str,
    per_row: int = 2,
) -> go.Figure:
    """Panels of lines over the same x axis; a name has one colour in all of them."""
    rows = -(-len(panels) // per_row)
    points = [
        (panel, name, x, y)
        for panel, series in panels.items()
        for name, (xs, ys) in series.items()
        for x, y in zip(xs, ys, strict=True)
    ]
    figure = px.line(
        pd.DataFrame(points, columns=["panel", "name", "x", "y"]),
        x="x",
        y="y",
        color="name",
        facet_col="panel",
        facet_col_wrap=per_row,
        facet_col_spacing=0.1,
        facet_row_spacing=0.25 / rows,
        labels=dict(x=x_title, y="", name=""),
        template="listcomp",
    )
    figure.for_each_annotation(lambda note: note.update(text=note.text.removeprefix("panel=")))
    figure.update_xaxes(showticklabels=True)
    figure.update_yaxes(matches=None, showticklabels=True)
    return themed(figure, title, height=150 + 220 * rows)


def dot_rows(
    labels: Sequence[str],
    series: dict[str, Sequence[Sequence[float]]],
    title: str,
    x_title: str,
    x_range: tuple[float, float],
    marks: dict[str, float] | None = None,
) -> go.Figure:
    """Points in rows: any number a row and series, each series a little below the one before.

    `marks` are named values that get a dotted line over all rows, with the name above.
    """
    figure = go.Figure()
    for name, value in (marks or {}).items():
        line = dict(color=GREYS[1], width=1, dash="dot")
        figure.add_vline(x=value, line=line, annotation_text=name, annotation_position="top")
    for number, ((name, rows), symbol) in enumerate(zip(series.items(), itertools.cycle(SYMBOLS))):
        shift = 0.26 * (number - (len(series) - 1) / 2)
        xs = [x for values in rows for x in values]
        ys = [row + shift for row, values in enumerate(rows) for _ in values]
        marker = dict(size=7, symbol=symbol)
        figure.add_scatter(x=xs, y=ys, mode="markers", name=name, marker=marker)
    label_axis(figure.update_yaxes, labels, reverse=True)
    figure.update_xaxes(title_text=x_title, range=list(x_range))
    return themed(figure, title, height=150 + 24 * len(labels))
