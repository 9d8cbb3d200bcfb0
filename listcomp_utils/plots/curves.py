"""Curves and bars, and the one theme of all figures.

A figure function takes numbers and labels, returns a plotly figure, and computes nothing. Tokens
and positions are tick labels on whole-number coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

COLOURS = ("#1f5a99", "#c0392b", "#2e8b57", "#8e5ea2", "#d68910", "#4d4d4d", "#148f8f")
GREYS = ("#222222", "#888888", "#bbbbbb")


def themed(figure: go.Figure, title: str, width: int = 800, height: int = 400) -> go.Figure:
    """Apply the common look; the title states what the figure shows."""
    figure.update_layout(
        template="none",
        title=dict(text=title, x=0.01, xanchor="left", font=dict(size=15)),
        width=width,
        height=height,
        margin=dict(l=70, r=30, t=70, b=60),
        font=dict(family="Arial, sans-serif", size=12, color="#222222"),
        plot_bgcolor="white",
        paper_bgcolor="white",
    )
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(showgrid=False, zeroline=False, showline=True, linecolor="#999999", ticks="outside")
    return figure


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

    `breakthrough` is the step to mark in both panels, or None.
    """
    figure = make_subplots(1, 2, subplot_titles=["Loss", "Share right"], horizontal_spacing=0.12)
    for panel, (series, palette) in enumerate(((losses, GREYS), (accuracies, COLOURS))):
        for number, (name, values) in enumerate(series.items()):
            colour = palette[number % len(palette)]
            figure.add_scatter(
                x=list(steps),
                y=list(values),
                mode="lines+markers" if len(steps) <= 40 else "lines",
                name=name,
                line=dict(color=colour, width=2, dash="dash" if "held out" in name else "solid"),
                marker=dict(size=4, color=colour),
                row=1,
                col=panel + 1,
            )
    figure.add_hline(y=loss_floor, line=dict(color="#777777", width=1, dash="dot"), row=1, col=1)
    figure.add_annotation(
        x=steps[-1],
        y=loss_floor,
        text=f"floor {loss_floor:.3f}",
        showarrow=False,
        xanchor="right",
        yanchor="bottom",
        font=dict(color="#555555", size=11),
        row=1,
        col=1,
    )
    if breakthrough is not None:
        for column in (1, 2):
            figure.add_vline(
                x=breakthrough, line=dict(color="#d68910", width=1, dash="dash"), row=1, col=column
            )
        figure.add_annotation(
            x=breakthrough,
            y=0.04,
            text=f" {breakthrough_label}: step {breakthrough}",
            showarrow=False,
            xanchor="left",
            font=dict(color="#b9770e", size=11),
            row=1,
            col=2,
        )
    themed(figure, title, width=940, height=400)
    figure.update_xaxes(title_text="optimiser step")
    figure.update_yaxes(title_text="mean cross entropy (nats)", row=1, col=1)
    figure.update_yaxes(title_text="share right", range=[-0.02, 1.04], row=1, col=2)
    figure.update_layout(legend=dict(x=1.01, y=1, xanchor="left"), margin=dict(r=190))
    return figure


def grouped_bars(
    groups: Sequence[str],
    series: dict[str, Sequence[float]],
    title: str,
    value_name: str,
    value_range: tuple[float, float] | None = (0, 1),
) -> go.Figure:
    """Bars side by side: one group a tick, one colour a series."""
    figure = go.Figure()
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        figure.add_bar(
            x=[i + (number - (len(series) - 1) / 2) * width for i in range(len(groups))],
            y=list(values),
            width=width * 0.92,
            name=name,
            marker=dict(color=COLOURS[number % len(COLOURS)]),
            text=[f"{value:.3g}" for value in values],
            textposition="outside",
        )
    themed(figure, title, width=max(520, 160 + 110 * len(groups)), height=380)
    label_axis(figure.update_xaxes, groups)
    figure.update_yaxes(title_text=value_name)
    if value_range:
        low, high = value_range
        figure.update_yaxes(range=[low, high + 0.1 * (high - low)])
    legend_width = 60 + 7 * max(map(len, series)) if len(series) > 1 else 30
    figure.update_layout(
        showlegend=len(series) > 1,
        legend=dict(x=1.01, y=1),
        margin=dict(r=legend_width),
        width=figure.layout.width + legend_width,
    )
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
    for number, (name, (xs, ys)) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        figure.add_scatter(
            x=list(xs),
            y=list(ys),
            mode="markers" if name in points else "lines+markers",
            name=name,
            line=dict(color=colour, width=2),
            marker=dict(size=7 if name in points and len(xs) < 20 else 5, color=colour),
        )
    width = 60 + 7 * max(map(len, series))
    themed(figure, title, width=640 + width, height=400)
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    if y_range:
        figure.update_yaxes(range=list(y_range))
    figure.update_layout(showlegend=len(series) > 1, margin=dict(r=width))
    figure.update_layout(legend=dict(x=1.01, y=1))
    return figure


def line_panels(
    panels: dict[str, dict[str, tuple[Sequence[float], Sequence[float]]]],
    title: str,
    x_title: str,
    per_row: int = 2,
) -> go.Figure:
    """Panels of lines over the same x axis; a name has one colour in all of them."""
    rows = -(-len(panels) // per_row)
    figure = make_subplots(
        rows,
        per_row,
        subplot_titles=list(panels),
        horizontal_spacing=0.1,
        vertical_spacing=0.34 / rows,
    )
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    for number, panel in enumerate(panels.values()):
        place = dict(row=number // per_row + 1, col=number % per_row + 1)
        for name, (xs, ys) in panel.items():
            colour = COLOURS[names.index(name) % len(COLOURS)]
            figure.add_scatter(
                x=list(xs),
                y=list(ys),
                mode="lines",
                name=name,
                line=dict(color=colour, width=2),
                showlegend=number == 0,
                **place,
            )
    width = 60 + 7 * max(map(len, names))
    themed(figure, title, width=360 * per_row + 80 + width, height=120 + 240 * rows)
    figure.update_xaxes(title_text=x_title)
    figure.update_layout(legend=dict(x=1.01, y=1), margin=dict(r=width))
    return figure


def dot_rows(
    labels: Sequence[str],
    series: dict[str, Sequence[Sequence[float]]],
    title: str,
    x_title: str,
    x_range: tuple[float, float],
    marks: dict[str, float] | None = None,
) -> go.Figure:
    """Points in rows: any number a row and series, each series a little below the one before.

    `marks` are named values that get a dotted line over all rows.
    """
    figure = go.Figure()
    for name, value in (marks or {}).items():
        figure.add_vline(x=value, line=dict(color="#999999", width=1, dash="dot"))
        figure.add_annotation(
            x=value,
            y=-0.6,
            text=name,
            showarrow=False,
            yanchor="bottom",
            font=dict(color="#555555", size=11),
        )
    for number, (name, rows) in enumerate(series.items()):
        shift = 0.26 * (number - (len(series) - 1) / 2)
        points = [(x, row + shift) for row, values in enumerate(rows) for x in values]
        figure.add_scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            mode="markers",
            name=name,
            marker=dict(size=7, color=COLOURS[number % len(COLOURS)]),
        )
    width = 60 + 7 * max(map(len, series))
    themed(figure, title, width=640 + width, height=130 + 24 * len(labels))
    label_axis(figure.update_yaxes, labels, reverse=True)
    figure.update_xaxes(title_text=x_title, range=list(x_range))
    left = 30 + 8 * max(map(len, labels))
    figure.update_layout(margin=dict(r=width, l=left), legend=dict(x=1.01, y=1))
    return figure


def label_axis(update, labels: Sequence[str], title: str | None = None, reverse: bool = False):
    """Tick labels on whole-number coordinates."""
    size = len(labels)
    update(
        tickvals=list(range(size)),
        ticktext=list(labels),
        range=[size - 0.5, -0.5] if reverse else [-0.5, size - 0.5],
        showline=False,
        ticks="",
        autorange=None,
    )
    if title is not None:
        update(title_text=title)
