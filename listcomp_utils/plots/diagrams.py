"""Figures that are drawings: the attention flow through the layers, points in space, ranked bars.

Like `figures`, they take numbers and labels and compute nothing but places on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from listcomp_utils.plots.curves import COLOURS, themed

EFFECT_COLOURS = ["rgb(190,198,210)", "rgb(217,136,128)", "rgb(203,67,53)", "rgb(169,50,38)"]
"""From no accuracy lost to all of it."""


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
    arrows: Sequence[Arrow],
    node_tokens: Sequence[Sequence[str]],
    labels: Sequence[str],
    title: str,
) -> go.Figure:
    """Positions across, layers upwards; arrows carry information from key to query.

    `node_tokens` says for each level (before layer 0, after layer 0, ...) what the logit lens reads
    at each position. The dotted line is the residual stream.
    """
    n_levels, size = len(node_tokens), len(labels)
    figure = go.Figure()
    for place in range(size):
        figure.add_scatter(
            x=[place, place],
            y=[0, n_levels - 1],
            mode="lines",
            line=dict(color="#b5b5b5", width=1, dash="dot"),
            hoverinfo="skip",
        )
    for arrow in sorted(arrows, key=lambda one: one.cost):
        if arrow.weight < 0.005 and arrow.cost < 0.005:
            continue
        colour = sample_colorscale(EFFECT_COLOURS, [min(1.0, max(0.0, arrow.cost))])[0]
        bend = 0.13 if arrow.query == arrow.key else 0.0
        xs = [arrow.key, (arrow.key + arrow.query) / 2 - bend, arrow.query]
        ys = [arrow.layer + 0.1, arrow.layer + 0.5, arrow.layer + 0.9]
        figure.add_scatter(
            x=xs,
            y=ys,
            mode="lines",
            line=dict(color=colour, width=0.6 + 9 * arrow.weight),
            hovertext=f"{labels[arrow.query]}<-{labels[arrow.key]}: attention {arrow.weight:.2f}, "
            f"accuracy without it {-arrow.cost:+.3f}",
            hoverinfo="text",
        )
        if arrow.cost >= 0.005:
            along = 0.66
            figure.add_annotation(
                x=arrow.key + along * (arrow.query - arrow.key) - bend,
                y=arrow.layer + 0.1 + 0.8 * along,
                text=f"{-100 * arrow.cost:+.0f}",
                showarrow=False,
                font=dict(size=12, color="#7b241c"),
                bgcolor="white",
            )
    for level, tokens in enumerate(node_tokens):
        figure.add_scatter(
            x=list(range(size)),
            y=[level] * size,
            mode="markers",
            marker=dict(size=30, color="#eaf0f7", line=dict(color="#1f5a99", width=1)),
            hoverinfo="skip",
        )
        for place, token in enumerate(tokens):
            figure.add_annotation(
                x=place, y=level, text=token, showarrow=False, font=dict(size=11, color="#222222")
            )
    themed(figure, title, width=150 + 130 * size, height=130 + 190 * (n_levels - 1))
    figure.update_xaxes(
        tickvals=list(range(size)),
        ticktext=list(labels),
        range=[-0.6, size - 0.4],
        title_text="position",
        showline=False,
        ticks="",
    )
    levels = ["embedding", *(f"after layer {layer}" for layer in range(n_levels - 1))]
    figure.update_yaxes(
        tickvals=list(range(n_levels)),
        ticktext=levels,
        range=[-0.3, n_levels - 0.7],
        showline=False,
        ticks="",
    )
    figure.update_layout(showlegend=False, margin=dict(l=110, r=20, t=60, b=60))
    return figure


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
    figure = go.Figure()
    kinds = list(dict.fromkeys(groups))
    for number, kind in enumerate(kinds):
        rows = [i for i, group in enumerate(groups) if group == kind]
        figure.add_bar(
            x=[values[i] for i in rows],
            y=rows,
            orientation="h",
            width=0.75,
            name=kind,
            marker=dict(color=COLOURS[number % len(COLOURS)]),
            error_x=dict(array=[spreads[i] for i in rows]),
        )
    themed(figure, title, width=1000, height=140 + 17 * len(names))
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=list(names),
        range=[len(names) - 0.5, -0.5],
        showline=False,
        ticks="",
    )
    figure.update_xaxes(title_text=value_name)
    if reference is not None:
        figure.add_vline(x=reference, line=dict(color="#222222", width=1, dash="dash"))
    figure.update_layout(
        margin=dict(l=30 + 7 * max(map(len, names)), r=170), legend=dict(x=1.01, y=1)
    )
    return figure


def point_panels(
    panels: dict[str, Float[np.ndarray, "point 2"]],
    colours: dict[str, Sequence[float]],
    texts: Sequence[str],
    title: str,
    axis_names: dict[str, tuple[str, str]],
    show_text: bool,
) -> go.Figure:
    """Points in the plane, a row of panels each for its own places and colouring.

    Panels are the products of `panels` (places) and `colours` (values on one scale each).
    """
    rows, columns = len(panels), len(colours)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[f"{name}, by {by}" for name in panels for by in colours],
        horizontal_spacing=0.07,
        vertical_spacing=0.5 / (rows + 1),
    )
    for row, (name, places) in enumerate(panels.items(), start=1):
        for column, values in enumerate(colours.values(), start=1):
            low, high = min(values), max(values)
            figure.add_scatter(
                x=places[:, 0],
                y=places[:, 1],
                mode="markers+text" if show_text else "markers",
                text=list(texts) if show_text else None,
                textfont=dict(size=9),
                textposition="top center",
                hovertext=list(texts),
                hoverinfo="text",
                marker=dict(
                    size=(4 if show_text else 7) if len(texts) <= 200 else 3,
                    color=list(values),
                    colorscale="Viridis",
                    cmin=low,
                    cmax=high if high > low else low + 1,
                ),
                row=row,
                col=column,
            )
            figure.update_xaxes(title_text=axis_names[name][0], row=row, col=column)
            figure.update_yaxes(title_text=axis_names[name][1], row=row, col=column)
    themed(figure, title, width=120 + 240 * columns, height=110 + 280 * rows)
    figure.update_layout(showlegend=False)
    return figure


def points_in_space(
    places: Float[np.ndarray, "point 3"],
    values: Sequence[float],
    texts: Sequence[str],
    title: str,
    axis_names: tuple[str, str, str],
    value_name: str,
) -> go.Figure:
    """Points in three dimensions with hover texts, coloured by a value."""
    figure = go.Figure(
        go.Scatter3d(
            x=places[:, 0],
            y=places[:, 1],
            z=places[:, 2],
            mode="markers",
            text=list(texts),
            hoverinfo="text",
            marker=dict(
                size=5 if len(texts) <= 200 else 2.5,
                color=list(values),
                colorscale="Viridis",
                cmin=min(values),
                cmax=max(values),
                colorbar=dict(title=dict(text=value_name)),
            ),
        )
    )
    themed(figure, title, width=580, height=480)
    names = zip("xyz", axis_names, strict=True)
    figure.update_layout(
        scene={f"{axis}axis": dict(title=dict(text=name)) for axis, name in names},
        margin=dict(l=20, r=60, t=60, b=20),
    )
    return figure
