"""The figures of the notebooks: each takes arrays and returns a plotly figure; none computes.

One theme for all. Tokens and positions are tick labels on whole-number coordinates. Probabilities
have a sequential scale on [0, 1]; signed values a diverging one centred on 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float
from plotly.subplots import make_subplots

PROBABILITY_SCALE = "Blues"
SIGNED_SCALE = "RdBu"
COLOURS = ("#1f5a99", "#c0392b", "#2e8b57", "#8e5ea2", "#d68910", "#4d4d4d")
GREYS = ("#222222", "#888888", "#bbbbbb")
RIGHT_COLOUR, WRONG_COLOUR, NEUTRAL_COLOUR = "#d5e8d4", "#f4b6b0", "#eef1f5"
MOST_ANNOTATED = 12
"""Up to this many rows and columns, numbers stand in the cells of a heatmap."""


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


def token_rows(
    rows: Sequence[Sequence[str]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    fills: Sequence[Sequence[int]],
    title: str,
) -> go.Figure:
    """Token sequences as a table; fills are 0 (neutral), 1 (right or counted) or 2 (wrong)."""
    steps = [(0, NEUTRAL_COLOUR), (1, RIGHT_COLOUR), (2, WRONG_COLOUR)]
    scale = [point for i, colour in steps for point in ((i / 3, colour), ((i + 1) / 3, colour))]
    figure = go.Figure(
        go.Heatmap(
            z=np.asarray(fills) + 0.5,
            text=[list(row) for row in rows],
            texttemplate="%{text}",
            colorscale=scale,
            zmin=0,
            zmax=3,
            showscale=False,
            xgap=2,
            ygap=2,
            hoverinfo="text",
        )
    )
    themed(
        figure, title, width=max(420, 200 + 62 * len(column_labels)), height=130 + 30 * len(rows)
    )
    _label_axis(figure.update_xaxes, column_labels)
    _label_axis(figure.update_yaxes, row_labels, reverse=True)
    figure.update_xaxes(side="top")
    figure.update_layout(margin=dict(l=150, r=20, t=75, b=20))
    return figure


def mask_panels(
    allowed: Bool[np.ndarray, "layer query key"], labels: Sequence[str], title: str
) -> go.Figure:
    """Who may attend to whom, a panel a layer: filled where the query may attend to the key."""
    allowed = np.asarray(allowed)
    n_layers, size = allowed.shape[0], allowed.shape[1]
    figure = make_subplots(
        1, n_layers, subplot_titles=[f"Layer {layer}" for layer in range(n_layers)]
    )
    for layer in range(n_layers):
        figure.add_heatmap(
            z=allowed[layer].astype(int),
            text=[["yes" if cell else "no" for cell in row] for row in allowed[layer]],
            texttemplate="%{text}",
            colorscale=[(0, NEUTRAL_COLOUR), (1, "#7fb3d5")],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=2,
            ygap=2,
            row=1,
            col=layer + 1,
        )
    side = min(max(260, 46 * size), 460)
    themed(figure, title, width=110 + (side + 60) * n_layers, height=side + 140)
    _label_axis(figure.update_xaxes, labels, title="key (attended to)")
    _label_axis(figure.update_yaxes, labels, title="query (attends)", reverse=True)
    figure.update_layout(margin=dict(l=80, r=20, t=90, b=60))
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


def list_map(
    values: Float[np.ndarray, "d1 d2"],
    title: str,
    value_name: str,
    signed: bool = False,
) -> go.Figure:
    """One number for every list of two digits, d1 down and d2 across; nan is left blank.

    Unsigned values are shown on [0, 1]; signed ones on a scale centred on 0.
    """
    values = np.asarray(values, dtype=float)
    bound = float(np.nanmax(np.abs(values))) if signed and np.isfinite(values).any() else 1.0
    annotate = max(values.shape) <= MOST_ANNOTATED
    figure = go.Figure(
        go.Heatmap(
            z=values,
            zmin=-bound if signed else 0,
            zmax=bound,
            colorscale=SIGNED_SCALE if signed else PROBABILITY_SCALE,
            texttemplate="%{z:.2f}" if annotate else None,
            colorbar=dict(title=dict(text=value_name)),
            hovertemplate="d1 %{y}, d2 %{x}: %{z}<extra></extra>",
        )
    )
    themed(figure, title, width=660, height=560)
    figure.update_layout(margin=dict(r=90))
    figure.update_xaxes(title_text="second digit d2")
    figure.update_yaxes(title_text="first digit d1", autorange="reversed")
    if annotate:
        numbers = [str(digit) for digit in range(values.shape[1])]
        _label_axis(figure.update_xaxes, numbers)
        _label_axis(figure.update_yaxes, numbers[: values.shape[0]], reverse=True)
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
    _label_axis(figure.update_xaxes, groups)
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


def _label_axis(update, labels: Sequence[str], title: str | None = None, reverse: bool = False):
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
