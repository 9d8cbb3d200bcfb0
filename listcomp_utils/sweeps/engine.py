"""The engine: runs what is not recorded yet of a grid, records every finished cell, gives a frame.

frame = run_grid([{"seed": 0}, {"seed": 1}], work, sweep_folder("mine"), jobs=2)
read_cells(sweep_folder("mine"))                        # every cell recorded there, any time
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from listcomp_utils.config import ConfigError, coerce
from listcomp_utils.files import runs_dir
from listcomp_utils.sweeps.records import Record, identity, open_records, read_records
from listcomp_utils.sweeps.table import varied_settings, write_tables
from listcomp_utils.sweeps.workers import OUTCOME, Backend, Cells, Outcome, Work, outcomes
from listcomp_utils.training.progress import Progress, shown_progress


def sweep_folder(name: str) -> Path:
    """The folder of a sweep by its name: artifacts/runs/sweeps/NAME in a clone."""
    return runs_dir() / "sweeps" / name


def run_grid(
    cells: Iterable[Mapping[str, Any]],
    work: Work,
    folder: str | Path,
    *,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: Progress = "auto",
) -> pd.DataFrame:
    """Run the cells that are not recorded in `folder` yet; a row for each cell, in their order.

    A row has the settings, `status` ("done" or "failed"), `error`, `seconds` and the figures;
    `attrs["made"]` says when the last cell finished, with which versions, and the seconds of all.
    Cells with equal settings are one. A recorded cell never runs again, a failed one only with
    `retry_failed`. The tables in the folder (see `write_tables`) hold every cell recorded there.

    Settings are plain JSON values, all that decides a cell's result. `work` is picklable; its
    attribute `name`, else its own name, says which kind of runs the folder holds. `jobs` are
    processes on this machine: None is one a core, 1 is this process. "dask" and "ray" run on the
    cluster at the address `scheduler`, whose workers must have this package and `work`.
    """
    folder = Path(folder)
    jobs = joblib.cpu_count() if jobs is None else coerce("jobs", jobs, int)
    if jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}")
    given = _by_identity(cells)
    kind = name_of(work)
    with open_records(folder) as records:
        found = records.found
        if others := {record.work for record in found.values()} - {kind}:
            raise ConfigError(
                f"{str(folder)!r} holds {', '.join(others)}, not {kind}: choose another name"
            )
        again = {key for key, one in found.items() if retry_failed and one.status == "failed"}
        waiting = {key: given[key] for key in given if key not in found.keys() - again}
        if waiting:
            done, failed = len(given) - len(waiting), 0
            names = varied_settings(pd.DataFrame(list(given.values())))
            with (
                shown_progress(len(given), "cell", progress, done, len(given)) as show,
                closing(outcomes(waiting, work, backend, scheduler, jobs)) as results,
            ):
                for key, outcome in results:
                    records.add(kind, waiting[key], outcome)
                    done, failed = done + 1, failed + (outcome["status"] == "failed")
                    label = ", ".join(f"{name}={given[key].get(name)}" for name in names)
                    said = _said(outcome) + (f"; {failed} failed" if failed else "")
                    show(done, f"{label or 'the only one'}: {said}")
        every = [found[key] for key in dict.fromkeys([*given, *found])]
        write_tables(_frame(every), folder)
    return _frame(every[: len(given)])


def read_cells(folder: str | Path) -> pd.DataFrame:
    """The rows of every cell recorded in a folder, as `run_grid` gives them; also while it runs."""
    return _frame(read_records(Path(folder)))


def name_of(work: Callable[..., Any]) -> str:
    """The attribute `name` of what runs, else the name of the function, else of its class."""
    return getattr(work, "name", None) or getattr(work, "__qualname__", type(work).__qualname__)


def _by_identity(cells: Iterable[Mapping[str, Any]]) -> Cells:
    given: dict[str, Mapping[str, Any]] = {}
    for settings in cells:
        if taken := sorted(settings.keys() & {*OUTCOME}):
            raise ConfigError(f"a setting must not have a column's name, got {', '.join(taken)}")
        try:
            given.setdefault(identity(settings), settings)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"settings must be plain JSON values: {error}") from None
    if not given:
        raise ConfigError("no cells to run")
    return given


def _frame(records: Sequence[Record]) -> pd.DataFrame:
    settings = [name for one in records for name in one.settings]
    figures = [name for one in records for name in one.figures]
    rows = [
        {**one.settings, **one.model_dump(include=set(OUTCOME)), **one.figures} for one in records
    ]
    frame = pd.DataFrame(rows, columns=list(dict.fromkeys([*settings, *OUTCOME, *figures])))
    if records:
        last = max(records, key=lambda one: one.finished)
        seconds = round(sum(one.seconds for one in records))
        frame.attrs["made"] = dict(finished=last.finished, seconds=seconds, versions=last.versions)
    return frame


def _said(outcome: Outcome) -> str:
    """The error's first line, or the first three numbers."""
    if outcome["status"] == "failed":
        return f"FAILED {outcome['error'].splitlines()[0]}"
    numbers = {k: v for k, v in outcome["figures"].items() if type(v) in (int, float)}
    said = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in numbers.items()]
    return ", ".join(said[:3]) or "done"
