"""Heatmaps: tokens, masks, attention patterns, and numbers for every list of two digits.

Probabilities have a sequential scale on [0, 1], signed values a diverging one centred on 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float
from plotly.subplots import make_subplots

from listcomp_utils.plots.curves import label_axis, themed

PROBABILITY_SCALE = "Blues"
SIGNED_SCALE = "RdBu"
RIGHT_COLOUR, WRONG_COLOUR, NEUTRAL_COLOUR = "#d5e8d4", "#f4b6b0", "#eef1f5"
MOST_ANNOTATED = 12
"""Up to this many rows and columns, numbers stand in the cells of a heatmap."""


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
    label_axis(figure.update_xaxes, column_labels)
    label_axis(figure.update_yaxes, row_labels, reverse=True)
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
    label_axis(figure.update_xaxes, labels, title="key (attended to)")
    label_axis(figure.update_yaxes, labels, title="query (attends)", reverse=True)
    figure.update_layout(margin=dict(l=80, r=20, t=90, b=60))
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
        label_axis(figure.update_xaxes, numbers)
        label_axis(figure.update_yaxes, numbers[: values.shape[0]], reverse=True)
    return figure


def heatmap_panels(
    panels: dict[str, Float[np.ndarray, "row column"]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    title: str,
    value_name: str,
    row_title: str = "query (attends)",
    column_title: str = "key (attended to)",
    signed: bool = False,
    per_row: int = 3,
) -> go.Figure:
    """Heatmaps on one scale: [0, 1], or centred on 0 for signed values; nan is left blank."""
    matrices = [np.asarray(panel, dtype=float) for panel in panels.values()]
    columns = min(per_row, len(panels))
    rows = -(-len(panels) // columns)
    bound = max((np.nanmax(np.abs(m)) for m in matrices), default=1.0) if signed else 1.0
    cells = max(len(row_labels), len(column_labels))
    label_width = 55 + 7 * max(map(len, row_labels))
    panel_width = min(max(230, 48 * len(column_labels)), (640, 420, 340)[min(columns, 3) - 1])
    panel_height = min(max(150, 48 * len(row_labels)), 420 if columns < 3 else 340)
    inner_width = columns * panel_width + (columns - 1) * label_width
    inner_height = rows * panel_height + (rows - 1) * 110
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=list(panels),
        horizontal_spacing=label_width / inner_width if columns > 1 else 0,
        vertical_spacing=110 / inner_height if rows > 1 else 0,
    )
    for number, matrix in enumerate(matrices):
        figure.add_heatmap(
            z=matrix,
            zmin=-bound if signed else 0,
            zmax=bound,
            colorscale=SIGNED_SCALE if signed else PROBABILITY_SCALE,
            texttemplate="%{z:.2f}" if cells <= MOST_ANNOTATED else None,
            showscale=number == len(matrices) - 1,
            colorbar=dict(title=dict(text=value_name)),
            row=number // columns + 1,
            col=number % columns + 1,
        )
    themed(figure, title, width=inner_width + label_width + 110, height=inner_height + 160)
    label_axis(figure.update_xaxes, column_labels, title=column_title)
    label_axis(figure.update_yaxes, row_labels, title=row_title, reverse=True)
    figure.update_layout(margin=dict(l=label_width, r=110, t=90, b=70))
    return figure


def list_maps(
    values: dict[str, Float[np.ndarray, "d1 d2"]],
    title: str,
    value_name: str,
    signed: bool = False,
) -> go.Figure:
    """Several (d1, d2) maps side by side on one scale, d1 down and d2 across."""
    size = len(next(iter(values.values())))
    step = 1 if size <= MOST_ANNOTATED else -(-size // 5)
    labels = [str(digit) if digit % step == 0 else "" for digit in range(size)]
    names = dict(row_title="first digit d1", column_title="second digit d2")
    per_row = 2 if len(values) == 4 else 3
    return heatmap_panels(
        values, labels, labels, title, value_name, signed=signed, per_row=per_row, **names
    )


def density_rows(
    counts: Float[np.ndarray, "row bin"],
    row_labels: Sequence[str],
    bin_edges: Float[np.ndarray, "bin_plus_1"],
    title: str,
    x_title: str,
) -> go.Figure:
    """A histogram a row, as shares of the row in each bin: darker is more."""
    figure = go.Figure(
        go.Heatmap(
            z=np.asarray(counts),
            x=(np.asarray(bin_edges)[1:] + np.asarray(bin_edges)[:-1]) / 2,
            zmin=0,
            zmax=float(np.max(counts)),
            colorscale=PROBABILITY_SCALE,
            colorbar=dict(title=dict(text="share of lists")),
        )
    )
    themed(figure, title, width=820, height=150 + 22 * len(row_labels))
    label_axis(figure.update_yaxes, row_labels, reverse=True)
    figure.update_xaxes(title_text=x_title, range=[bin_edges[0], bin_edges[-1]])
    figure.update_layout(margin=dict(l=120, r=90))
    return figure


def map_gallery(
    maps: Float[np.ndarray, "map d1 d2"],
    names: Sequence[str],
    title: str,
    value_name: str,
    per_row: int = 16,
) -> go.Figure:
    """Many small (d1, d2) maps side by side on one scale from 0 to 1, each with its name above."""
    maps = np.asarray(maps, dtype=float)
    size = maps.shape[1]
    step, rows = size + 2, -(-len(maps) // per_row)
    sheet = np.full((rows * (step + 2), per_row * step), np.nan)
    figure = go.Figure()
    for number, one in enumerate(maps):
        top, left = number // per_row * (step + 2) + 3, number % per_row * step
        sheet[top : top + size, left : left + size] = one
        figure.add_annotation(
            x=left + size / 2 - 0.5,
            y=top - 1.4,
            text=names[number],
            showarrow=False,
            font=dict(size=10),
        )
    figure.add_heatmap(
        z=sheet,
        zmin=0,
        zmax=1,
        colorscale=PROBABILITY_SCALE,
        colorbar=dict(title=dict(text=value_name)),
        hoverinfo="skip",
    )
    themed(figure, title, width=150 + 60 * per_row, height=110 + 66 * rows)
    for axes, end in ((figure.update_xaxes, sheet.shape[1]), (figure.update_yaxes, sheet.shape[0])):
        axes(showticklabels=False, ticks="", showline=False, range=[-1, end - 0.5], tickvals=[])
    figure.update_yaxes(range=[sheet.shape[0] - 0.5, -0.5])
    figure.update_layout(margin=dict(l=15, r=100, t=60, b=15))
    return figure
