"""Grids of runs, read from text and checked cell by cell before anything runs.

grid = parse_grid(["list_len=2,3", "seed=0..4"])        # {"list_len": ["2", "3"], "seed": [0, ..]}
cells = config_cells(grid, {"preset": "study", "steps": 2000})
cells = notebook_cells(grid, {"n_seeds": 2}, "03")      # runs of a notebook instead of trainings
"""

from __future__ import annotations

import ast
import functools
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from listcomp_utils.config import Config, ConfigError, check_names, coerce, field_types
from listcomp_utils.notebook.parameters import OPTION_TYPES, check_lowest, example_list, make_config
from listcomp_utils.series.run import declared_parameters, select_notebooks

MOST_CELLS = 10_000
"""Cells of one grid at most: more are a slip of the keyboard."""

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_PLAIN_TYPES = {"int": int, "float": float, "bool": bool, "str": str}


@dataclass(frozen=True)
class Cell:
    """One run of a grid: a training, or a notebook with parameters."""

    notebook: str | None
    """Name of the notebook, as `03_ablation`; None for a training."""
    settings: Mapping[str, Any]
    """Every field of the Config, or every parameter of the notebook, as plain JSON values."""
    label: str = field(default="", compare=False)
    """What sets it apart in its grid, as `list_len=2, seed=0`."""

    @functools.cached_property
    def key(self) -> str:
        """The cell's identity: all its settings as canonical JSON, wherever it stands in a grid."""
        return json.dumps([self.notebook, dict(self.settings)], sort_keys=True)

    @property
    def config(self) -> Config:
        """The config of a training."""
        return Config.from_dict(dict(self.settings))

    @property
    def group(self) -> str:
        """All settings but the seed as canonical JSON: equal for cells that can train together."""
        rest = {name: value for name, value in self.settings.items() if name != "seed"}
        return json.dumps([self.notebook, rest], sort_keys=True)


def parse_grid(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Names with their values from texts such as "list_len=2,3", "seed=0..4" or "seed=0..2,7".

    `a..b` is a range of whole numbers with both ends. Commas inside square brackets do not part
    values, so that "sample_list=[8,3],[3,8]" has two.

    Raises:
        ConfigError: for a text without "=", a missing value, an empty range, or a name given twice.
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise ConfigError(f"-g must be name=values such as seed=0..4 or lr=1e-3,1e-2: {text!r}")
        if name in grid:
            raise ConfigError(f"{name} is in the grid twice: give all its values in one -g")
        grid[name] = [
            value
            for part in re.split(r",(?![^\[]*\])", values)
            for value in _parse_values(name, part.strip())
        ]
    return grid


def config_cells(
    grid: Mapping[str, Iterable[Any]], base: Mapping[str, Any] | Config | None = None
) -> list[Cell]:
    """The trainings of a grid: every combination of its values over the fields of `base`.

    `base` is a config, or `preset` and fields as text or values. Combinations that come to the
    same config are one cell.

    Raises:
        ConfigError: naming the field and its value, or the cell whose combination is not allowed.
    """
    kinds = {"preset": str, **field_types()}
    if isinstance(base, Config):
        del kinds["preset"]
        values = {name: value for name, value in base.to_dict().items() if name not in grid}
    else:
        values = dict(base or {})
    check_names([*grid, *values], list(kinds), "parameter")
    axes = _axes(grid, values, kinds)
    return _distinct(
        Cell(None, _checked(make_config, {**values, **point}, label).to_dict(), label)
        for point, label in _points(axes)
    )


def notebook_cells(
    grid: Mapping[str, Iterable[Any]], base: Mapping[str, Any], notebook: str
) -> list[Cell]:
    """The runs of one notebook, named by the start of its name, over a grid of its parameters.

    Raises:
        ConfigError: as `config_cells`, and when `notebook` starts no name or several.
    """
    found = select_notebooks([notebook])
    if len(found) != 1:
        names = ", ".join(path.stem for path in found)
        raise ConfigError(f"--notebook must start one notebook's name, {notebook!r} starts {names}")
    declared = declared_parameters(found[0])
    check_names([*grid, *base], list(declared), "parameter")
    kinds = {
        name: field_types().get(name)
        or OPTION_TYPES.get(name)
        or _PLAIN_TYPES.get(details["inferred_type_name"])
        for name, details in declared.items()
    }
    defaults = {name: ast.literal_eval(d["default"]) for name, d in declared.items()}
    axes = _axes(grid, base, kinds)
    complete = functools.partial(_notebook_settings, kinds)
    return _distinct(
        Cell(found[0].stem, _checked(complete, {**defaults, **base, **point}, label), label)
        for point, label in _points(axes)
    )


def _notebook_settings(kinds: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a notebook, checked: the config's fields with the values they come to."""
    config = make_config(values)
    own = {
        name: value if kinds[name] is None else coerce(name, value, kinds[name] | None)
        for name, value in values.items()
        if name not in field_types()
    }
    check_lowest({name: value for name, value in own.items() if value is not None})
    if own.get("sample_list") is not None:
        example_list(config, own["sample_list"])
    fields = {name: value for name, value in config.to_dict().items() if name in values}
    return json.loads(json.dumps({**own, **fields}))


def _parse_values(name: str, text: str) -> Sequence[Any]:
    if not text:
        raise ConfigError(f"{name} has an empty value in the grid: write {name}=1,2 or {name}=1..4")
    ends = _RANGE.fullmatch(text)
    if ends is None:
        return [text]
    first, last = int(ends[1]), int(ends[2])
    if first > last:
        raise ConfigError(f"{name}={text} is an empty range: write the lower end first")
    if last - first >= MOST_CELLS:
        raise ConfigError(
            f"{name}={text} has {last - first + 1:,} values; "
            f"a grid has at most {MOST_CELLS:,} cells"
        )
    return range(first, last + 1)


def _axes(
    grid: Mapping[str, Iterable[Any]], base: Mapping[str, Any], kinds: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """The grid's values, each read as its parameter's type, without repeats."""
    if not grid:
        raise ConfigError("the grid is empty: give at least one -g name=values")
    axes = {}
    for name, values in grid.items():
        if name in base:
            raise ConfigError(
                f"{name} is in the grid and fixed to {base[name]!r}: give one of them"
            )
        if isinstance(values, str):
            raise ConfigError(f"{name} must be several values such as [1, 2], got {values!r}")
        kind = kinds[name]
        read = [value if kind is None else coerce(name, value, kind) for value in values]
        if not read:
            raise ConfigError(f"{name} has no values in the grid")
        axes[name] = list({repr(value): value for value in read}.values())
    size = math.prod(len(values) for values in axes.values())
    if size > MOST_CELLS:
        shape = " x ".join(f"{len(values):,} {name}" for name, values in axes.items())
        raise ConfigError(f"the grid has {size:,} cells ({shape}), at most {MOST_CELLS:,} allowed")
    return axes


def _points(axes: Mapping[str, Sequence[Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        yield point, ", ".join(f"{name}={value}" for name, value in point.items())


def _checked(make: Any, values: Mapping[str, Any], label: str) -> Any:
    try:
        return make(values)
    except ConfigError as error:
        raise ConfigError(f"{error} (in the cell {label})") from None


def _distinct(cells: Iterable[Cell]) -> list[Cell]:
    return list({cell.key: cell for cell in cells}.values())
