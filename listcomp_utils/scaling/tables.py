"""How length, digits, width, depth, heads and positions decide whether a list can be copied.

table = make_table("depth", jobs=2)            # trains what is not recorded yet: minutes to hours
table = read_table("depth")                    # as it ships: artifacts/scaling_depth.json
summary(table)[0]["left"], summary(table)[0]["per_token"]

Each grid is data: settings that vary, settings that all its cells share, five seeds. It runs as a
sweep (see `sweep`), so that an interrupted one resumes, and ships as a small table.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.files import check_writable, shipped_dir, write_atomically
from listcomp_utils.scaling.averaging import measure_recipe, train_averaged
from listcomp_utils.scaling.grids import ENOUGH, FLAGS, check_grid, grid_cells
from listcomp_utils.scaling.order_by_head import FIGURES as ORDER_FIGURES
from listcomp_utils.scaling.order_by_head import measure_order
from listcomp_utils.sweeps.grid import Cell
from listcomp_utils.sweeps.records import RECORDS, read_records
from listcomp_utils.sweeps.run import Progress, run_cells, sweep_folder


@dataclass(frozen=True)
class Table:
    """What came of a grid: rows of varied settings and figures."""

    name: str
    question: str
    made: Mapping[str, Any]
    """When (last run), with which versions and in how many seconds, one after another."""
    shared: Mapping[str, Any]
    """Settings that all rows have."""
    varied: tuple[str, ...]
    """Settings that differ between rows, the seed left out."""
    rows: tuple[Mapping[str, Any], ...] = field(repr=False)


_FIGURES = (
    "broke_through",
    "breakthrough_step",
    "scored_on",
    "per_token",
    "per_list",
    "train_loss",
    "train_per_token",
    "train_per_list",
    "seconds",
    *ORDER_FIGURES,
    "averaged_per_token",
    "averaged_per_list",
)
_EXTRA: dict[str, dict[str, Any]] = {
    "": {},
    "order": {"measure": measure_order},
    "recipe": {"measure": measure_recipe, "train": train_averaged},
}


def make_table(
    name: str, jobs: int = 1, folder: str | Path | None = None, progress: Progress = "auto"
) -> Table:
    """Train what is not recorded yet of a grid, and give its table.

    Raises:
        ConfigError: for an unknown name, and as `sweep.run_cells`.
        RuntimeError: when a cell failed; it runs again the next time.
    """
    grid = check_grid(name)
    cells = grid_cells(grid)
    folder = Path(folder or sweep_folder(f"scaling_{name}"))
    rows = run_cells(
        cells,
        folder,
        jobs=jobs,
        stack_seeds=True,
        retry_failed=True,
        **_EXTRA[grid.extra],
        progress=progress,
    )
    failed = [row for row in rows if row["status"] != "done"]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(rows)} cells failed: {failed[0]['error']}")
    last = max(read_records(folder / RECORDS), key=lambda record: record["finished"])
    made = {
        "finished": last["finished"],
        "seconds": round(sum(row["seconds"] for row in rows)),
        "versions": last["made_with"],
    }
    return table_of(name, grid.question, cells, rows, made)


def table_of(
    name: str,
    question: str,
    cells: Sequence[Cell],
    rows: Sequence[Mapping[str, Any]],
    made: Mapping[str, Any],
) -> Table:
    """The table of finished cells: what varies between them and their figures, rounded."""
    settings = list(cells[0].settings)
    varied = [
        field for field in settings if len({json.dumps(cell.settings[field]) for cell in cells}) > 1
    ]
    names = [*varied, *(figure for figure in rows[0] if figure in _FIGURES)]
    return Table(
        name=name,
        question=question,
        made=dict(made),
        shared={k: v for k, v in cells[0].settings.items() if k not in varied},
        varied=tuple(one for one in varied if one != "seed"),
        rows=tuple({one: _rounded(_judged(row).get(one)) for one in names} for row in rows),
    )


def write_table(table: Table, folder: str | Path) -> Path:
    """Save as FOLDER/scaling_NAME.json; raises ConfigError for a folder that cannot be written."""
    path = Path(folder) / file_name(table.name)
    check_writable(path.parent)
    head = {k: v for k, v in asdict(table).items() if k != "rows"}
    lines = ",\n  ".join(json.dumps(row) for row in table.rows)
    content = json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n  {lines}\n ]\n}}\n'
    write_atomically(path, content.encode())
    return path


def file_name(name: str) -> str:
    """The file of a grid's table."""
    return f"scaling_{name}.json"


def read_table(name: str, folder: str | Path | None = None) -> Table | None:
    """The table in a folder or as it ships (`make scaling`); None when there is none."""
    path = (shipped_dir() if folder is None else Path(folder)) / file_name(name)
    if not path.is_file():
        return None
    read = json.loads(path.read_text())
    return Table(**{**read, "varied": tuple(read["varied"]), "rows": tuple(read["rows"])})


def summary(table: Table) -> list[dict[str, Any]]:
    """A row for each combination of settings: over its seeds, how many left the plateau and where.

    `left` of `seeds` broke through (see `history.breakthrough_step`). `per_token` and the other
    accuracies are means over those that did, with `_sd`, `_min` and `_max`, or None; `mean_...` and
    `most_...` are over all seeds. `copying` counts the seeds with at least `ENOUGH` of the lists
    right.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in table.rows:
        key = json.dumps({name: row[name] for name in table.varied})
        groups.setdefault(key, []).append(row)
    return [
        {**json.loads(key), **_over_seeds(rows, set(table.varied))} for key, rows in groups.items()
    ]


def _judged(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row with the accuracies on the lists its recipe is judged by, where it has them."""
    if "judged_on" not in row:
        return row
    kept = {name: row[f"kept_{name}"] for name in ("per_token", "per_list")}
    return {**row, **kept, "scored_on": row["judged_on"]}


def _over_seeds(rows: Sequence[Mapping[str, Any]], settings: set[str]) -> dict[str, Any]:
    through = [row for row in rows if row["broke_through"]]
    found: dict[str, Any] = {
        "seeds": len(rows),
        "left": len(through),
        "copying": sum(row["per_list"] >= ENOUGH for row in rows),
    }
    for name, value in rows[0].items():
        if name in {"seed", "broke_through", *settings} or isinstance(value, str):
            continue
        kept = [row[name] for row in through if row[name] is not None]
        every = [row[name] for row in rows if row[name] is not None]
        found[name] = statistics.fmean(kept) if kept else None
        found[f"{name}_sd"] = statistics.stdev(kept) if len(kept) > 1 else None
        found[f"{name}_min"], found[f"{name}_max"] = (
            (min(kept), max(kept)) if kept else (None, None)
        )
        found[f"mean_{name}"] = statistics.fmean(every) if every else None
        found[f"most_{name}"] = max(every) if every else None
    return found


def flag_letters(row: Mapping[str, Any]) -> str:
    """The four flags of a row as the study writes them, as FFTT."""
    return "".join("T" if row[name] else "F" for name in FLAGS)


def least_depth(rows: Sequence[Mapping[str, Any]], share: float = 0.5) -> dict[int, int | None]:
    """By list length, the fewest layers with which more than this share of the seeds copy.

    None where no number of layers does; `share` 0 asks for one seed.
    """
    found: dict[int, int | None] = {}
    for row in sorted(rows, key=lambda row: (row["list_len"], row["n_layers"])):
        known = found.setdefault(row["list_len"], None)
        if known is None and row["copying"] > share * row["seeds"]:
            found[row["list_len"]] = row["n_layers"]
    return found


def recipe_words(table: Table) -> str:
    """How the rows were trained, in a line."""
    shared = {**Config.preset("study").to_dict(), **table.shared}
    parts = [f"{shared['steps']:,} steps" if "steps" not in table.varied else ""]
    parts += [f"batch {shared['batch_size']}", f"lr {shared['lr']:g}"]
    seeds = len({row["seed"] for row in table.rows})
    made, minutes = table.made, table.made["seconds"] / 60
    return (
        f"{', '.join(filter(None, parts))}, {seeds} seeds a cell, {len(table.rows)} runs in "
        f"{minutes:.0f} min one after another, {made['finished'][:10]}, "
        f"torch {made['versions']['torch']}"
    )


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def shipped(name: str) -> Table:
    """The table that ships; raises ConfigError, saying how to make it, when it is not there."""
    table = read_table(name)
    if table is None:
        raise ConfigError(f"{file_name(name)} is not there: make it with `make scaling`")
    return table


@dataclass(frozen=True)
class Nearness:
    """How near some means are to means of runs that each ended at one of two accuracies."""

    levels: tuple[float, ...]
    """The means that 0, 1, ... runs at the high one would give."""
    distance: float
    """Mean distance of the given means from the nearest level."""
    by_chance: float
    """The same for numbers drawn evenly between the two, mean over draws."""
    p_value: float
    """Share of draws that are at least as near."""


def nearness_to_counts(
    means: Sequence[float], low: float, high: float, runs: int, draws: int = 10_000
) -> Nearness:
    """Hold printed means of a few runs against the only values they could have, and against chance.

    Each draw has as many numbers as there are means, evenly from `low` to `high` (seed 0).
    """
    levels = np.linspace(low, high, runs + 1)

    def distance(values: np.ndarray) -> np.ndarray:
        return np.abs(values[..., None] - levels).min(-1).mean(-1)

    own = float(distance(np.asarray(means)))
    drawn = distance(np.random.default_rng(0).uniform(low, high, (draws, len(means))))
    as_near = float((drawn <= own).mean())
    return Nearness(tuple(levels.tolist()), own, float(drawn.mean()), as_near)
