"""The picture of the whole mechanism, drawn for a list and its reverse.

draw_mechanism(by_hand(config, weights, torch.tensor([[60, 44], [44, 60]])), axis.scores)
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from listcomp_utils.plots.theme import GREYS, RIGHT, WRONG

_SIZE = 13


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
    for column, step in enumerate(steps.itertuples(index=False, name=None)):
        words, s_a, s_b, alpha_1, beta, o1_a, o1_b, o2_a, o2_b, written = step
        pair = words.split(", ")
        line, shares, reads = rows[:, column]
        line.set_title(f"list {words}", fontsize=17, fontweight="bold", pad=6)
        _line(line, pair, (s_a, s_b), scores, colours)
        _shares(shares, pair, alpha_1, colours)
        sign = 1 if pair == digits else -1
        margins = (sign * (o1_a - o1_b), sign * (o2_a - o2_b))
        _reads(reads, digits, margins, written.split(", "), beta, reach, colours)
        for axes in (line, shares, reads):
            axes.spines[:].set_visible(False)
            axes.set_yticks([])
            axes.tick_params(labelsize=_SIZE)
    return figure


def _line(
    axes: Axes,
    pair: Sequence[str],
    at: Sequence[float],
    scores: Sequence[float],
    colours: dict[str, str],
) -> None:
    axes.eventplot(scores, lineoffsets=0, linelengths=0.5, colors=GREYS[2])
    for place, (digit, score) in enumerate(zip(pair, at, strict=True)):
        axes.plot(score, 0, "o", markersize=13, color=colours[digit])
        higher = score == max(at)
        axes.annotate(
            f"{digit} ({'first' if place == 0 else 'second'})",
            (score, 0),
            (14 if higher else -14, 16),
            textcoords="offset points",
            ha="left" if higher else "right",
            fontsize=_SIZE,
            color=colours[digit],
            fontweight="bold",
        )
    axes.set(ylim=(-0.9, 1.8), xticks=[])
    axes.set_xlabel("1. Every digit has a score", fontsize=_SIZE)


def _shares(axes: Axes, pair: Sequence[str], alpha_1: float, colours: dict[str, str]) -> None:
    left = 0.0
    for digit, share in zip(pair, (alpha_1, 1 - alpha_1), strict=True):
        axes.barh(0, share, left=left, color=colours[digit], height=0.8)
        words = f"{digit}: {share:.3f}"
        axes.text(left + share / 2, 0, words, ha="center", va="center", color="white", fontsize=15)
        left += share
    axes.axvline(0.5, color=GREYS[0], linestyle="--", linewidth=1.5)
    axes.set(xlim=(0, 1), ylim=(-0.6, 0.6), xticks=[])
    axes.set_xlabel("2. SEP takes more of the higher one", fontsize=_SIZE)


def _reads(
    axes: Axes,
    digits: Sequence[str],
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
        end, side = -margin, 1 if margin < 0 else -1
        words = dict(ha="left" if side > 0 else "right", va="center", fontsize=15)
        axes.text(end + side * reach / 30, -row, digit, color=colour, fontweight="bold", **words)
        axes.text(
            -side * reach / 30,
            -row,
            name,
            **{**words, "fontsize": _SIZE, "ha": "right" if side > 0 else "left"},
        )
    axes.axvline(0, color=GREYS[0], linewidth=1.5)
    axes.set(xlim=(-reach, reach), ylim=(-1.6, 0.6), xticks=[])
    axes.set_xlabel(
        "3. o1 reads which share is larger,\no2 turns the reading round", fontsize=_SIZE
    )
