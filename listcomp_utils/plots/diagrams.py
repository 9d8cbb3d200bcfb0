"""Drawings: the attention flow through the layers, points in the plane and in space, ranked bars.

attention_flow([Arrow(0, query=2, key=1, weight=0.5, cost=0.4)], tokens, labels, "SEP reads d2")
ranked_bars(names, accuracies, spreads, groups, "Positions matter most", "accuracy per token")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from listcomp_utils.plots.curves import lying_bars
from listcomp_utils.plots.theme import COLOURS, GREYS, label_axis, themed

EFFECT_COLOURS = ["#bec6d2", "#e8a268", "#d2600f", "#9c4200"]
"""From no accuracy lost to all of it."""
SHOWN = 0.005
"""Arrows with less weight and less cost are left out."""


@dataclass(frozen=True)
class Arrow:
    """Attention from a query to a key in one layer: its weight and what its removal costs."""

    layer: int
    query: int
    key: int
    weight: float
    """Attention, 0 to 1: the width."""
    cost: float
    """Accuracy lost without it, 0 to 1: the colour and the label."""


def attention_flow(
    arrows: Sequence[Arrow], node_tokens: Sequence[Sequence[str]], labels: Sequence[str], title: str
) -> go.Figure:
    """Positions across, layers upwards; arrows carry information from key to query.

    `node_tokens` says for each level (before layer 0, after layer 0, ...) what the logit lens reads
    at each position. The dotted line is the residual stream.
    """
    n_levels, places = len(node_tokens), list(range(len(labels)))
    figure = go.Figure()
    for place in places:
        figure.add_vline(x=place, line=dict(color=GREYS[2], width=1, dash="dot"), layer="below")
    for arrow in sorted(arrows, key=lambda one: one.cost):
        if max(arrow.weight, arrow.cost) >= SHOWN:
            _add_arrow(figure, arrow, labels)
    for level, tokens in enumerate(node_tokens):
        figure.add_scatter(
            x=places,
            y=[level] * len(places),
            mode="markers+text",
            text=list(tokens),
            marker=dict(size=32, color="#eaf0f7", line=dict(color=COLOURS[0], width=1)),
            hoverinfo="skip",
        )
    levels = ["embedding", *(f"after layer {layer}" for layer in range(n_levels - 1))]
    label_axis(figure.update_xaxes, labels)
    label_axis(figure.update_yaxes, levels)
    figure.update_xaxes(title_text="position (numbers: points of accuracy lost without an arrow)")
    figure.update_yaxes(range=[-0.3, n_levels - 0.7])
    return themed(figure, title, height=140 + 180 * (n_levels - 1), showlegend=False)


def _add_arrow(figure: go.Figure, arrow: Arrow, labels: Sequence[str]) -> None:
    """A line from key to query, bent beside the residual stream where they are the same."""
    bend = 0.13 if arrow.query == arrow.key else 0.0
    figure.add_scatter(
        x=[arrow.key, (arrow.key + arrow.query) / 2 - bend, arrow.query],
        y=[arrow.layer + 0.1, arrow.layer + 0.5, arrow.layer + 0.9],
        mode="lines",
        line=dict(
            color=sample_colorscale(EFFECT_COLOURS, [min(1.0, max(0.0, arrow.cost))])[0],
            width=0.6 + 9 * arrow.weight,
            shape="spline",
        ),
        hovertext=f"{labels[arrow.query]}<-{labels[arrow.key]}: attention {arrow.weight:.2f}, "
        f"accuracy without it {-arrow.cost:+.3f}",
        hoverinfo="text",
    )
    if arrow.cost >= SHOWN:
        along = 0.4 if bend else 0.6
        figure.add_annotation(
            x=arrow.key + along * (arrow.query - arrow.key) - bend,
            y=arrow.layer + 0.1 + 0.8 * along,
            text=f"{-100 * arrow.cost:+.0f}",
            showarrow=False,
            font=dict(color="#7a3300"),
            bgcolor="white",
        )


def ranked_bars(
    names: Sequence[str],
    values: Sequence[float],
    spreads: Sequence[float],
    groups: Sequence[str],
    title: str,
    value_name: str,
    reference: float | None = None,
) -> go.Figure:
    """Horizontal bars in the order given, coloured by group, with a line at `reference`."""
    spreads = [spread or None for spread in spreads]
    frame = pd.DataFrame(dict(value=values, variable=groups, spread=spreads))
    figure = lying_bars(frame, names, value_name, x="value", color="variable", error_x="spread")
    if reference is not None:
        figure.add_vline(x=reference, line=dict(color=GREYS[0], width=1, dash="dash"))
    return themed(figure, title, height=160 + 20 * len(names))


def point_panels(
    panels: dict[str, Float[np.ndarray, "point 2"]],
    colours: dict[str, Sequence[float]],
    texts: Sequence[str],
    title: str,
    axis_names: dict[str, tuple[str, str]],
    show_text: bool,
) -> go.Figure:
    """Points in the plane: a column of panels for each of `panels`, a row for each of `colours`.

    Panels give the places, colours the values, from the lowest to the highest of each on one scale.
    """
    rows, columns = len(colours), len(panels)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[f"{name}, by {by}" for by in colours for name in panels],
        horizontal_spacing=0.18,
        vertical_spacing=0.25 / rows,
        shared_xaxes="columns",
    )
    for row, values in enumerate(colours.values(), start=1):
        values = np.asarray(values, dtype=float)
        shades = ((values - values.min()) / (np.ptp(values) or 1)).round(3)
        for column, (name, places) in enumerate(panels.items(), start=1):
            marker = dict(color=shades, coloraxis="coloraxis")
            points = go.Scatter(x=places[:, 0], y=places[:, 1], text=list(texts), marker=marker)
            figure.add_trace(points, row=row, col=column)
            figure.update_yaxes(title_text=axis_names[name][1], row=row, col=column)
            figure.update_xaxes(title_text=axis_names[name][0], row=rows, col=column)
    figure.update_traces(
        mode="markers+text" if show_text else "markers",
        textposition="top center",
        cliponaxis=False,
        hoverinfo="text",
        marker_size=7 if len(texts) <= 200 else 3,
    )
    bar = dict(tickvals=[0, 1], ticktext=["lowest", "highest"], len=min(1, 1.2 / rows))
    scale = dict(colorscale="Viridis", cmin=0, cmax=1, colorbar=bar)
    return themed(figure, title, 130 + 230 * rows, showlegend=False, coloraxis=scale)


def points_in_space(
    places: Float[np.ndarray, "point 3"],
    values: Sequence[float],
    texts: Sequence[str],
    title: str,
    axis_names: tuple[str, str, str],
    value_name: str,
) -> go.Figure:
    """Points in three dimensions with hover texts, coloured by a value."""
    x, y, z = np.asarray(places).T
    figure = px.scatter_3d(
        x=x,
        y=y,
        z=z,
        color=list(values),
        hover_name=list(texts),
        color_continuous_scale="Viridis",
        labels=dict(zip("xyz", axis_names, strict=True)) | dict(color=value_name),
    )
    figure.update_traces(marker_size=5 if len(texts) <= 200 else 2.5, hovertemplate="%{hovertext}")
    # A little further off than plotly's camera, so that the titles of the axes are not cut.
    return themed(figure, title, height=520, scene_camera_eye=dict(x=1.75, y=1.75, z=1.3))
