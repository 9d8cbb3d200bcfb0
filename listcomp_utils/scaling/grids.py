"""The grids of 07_scaling as data, and what the study printed beside them.

    cells = grid_cells(GRIDS["depth"])             # every training of a grid, seed by seed

Each grid is over the study preset, its training settings included, but for what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from listcomp_utils.config import check_names
from listcomp_utils.sweeps.grid import Cell, config_cells

FLAGS = ("layer_norm", "bias", "learn_w_v", "learn_w_o")
"""The order of the letters in the study's Table 4, as FFTT: T is present or learned."""

ENOUGH = 0.95
"""Share of lists right that counts as copying."""


@dataclass(frozen=True)
class Grid:
    """One question, and the trainings that answer it."""

    question: str
    parts: tuple[tuple[Mapping[str, Sequence[Any]], Mapping[str, Any]], ...]
    """Values to combine with each other and with the seeds, over what the part's cells share
    beside the study preset."""
    seeds: Sequence[int] = range(5)
    extra: Literal["", "order", "recipe"] = ""
    """What is measured beside the usual figures: the order mechanism (see `order_measures`), or
    accuracy on the lists that a recipe is judged by (see `recipes`)."""


# A sixth of the preset's steps: break-through comes by step 1,250 (`make plateau`).
_SHORT = dict(steps=2_500, eval_every=100)
_DEPTH = dict(n_digits=30, batch_size=256, steps=1_500, warmup_steps=500, eval_every=100)
_BOTH = [False, True]

GRIDS: dict[str, Grid] = {
    "table4": Grid(
        "Which parts of the architecture decide whether training breaks through?",
        (
            (
                dict(bias=_BOTH, learn_w_v=_BOTH, learn_w_o=_BOTH),
                dict(layer_norm=False, **_SHORT),
            ),
            # LayerNorm takes the embeddings' size away again; with the library's own they learn
            # faster (seen on other seeds).
            (
                dict(bias=_BOTH, learn_w_v=_BOTH, learn_w_o=_BOTH),
                dict(layer_norm=True, embed_scale=1.0, **_SHORT),
            ),
            (dict(d_model=[8, 32, 128]), _SHORT),
        ),
    ),
    "depth": Grid(
        "How many layers does a list of a given length need?",
        (
            (dict(n_layers=[2, 3, 4]), dict(list_len=2, **_DEPTH)),
            (dict(n_layers=[2, 3, 4]), dict(list_len=3, **_DEPTH)),
            (dict(n_layers=[2, 3, 4, 5]), dict(list_len=4, **_DEPTH)),
        ),
    ),
    "digits": Grid(
        "How wide must the residual stream be for how many digits?",
        (
            (
                dict(n_digits=[10, 25, 50, 100, 200], d_model=[8, 16, 32, 64]),
                dict(steps=2_000, eval_every=100),
            ),
        ),
    ),
    "heads": Grid(
        "One head against several: does the order mechanism survive?",
        ((dict(n_heads=[1, 2, 4]), _SHORT),),
        extra="order",
    ),
    "positions": Grid(
        "Learned, rotary or no positions: does the order mechanism survive?",
        (
            (
                dict(positions=["learned", "rotary", "none"], n_layers=[2, 3]),
                dict(n_digits=50, batch_size=256, steps=1_500, warmup_steps=500, eval_every=100),
            ),
        ),
        extra="order",
    ),
    "fraction": Grid(
        "What bounds the accuracy: the architecture, or the lists that were trained on?",
        ((dict(train_fraction=[0.5, 0.8, 0.95, 1.0]), dict(eval_every=500)),),
    ),
    "tuning": Grid(
        "Which recipe gets furthest under the study's constraints?",
        tuple(
            ({name: values}, dict(train_fraction=0.7))
            for name, values in (
                ("embed_scale", [10.0, 15.0, 20.0]),
                ("batch_size", [256]),
                ("weight_decay", [0.01]),
            )
        ),
        seeds=(100, 101),
        extra="recipe",
    ),
    # Nothing in "tuning" is better than the preset by more than its seeds differ.
    "best": Grid(
        "How far does the chosen recipe get on the held-out lists?",
        (({}, {}),),
        seeds=range(10),
        extra="recipe",
    ),
}
"""By name."""

# Printed in Farrell et al., "Order by Scale" (2025), Table 4: mean validation accuracy per token of
# three runs, two layers, d_model 64, by FLAGS; and FFFF by d_model. Its own CSV has .5995 for FFFF.
PRINTED_FLAGS = {
    "FFTT": 0.6207,
    "FTTT": 0.4983,
    "TFTT": 0.7709,
    "TTTT": 0.7744,
    "FFTF": 0.7513,
    "FTTF": 0.7552,
    "TFTF": 0.9089,
    "TTTF": 0.9202,
    "FFFT": 0.7481,
    "FTFT": 0.7560,
    "TFFT": 0.9162,
    "TTFT": 0.7636,
    "FFFF": 0.9180,
    "FTFF": 0.7487,
    "TFFF": 0.9215,
    "TTFF": 0.8935,
}
PRINTED_WIDTHS = {128: 0.9192, 64: 0.9180, 32: 0.6074, 8: 0.3148}
PRINTED_RUNS = 3
"""Runs behind each printed mean."""


def check_grid(name: str) -> Grid:
    """The grid of a name; raises ConfigError for another name."""
    check_names([name], list(GRIDS), "grid")
    return GRIDS[name]


def grid_cells(grid: Grid, **changes: Any) -> list[Cell]:
    """The trainings of a grid, with some settings changed in all of them."""
    cells = []
    for values, shared in grid.parts:
        base = {"preset": "study", "device": "cpu", **shared, **changes}
        cells += config_cells({**values, "seed": grid.seeds}, base)
    return cells
