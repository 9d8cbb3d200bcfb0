"""Grids of runs, read from text and checked cell by cell before anything runs.

grid = parse_grid(["list_len=2,3", "seed=0..4"])        # {"list_len": ["2", "3"], "seed": [0, ..]}
cells = config_cells(grid, {"preset": "study", "steps": 2000})   # each with all fields of a Config
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from listcomp_utils.config import Config, ConfigError, check_names
from listcomp_utils.notebook.parameters import CONFIG_NAMES, make_config

Cell = dict[str, Any]
"""Everything that decides the result of one cell, as plain JSON values."""

MOST_CELLS = 10_000


def parse_grid(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Names with their values from texts such as "list_len=2,3", "seed=0..4" or "seed=0..2,7".

    `a..b` is a range of whole numbers with both ends; "sample_list=[8,3],[3,8]" has two values.
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise ConfigError(f"-g must be name=values such as seed=0..4 or lr=1e-3,1e-2: {text!r}")
        if name in grid:
            raise ConfigError(f"{name} is in the grid twice: give all its values in one -g")
        parts = re.split(r",(?![^\[]*\])", values)  # at commas outside square brackets
        grid[name] = [value for part in parts for value in _parse_values(name, part.strip())]
    return grid


def config_cells(
    grid: Mapping[str, Iterable[Any]], base: Mapping[str, Any] | Config | None = None
) -> list[Cell]:
    """The trainings of a grid: all fields of a `Config` for every combination of its values.

    `base` is a config, or `preset` and fields as text or values.
    """
    known = list(CONFIG_NAMES)
    if not isinstance(base, Config | Mapping | None):
        raise ConfigError(f"base must be a Config, or a dict of preset and fields, got {base!r}")
    if isinstance(base, Config):
        known.remove("preset")
        base = {name: value for name, value in base.to_dict().items() if name not in grid}
    return combinations(grid, base or {}, known, lambda values: make_config(values).to_dict())


def trainings(*parts: Mapping[str, Any]) -> list[Cell]:
    """The cells of several grids, each `preset` and fields; lists and ranges are combined."""
    cells = []
    for part in parts:
        grid = {name: values for name, values in part.items() if isinstance(values, list | range)}
        cells += config_cells(grid, {k: v for k, v in part.items() if k not in grid})
    return cells


def combinations(
    grid: Mapping[str, Iterable[Any]],
    base: Mapping[str, Any],
    known: Iterable[str],
    complete: Callable[[dict[str, Any]], Cell],
) -> list[Cell]:
    """Every combination of a grid's values over `base`, each checked and completed; in name order.

    Combinations that come to the same settings are one cell.
    """
    check_names([*grid, *base], known, "parameter")
    if not grid:
        raise ConfigError("the grid is empty: give at least one -g name=values")
    for name, values in grid.items():
        if name in base:
            raise ConfigError(
                f"{name} is in the grid and fixed to {base[name]!r}: give one of them"
            )
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise ConfigError(f"{name} must be several values such as [1, 2], got {values!r}")
    axes = {name: list(grid[name]) for name in sorted(grid)}
    if empty := [name for name, values in axes.items() if not values]:
        raise ConfigError(f"{empty[0]} has no values in the grid")
    shape = " x ".join(f"{len(axes[name]):,} {name}" for name in grid)
    _check_size(math.prod(map(len, axes.values())), shape)
    cells: dict[str, Cell] = {}
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        try:
            settings = complete({**base, **point})
        except ConfigError as error:
            label = ", ".join(f"{name}={value}" for name, value in point.items())
            raise ConfigError(f"{error} (in the cell {label})") from None
        cells[json.dumps(settings, sort_keys=True)] = settings
    return list(cells.values())


def _parse_values(name: str, text: str) -> Sequence[Any]:
    if not text:
        raise ConfigError(f"{name} has an empty value in the grid: write {name}=1,2 or {name}=1..4")
    ends = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", text)
    if ends is None:
        return [text]
    first, last = int(ends[1]), int(ends[2])
    if first > last:
        raise ConfigError(f"{name}={text} is an empty range: write the lower end first")
    _check_size(last - first + 1, f"{name}={text}")
    return range(first, last + 1)


def _check_size(size: int, shape: str) -> None:
    if size > MOST_CELLS:
        raise ConfigError(f"the grid has {size:,} cells ({shape}), at most {MOST_CELLS:,} allowed")
