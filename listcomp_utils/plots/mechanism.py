"""The picture of the whole mechanism, drawn for a list and its reverse.

draw_mechanism(by_hand(weights, torch.tensor([[60, 44], [44, 60]])), axis.scores)
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from listcomp_utils.plots.theme import GREYS, RIGHT, WRONG

_SIZE = 13
_STEPS = (
    "1. Every digit has a score",
    "2. SEP takes more of the higher one",
    "3. o1 reads which share is larger,\no2 goes by how much it looks at SEP",
)


def draw_mechanism(steps: pd.DataFrame, scores: Sequence[float]) -> Figure:
    """Three rows a list: its digits on the line of scores, SEP's shares, what the outputs read.

    `steps` has the columns of `circuit.tables.by_hand` and two rows, a list of two digits and its
    reverse; `scores` are those of all digits. The digit that comes first in the first list
    is blue, the other orange, in both.
    """
    figure = Figure(figsize=(8.4, 6), layout="constrained")
    rows = figure.subplots(3, 2, height_ratios=(1, 0.9, 1.25), sharex="row")
    digits = steps.iloc[0, 0].split(", ")
    colours = dict(zip(digits, (RIGHT, WRONG), strict=True))
    logits = steps.iloc[:, 5:9].to_numpy()
    reach = 1.5 * abs(logits[:, ::2] - logits[:, 1::2]).max()
    for column, step in zip(rows.T, steps.itertuples(index=False, name=None), strict=True):
        words, s_a, s_b, alpha_1, beta, o1_a, o1_b, o2_a, o2_b, written = step
        pair = words.split(", ")
        line, shares, reads = column
        line.set_title(f"list {words}", fontsize=17, fontweight="bold", pad=6)
        _line(line, pair, (s_a, s_b), scores, colours)
        _shares(shares, pair, alpha_1, colours)
        sign = 1 if pair == digits else -1
        margins = (sign * (o1_a - o1_b), sign * (o2_a - o2_b))
        _reads(reads, margins, written.split(", "), beta, reach, colours)
        for axes, told in zip(column, _STEPS, strict=True):
            axes.spines[:].set_visible(False)
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(told, fontsize=_SIZE)
    return figure


def _line(
    axes: Axes,
    pair: Sequence[str],
    at: Sequence[float],
    scores: Sequence[float],
    colours: dict[str, str],
) -> None:
    axes.eventplot(scores, lineoffsets=0, linelengths=0.5, colors=GREYS[2])
    for digit, score, place in zip(pair, at, ("first", "second"), strict=True):
        axes.plot(score, 0, "o", markersize=13, color=colours[digit])
        side, beside = (14, "left") if score == max(at) else (-14, "right")
        look = dict(fontsize=_SIZE, color=colours[digit], fontweight="bold")
        offset = dict(xytext=(side, 16), textcoords="offset points", ha=beside)
        axes.annotate(f"{digit} ({place})", (score, 0), **offset, **look)
    axes.set(ylim=(-0.9, 1.8))


def _shares(axes: Axes, pair: Sequence[str], alpha_1: float, colours: dict[str, str]) -> None:
    shares = (alpha_1, 1 - alpha_1)
    bars = axes.barh(0, shares, left=(0, alpha_1), height=0.8, color=[colours[d] for d in pair])
    words = [f"{digit}: {share:.3f}" for digit, share in zip(pair, shares, strict=True)]
    axes.bar_label(bars, words, label_type="center", color="white", fontsize=15)
    axes.axvline(0.5, color=GREYS[0], linestyle="--", linewidth=1.5)
    axes.set(xlim=(0, 1), ylim=(-0.6, 0.6))


def _reads(
    axes: Axes,
    margins: Sequence[float],
    written: Sequence[str],
    beta: float,
    reach: float,
    colours: dict[str, str],
) -> None:
    """Bars to the left are in favour of the first list's first digit."""
    names = ("o1", f"o2, {beta:.2f} of it from SEP")
    for row, (name, margin, digit) in enumerate(zip(names, margins, written, strict=True)):
        colour = colours.get(digit, GREYS[1])
        axes.barh(-row, -margin, color=colour, height=0.5)
        gap, inner, outer = (1, "right", "left") if margin < 0 else (-1, "left", "right")
        gap *= reach / 30
        look = dict(color=colour, fontweight="bold", fontsize=15)
        axes.text(gap - margin, -row, digit, ha=outer, va="center", **look)
        axes.text(-gap, -row, name, ha=inner, va="center", fontsize=_SIZE)
    axes.axvline(0, color=GREYS[0], linewidth=1.5)
    axes.set(xlim=(-reach, reach), ylim=(-1.6, 0.6))
