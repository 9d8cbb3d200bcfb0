"""The command `sweep`: trainings or runs of a notebook over a grid, and their tables printed.

python -m listcomp_utils sweep -g list_len=2,3 -g seed=0..4 -p steps 400 --name lengths
python -m listcomp_utils sweep --notebook 03 -g n_digits=5,10 -g seed=0..2
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from listcomp_utils.config import ConfigError
from listcomp_utils.notebook.claims import recorded_claims
from listcomp_utils.series import checks
from listcomp_utils.series.run import execute_notebook
from listcomp_utils.sweeps.engine import run_grid, sweep_folder
from listcomp_utils.sweeps.grid import Cell, combinations, config_cells, parse_grid
from listcomp_utils.sweeps.table import summarise_sweep, varied_settings
from listcomp_utils.sweeps.training import TrainCell

MOST_PRINTED = 60
"""Rows of a table, of more the first and last; the files hold all."""

_MAIN = r"status|broke_through|breakthrough_step|per_token|per_list|loss|claims_.*|seconds|error"
_OVER_SEEDS = r"seeds|failed|broke_through|share_broke_through|(per_token|per_list)(_sd)?"


@dataclass(frozen=True)
class RunNotebook:
    """Work for `run_grid`: executes the notebook that a cell names, with its other settings.

    The figures are how many of its claims hold, each claim's value, and where the executed notebook
    is kept in `folder`. A failed notebook is a failed cell.
    """

    folder: Path
    name: str
    """What the sweep holds: runs of other notebooks do not mix with these."""

    def __call__(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        import nbformat

        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        folder = self.folder / digest[:12]
        folder.mkdir(parents=True, exist_ok=True)
        parameters = dict(settings)
        notebook = find_notebook(parameters.pop("notebook"))
        output = folder / notebook.name
        if error := execute_notebook(notebook, output, parameters):
            raise RuntimeError(f"{error} (kept: {folder.name}/{output.name})")
        claims = recorded_claims(nbformat.read(output, as_version=4))
        checked = [claim["holds"] for claim in claims if claim["holds"] is not None]
        return {
            "claims_held": sum(checked),
            "claims_checked": len(checked),
            "kept": f"{folder.name}/{output.name}",
            **{f"claim: {claim['name']}": claim["value"] for claim in claims},
        }


def find_notebook(start: str) -> Path:
    """The one notebook whose name starts so."""
    found = [path for path in checks.select_notebooks() if path.stem.startswith(start)]
    if len(found) != 1:
        names = ", ".join(path.stem for path in found) or "none"
        raise ConfigError(f"--notebook must start one notebook's name, {start!r} starts {names}")
    return found[0]


def notebook_cells(
    grid: Mapping[str, Iterable[Any]], base: Mapping[str, Any], notebook: str
) -> list[Cell]:
    """The runs of one notebook, named by the start of its name, over a grid of its parameters.

    A cell has the whole name as `notebook`, every option of it and all fields of the config.
    """
    path = find_notebook(notebook)
    known = checks.taken_parameters(path)

    def complete(values: Mapping[str, Any]) -> Cell:
        config, options = checks.check_parameters(path, checks.with_whole_paths(values))
        own = {name: value for name, value in options.to_dict().items() if name in known}
        return json.loads(json.dumps({"notebook": path.stem, **own, **config.to_dict()}))

    return combinations(grid, base, known, complete)


def sweep(
    grid: Sequence[str],
    base: Mapping[str, Any],
    *,
    name: str | None = None,
    notebook: str | None = None,
    models: str | Path | None = None,
    **how: Any,
) -> int:
    """Run the sweep that the command line asks for; 1 when a cell of it has failed, else 0.

    `models` is a folder to keep trained models in, `how` the keywords of `run_grid`.
    """
    values = parse_grid(grid)
    name = name or "-".join(filter(None, [notebook, *values]))
    checks.check_run_name(name)
    folder = sweep_folder(name)
    if notebook is None:
        cells, work = config_cells(values, base), TrainCell(models=models)
    else:
        cells = notebook_cells(values, base, notebook)
        work = RunNotebook(folder.resolve() / "notebooks", f"notebook {cells[0]['notebook']}")
    print(f"sweep {name}: {len(cells):,} cells; records: {folder}", flush=True)
    frame = run_grid(cells, work, folder, **how)
    varied = varied_settings(frame)
    _print_columns(frame, [*varied, _MAIN])
    if notebook is None:
        _print_columns(summarise_sweep(frame), [*varied, _OVER_SEEDS])
    print(f"\ntable: {folder / 'table.csv'}")
    if failed := (frame["status"] == "failed").sum():
        print(f"{failed} of {len(frame)} cells failed; --retry-failed runs them again")
    return 1 if failed else 0


def _print_columns(table: pd.DataFrame, names: Sequence[str]) -> None:
    """Print the columns whose whole name is, or matches, one of `names`."""
    columns = table.filter(regex=f"^({'|'.join(names)})$").dropna(axis=1, how="all")
    print(f"\n{columns.to_string(index=False, na_rep='', max_rows=MOST_PRINTED)}")
