"""One look for all figures: the plotly template "listcomp", its colours and colour scales.

    themed(px.line(frame, x="step", y="loss", template="listcomp"), "The loss falls to its floor")

The template lies inside each figure, so its saved JSON looks alike where this package is missing.
Figures have no width unless they are small: they fill the page, and a picture is 700 px wide.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio

COLOURS = ("#1b4f8f", "#d2600f", "#12966f", "#b0509f", "#444444", "#3d9bd6", "#6b4a00")
"""In this order the first differ most, to the colour-blind too; all 3:1 or more on white."""
GREYS = ("#222222", "#767676", "#bbbbbb")
RIGHT, WRONG = COLOURS[:2]
"""Blue for what is right or positive, orange for what is wrong or negative."""
TITLE_LETTERS = 55
"""A title's line; as many letters are about 410 px, what a card of a page of 500 px has."""

_AXIS = {**pio.templates["simple_white"].layout.xaxis.to_plotly_json(), "ticklabelstandoff": 2}
pio.templates["listcomp"] = go.layout.Template(
    layout=dict(
        colorway=COLOURS,
        font=dict(family="Arial, sans-serif", size=13, color="#222222"),
        title=dict(x=0.01, xanchor="left", y=1, yref="paper", yanchor="bottom", font_size=16),
        margin=dict(l=50, r=25, t=70, b=40),
        plot_bgcolor="white",
        paper_bgcolor="white",
        xaxis=_AXIS,
        yaxis=_AXIS,
        legend=dict(
            orientation="h", yref="container", y=0, yanchor="bottom", xref="container", x=0.01
        ),
        modebar=dict(orientation="v"),  # across it would lie over the title
        coloraxis=dict(colorbar=dict(thickness=14, outlinewidth=0, title=dict(side="right"))),
    )
)


def themed(
    figure: go.Figure, title: str, height: int = 400, name_lines: int = 1, **layout: Any
) -> go.Figure:
    """Give the figure the common look and its title, which states what the figure shows.

    The title is broken into lines that fit a page of 500 px; `name_lines` are those of the names
    above panels; `layout` goes to `update_layout`.
    """
    title = wrapped(title, TITLE_LETTERS)
    # plotly grows a title downwards from its first line.
    names, more_lines = 16 * (name_lines - 1), 21 * title.count("<br>")
    return figure.update_layout(
        template="listcomp",
        title=dict(text=title, pad_b=32 + names + more_lines),
        margin_t=62 + names + more_lines,
        height=height + names + more_lines,
        **layout,
    )


def wrapped(text: str, letters: int) -> str:
    """The text in the fewest lines of at most so many letters, as even as words allow.

    A number stays with the word before it, a sign with both sides.
    """
    joined = re.sub(r" (?=[-=<+]|\(?\d)|(?<=[-=<+]) ", "\N{NO-BREAK SPACE}", text)
    options = dict(break_long_words=False, break_on_hyphens=False)
    wraps = [textwrap.wrap(joined, width, **options) for width in range(1, letters + 1)]
    lines = next(some for some in wraps if len(some) <= len(wraps[-1]))
    return "<br>".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def label_axis(update: Callable, labels: Sequence[str], reverse: bool = False) -> None:
    """Label whole-number coordinates: `update` is a figure's `update_xaxes` or `update_yaxes`.

    Labels need not differ, as plotly's categories must; `reverse` puts the first on top.
    """
    size = len(labels)
    update(
        tickvals=list(range(size)),
        ticktext=list(labels),
        range=[size - 0.5, -0.5] if reverse else [-0.5, size - 0.5],
        autorange=None,
        showline=False,
        ticks="",
    )
