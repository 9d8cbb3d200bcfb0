"""Drawings: the attention flow through the layers, points in the plane, ranked bars.

attention_flow(tables.flow(model, example, lists), tokens, labels, "SEP reads d2")
ranked_bars(accuracies, spreads, groups, "Positions matter most", "accuracy per token")
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.colors import qualitative, sample_colorscale
from plotly.subplots import make_subplots

from listcomp_utils.plots.curves import lying_bars
from listcomp_utils.plots.theme import COLOURS, GREYS, label_axis, themed

EFFECT_COLOURS = ["#bec6d2", "#e8a268", "#d2600f", "#9c4200"]
"""From no accuracy lost to all of it."""
SHOWN = 0.005
"""Arrows with less weight and less cost are left out."""


def attention_flow(
    arrows: pd.DataFrame, node_tokens: Sequence[Sequence[str]], labels: Sequence[str], title: str
) -> go.Figure:
    """Positions across, layers upwards; arrows carry information from key to query.

    `arrows` has the columns layer, query and key, weight, which is attention and an arrow's width,
    and cost, the accuracy lost without it, which is its colour and label; both are from 0 to 1.
    `node_tokens` says for each level (before layer 0, after layer 0, ...) what the logit lens reads
    at each position. The dotted line is the residual stream.
    """
    figure = go.Figure()
    for place in range(len(labels)):
        figure.add_vline(place, line=dict(color=GREYS[2], width=1, dash="dot"), layer="below")
    drawn = arrows[arrows[["weight", "cost"]].max(axis=1) >= SHOWN]
    columns = ["layer", "query", "key", "weight", "cost"]
    drawn = drawn[columns].sort_values("cost", kind="stable")
    for *edge, weight, cost in drawn.itertuples(index=False):
        _add_arrow(figure, edge, weight, cost, labels)
    nodes = dict(size=32, color="#eaf0f7", line=dict(color=COLOURS[0], width=1))
    for level, tokens in enumerate(node_tokens):
        ys = [level] * len(tokens)
        figure.add_scatter(y=ys, mode="markers+text", text=tokens, marker=nodes, hoverinfo="skip")
    n_layers = len(node_tokens) - 1
    label_axis(figure.update_xaxes, labels)
    label_axis(figure.update_yaxes, ["embedding", *(f"after layer {i}" for i in range(n_layers))])
    numbers = "(numbers: points of accuracy lost without an arrow)"
    figure.update_xaxes(title_text=f"position<br>{numbers}", title_font_size=14)
    figure.update_yaxes(range=[-0.3, n_layers + 0.3])
    return themed(figure, title, height=160 + 180 * n_layers, showlegend=False)


def _add_arrow(
    figure: go.Figure, edge: Sequence[int], weight: float, cost: float, labels: Sequence[str]
) -> None:
    """A line from key to query, bent beside the residual stream where they are the same."""
    layer, query, key = edge
    bend = 0.13 if query == key else 0.0
    colour = sample_colorscale(EFFECT_COLOURS, [min(1.0, max(0.0, cost))])[0]
    figure.add_scatter(
        x=[key, (key + query) / 2 - bend, query],
        y=[layer + 0.1, layer + 0.5, layer + 0.9],
        mode="lines",
        line=dict(color=colour, width=0.6 + 9 * weight, shape="spline"),
        hovertext=f"{labels[query]}<-{labels[key]}: attention {weight:.2f}, "
        f"accuracy without it {-cost:+.3f}",
        hoverinfo="text",
    )
    if cost >= SHOWN:
        along = 0.4 if bend else 0.6
        x, y = key + along * (query - key) - bend, layer + 0.1 + 0.8 * along
        text = dict(text=f"{-100 * cost:+.0f}", font_color="#7a3300", bgcolor="white")
        figure.add_annotation(x=x, y=y, showarrow=False, **text)


def ranked_bars(
    values: pd.Series,
    spreads: pd.Series,
    groups: Sequence[str],
    title: str,
    value_name: str,
    reference: float | None = None,
) -> go.Figure:
    """Horizontal bars of shares with their names, in the order given, coloured by group.

    Spreads of 0 are not drawn; `reference` is where a dashed line stands.
    """
    frame = pd.DataFrame(dict(value=values, variable=groups, spread=spreads.where(spreads > 0)))
    columns = dict(x="value", color="variable", error_x="spread")
    figure = lying_bars(frame, title, value_name, **columns).update_xaxes(range=[0, 1.04])
    if reference is not None:
        figure.add_vline(reference, line=dict(color=GREYS[0], width=1, dash="dash"))
    return figure


def seed_bars(
    frame: pd.DataFrame,
    groups: Sequence[str],
    title: str,
    value_name: str,
    reference: float | None = None,
) -> go.Figure:
    """A ranked bar a column: its mean over the rows, whiskers half their range; missing are 0."""
    known = frame.fillna(0.0)
    half = (known.max() - known.min()) / 2
    return ranked_bars(known.mean(), half, groups, title, value_name, reference)


def point_panels(
    planes: dict[str, pd.DataFrame],
    digits: dict[str, Sequence[int]],
    texts: Sequence[str],
    title: str,
) -> go.Figure:
    """Points in the plane: a column of panels for each of `planes`, a row for each of `digits`.

    Planes have two columns, which name the axes. Up to ten digits have colours of their own.
    """
    rows, n_digits = len(digits), 1 + max(map(max, digits.values()))
    figure = make_subplots(
        rows,
        len(planes),
        subplot_titles=[f"{name}, by {by}" for by in digits for name in planes],
        horizontal_spacing=0.24,
        vertical_spacing=0.25 / rows,
        shared_xaxes="columns",
    )
    for row, values in enumerate(digits.values(), start=1):
        for column, plane in enumerate(planes.values(), start=1):
            marker = dict(color=list(values), coloraxis="coloraxis")
            x, y = plane
            points = go.Scatter(x=plane[x], y=plane[y], text=texts, marker=marker)
            figure.add_trace(points, row, column)
            figure.update_yaxes(title_text=y, row=row, col=column)
            figure.update_xaxes(title_text=x, row=rows, col=column)
    figure.update_annotations(font_size=13)
    size = 7 if len(texts) <= 200 else 3
    figure.update_traces(mode="markers", cliponaxis=False, hoverinfo="text", marker_size=size)
    scale = dict(colorscale="Viridis", cmin=-0.5, cmax=n_digits - 0.5, colorbar_title_text="digit")
    if n_digits <= len(qualitative.T10):
        steps = [(k, end) for k in range(n_digits) for end in (0, 1)]
        scale["colorscale"] = [((k + end) / n_digits, qualitative.T10[k]) for k, end in steps]
        scale["colorbar_tickvals"] = list(range(n_digits))
    return themed(figure, title, 130 + 230 * rows, showlegend=False, coloraxis=scale)
