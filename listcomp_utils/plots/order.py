"""The figures of the study and of the order mechanism, each a function that returns one.

difference_bars(["P_o2", "-beta_s P_o1"], means, spreads, "What turns o1's logits into o2's")
steering_curves(doses, {"P_1 - P_2": shares}, "Lists written reversed")
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float
from plotly.subplots import make_subplots

from listcomp_utils.plots.curves import COLOURS, GREYS, label_axis, lines, themed

RIGHT, WRONG = COLOURS[0], COLOURS[1]


def difference_bars(
    names: Sequence[str],
    means: Sequence[float],
    spreads: Sequence[float],
    start: float,
    title: str,
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
        marker=dict(color=[COLOURS[0] if value >= 0 else COLOURS[1] for value in means]),
        error_x=dict(array=list(spreads)),
    )
    figure.add_scatter(
        x=[start, *(start + np.cumsum(means))],
        y=[-0.5, *rows],
        mode="lines+markers",
        name="running sum, from o1's",
        line=dict(color=GREYS[0], width=1.5, dash="dot"),
        marker=dict(size=5, color=GREYS[0]),
    )
    figure.add_vline(x=0, line=dict(color=GREYS[1], width=1))
    themed(figure, title, width=880, height=150 + 44 * len(names))
    label_axis(figure.update_yaxes, names, reverse=True)
    figure.update_yaxes(range=[len(names) - 0.5, -0.8])
    figure.update_xaxes(title_text="logit of d2 minus logit of d1: towards d1 | towards d2")
    figure.update_layout(margin=dict(l=140, r=200), legend=dict(x=1.01, y=1))
    return figure


def score_points(
    scores: Float[np.ndarray, "list digit_position"], right: Bool[np.ndarray, "list"], title: str
) -> go.Figure:
    """SEP's attention scores for both digits of each list, by whether it is copied right."""
    figure = go.Figure()
    for name, chosen, colour in (("right", right, RIGHT), ("wrong", ~right, WRONG)):
        figure.add_scatter(
            x=np.round(scores[chosen, 0], 2).tolist(),
            y=np.round(scores[chosen, 1], 2).tolist(),
            mode="markers",
            name=f"{name} ({int(chosen.sum()):,})",
            marker=dict(size=3, color=colour),
        )
    low, high = float(scores.min()), float(scores.max())
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        name="equal attention",
        line=dict(color=GREYS[1], width=1, dash="dot"),
    )
    themed(figure, title, width=620, height=470)
    figure.update_xaxes(title_text="score of d1")
    figure.update_yaxes(title_text="score of d2")
    figure.update_layout(margin=dict(r=170), legend=dict(x=1.01, y=1))
    return figure


def accuracy_bins(
    edges: Sequence[float], shares: dict[str, Sequence[Sequence[float]]], title: str, x_title: str
) -> go.Figure:
    """Share of lists right in each bin: the mean of a series' models and their range."""
    names = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    figure = go.Figure()
    for number, (name, models) in enumerate(shares.items()):
        table = np.array([list(row) for row in models], dtype=float)
        shift = 0.12 * (number - (len(shares) - 1) / 2)
        colour = COLOURS[number % len(COLOURS)]
        places = [i + shift for i in range(len(names))]
        for place, column in zip(places, table.T, strict=True):
            figure.add_scatter(
                x=[place, place],
                y=[float(np.nanmin(column)), float(np.nanmax(column))],
                mode="lines",
                line=dict(color=colour, width=2),
                showlegend=False,
                hoverinfo="skip",
            )
        figure.add_scatter(
            x=places,
            y=np.nanmean(table, axis=0).tolist(),
            mode="lines+markers",
            name=name,
            line=dict(color=colour, width=1, dash="dot"),
            marker=dict(size=8, color=colour),
        )
    width = 60 + 7 * max(map(len, shares))
    themed(figure, title, width=640 + width, height=400)
    label_axis(figure.update_xaxes, names, x_title)
    figure.update_yaxes(title_text="lists right", range=[-0.02, 1.04])
    figure.update_layout(margin=dict(r=width), legend=dict(x=1.01, y=1))
    return figure


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
    )
    figure.update_traces(mode="lines")
    for number, shares in enumerate(controls):
        figure.add_scatter(
            x=list(doses),
            y=list(shares),
            mode="lines",
            name="random directions",
            showlegend=number == 0,
            line=dict(color=GREYS[1], width=1),
        )
    return figure


def attention_histograms(
    weights: dict[str, Float[np.ndarray, "list"]], title: str, n_bins: int = 40
) -> go.Figure:
    """A histogram of each attention weight over lists, with its mean."""
    edges = np.linspace(0, 1, n_bins + 1)
    figure = make_subplots(
        -(-len(weights) // 2), 2, subplot_titles=list(weights), vertical_spacing=0.2
    )
    for number, values in enumerate(weights.values()):
        row, column = number // 2 + 1, number % 2 + 1
        counts, _ = np.histogram(values, edges)
        figure.add_bar(
            x=((edges[1:] + edges[:-1]) / 2).tolist(),
            y=counts.tolist(),
            width=0.95 / n_bins,
            marker=dict(color=COLOURS[0]),
            row=row,
            col=column,
        )
        figure.add_scatter(
            x=[float(values.mean())] * 2,
            y=[0, int(counts.max())],
            mode="lines",
            line=dict(color=COLOURS[1], width=1.5, dash="dash"),
            row=row,
            col=column,
        )
        figure.update_xaxes(range=[0, 1], title_text="attention weight", row=row, col=column)
        figure.update_yaxes(title_text="lists", row=row, col=column)
    themed(figure, title, width=820, height=110 + 230 * (-(-len(weights) // 2)))
    figure.update_layout(showlegend=False)
    return figure


def outcome_bars(
    names: Sequence[str], outcomes: dict[str, Sequence[float]], title: str, x_title: str
) -> go.Figure:
    """For each name the shares of several outcomes end to end, and the rest in grey."""
    left = np.zeros(len(names))
    rest = 1 - sum(np.asarray(values, dtype=float) for values in outcomes.values())
    figure = go.Figure()
    for number, (name, values) in enumerate({**outcomes, "something else": rest}.items()):
        last = number == len(outcomes)
        figure.add_bar(
            x=[float(value) for value in values],
            y=list(range(len(names))),
            base=left.tolist(),
            orientation="h",
            width=0.7,
            name=name,
            marker=dict(color=GREYS[2] if last else COLOURS[number]),
        )
        left = left + np.asarray(values, dtype=float)
    themed(figure, title, width=1000, height=140 + 28 * len(names))
    label_axis(figure.update_yaxes, names, reverse=True)
    figure.update_xaxes(title_text=x_title, range=[0, 1])
    figure.update_layout(
        barmode="overlay",
        margin=dict(l=30 + 7 * max(map(len, names)), r=160),
        legend=dict(x=1.01, y=1),
    )
    return figure
