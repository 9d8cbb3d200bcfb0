"""The engine: runs what is not recorded yet of a grid, records every finished cell, gives a frame.

frame = run_grid([{"seed": 0}, {"seed": 1}], work, sweep_folder("mine"), jobs=2)
frame["status"], frame.attrs["made"]
read_cells(sweep_folder("mine"))                        # every cell recorded there, any time

`work` gives the figures of a cell from its settings. A recorded cell never runs again; one that was
cut off (Ctrl-C, kill -9, a crash) does.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import itertools
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import joblib
import pandas as pd
from tqdm import tqdm

from listcomp_utils.config import ConfigError
from listcomp_utils.files import HEADLESS_VARIABLE, runs_dir
from listcomp_utils.sweeps.records import Record, identity, open_records, read_records
from listcomp_utils.sweeps.table import OUTCOME, summarise_sweep, varied_settings, write_frame
from listcomp_utils.sweeps.workers import Backend, open_workers

Work = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Gives the figures of a cell: plain JSON values under names that no setting has."""

Progress = Literal["auto", "bar", "lines", "none"]


def sweep_folder(name: str) -> Path:
    """The folder of the sweep of a name: artifacts/runs/sweeps/NAME in a clone."""
    return runs_dir() / "sweeps" / name


def run_grid(
    cells: Sequence[Mapping[str, Any]],
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
    `attrs["made"]` says when (the last cell), with which versions and in how many seconds, one
    after another. Cells with equal settings are one. Each finished cell is recorded at once. A
    failed one is recorded with its error, stops no other, and runs again only with `retry_failed`.
    The tables in the folder (table.csv, table.json and, where `seed` is a setting, the summary over
    seeds) hold every cell recorded there.

    Args:
        cells: settings of each cell, as plain JSON values: everything that decides its result.
        work: gives a cell's figures; picklable. Its attribute `name`, or its own name, is the kind
            of run that the folder holds.
        jobs: processes on this machine, one thread each; None is one a core, 1 is this process.
        backend: joblib's backend; "dask" and "ray" run on the cluster at the address `scheduler`,
            whose workers must have this package (and `work`).

    Raises:
        ConfigError: before anything runs, for no cells, settings that are not plain JSON or named
            like another column, a folder that another sweep uses, that cannot be written or that
            holds another kind of run, a wrong `jobs`, or a cluster that is not there; and when the
            disk is full.
    """
    folder = Path(folder)
    jobs = joblib.cpu_count() if jobs is None else jobs
    if jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}")
    given = _checked(cells)
    kind = getattr(work, "name", None) or getattr(work, "__qualname__", type(work).__qualname__)
    with open_records(folder) as records:
        others = {record.work for record in records.found.values()} - {kind}
        if others:
            raise ConfigError(
                f"{str(folder)!r} holds runs of {', '.join(others)}, not of {kind}: "
                "choose another name"
            )
        waiting = {
            key: settings
            for key, settings in given.items()
            if key not in records.found or (retry_failed and records.found[key].status == "failed")
        }
        with contextlib.ExitStack() as stack:
            show = stack.enter_context(_reporter(given, len(waiting), progress))
            if waiting:
                run = stack.enter_context(open_workers(backend, scheduler, jobs))
                outcomes = _outcomes(waiting, work, run)
                for key, outcome in stack.enter_context(contextlib.closing(outcomes)):
                    records.add(kind, waiting[key], outcome)
                    show(key, outcome)
        found = [records.found[key] for key in dict.fromkeys([*given, *records.found])]
        _write_tables(_frame(found), folder)
        return _frame(found[: len(given)])


def read_cells(folder: str | Path) -> pd.DataFrame:
    """The rows of every cell recorded in a folder, as `run_grid` gives them; also while it runs.

    Raises:
        ConfigError: when the file of the records is damaged or not of a sweep.
    """
    return _frame(read_records(Path(folder)))


def _checked(cells: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The cells by their identity."""
    given = {}
    for settings in cells:
        taken = sorted(settings.keys() & set(OUTCOME))
        if taken:
            raise ConfigError(f"a setting must not be named as a column: {', '.join(taken)}")
        try:
            given.setdefault(identity(settings), dict(settings))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"settings must be plain JSON values: {error}") from None
    if not given:
        raise ConfigError("no cells to run")
    return given


def _frame(records: Sequence[Record]) -> pd.DataFrame:
    rows = [
        {**one.settings, **{name: getattr(one, name) for name in OUTCOME}, **one.figures}
        for one in records
    ]
    settings = dict.fromkeys(name for one in records for name in one.settings)
    figures = dict.fromkeys(name for one in records for name in one.figures)
    frame = pd.DataFrame(rows, columns=[*settings, *OUTCOME, *figures])
    if records:
        last = max(records, key=lambda record: record.finished)
        seconds = round(sum(record.seconds for record in records))
        made = {"finished": last.finished, "seconds": seconds, "versions": last.versions}
        frame.attrs["made"] = made
    return frame


def _write_tables(frame: pd.DataFrame, folder: Path) -> None:
    try:
        write_frame(frame, folder / "table")
        if "seed" in frame.columns:
            write_frame(summarise_sweep(frame), folder / "summary")
    except OSError as error:
        raise ConfigError(
            f"the tables in {str(folder)!r} cannot be written (all cells are recorded): {error}"
        ) from None


def _outcomes(
    cells: Mapping[str, Mapping[str, Any]], work: Work, run: Callable[..., Iterator[Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key and outcome of every cell as it finishes.

    When a worker process dies (out of memory, killed), the cells that may have been in it run again
    one at a time, so that only the cell which kills its process fails.
    """
    suspects = []
    tasks = {key: (run_cell, settings, work) for key, settings in cells.items()}
    for key, outcome in run(tasks):
        if isinstance(outcome, BaseException):
            suspects.append(key)
        else:
            yield key, outcome
    for key in suspects:
        started = time.perf_counter()
        ((_, outcome),) = run({key: tasks[key]})
        if isinstance(outcome, BaseException):
            outcome = _outcome({}, outcome, started)
        yield key, outcome


def run_cell(settings: Mapping[str, Any], work: Work) -> dict[str, Any]:
    """What `work` gives or raises for a cell, in a worker; its time, and the versions that made it.

    Nothing here raises for a cell that fails: its outcome says so.
    """
    started = time.perf_counter()
    try:
        figures = _plain(work(settings))
        taken = sorted(figures.keys() & {*settings, *OUTCOME})
        if taken:
            raise ValueError(f"figures under names of other columns: {', '.join(taken)}")
        return _outcome(figures, None, started)
    except Exception as error:
        return _outcome({}, error, started)


def _outcome(
    figures: Mapping[str, Any], error: BaseException | None, started: float
) -> dict[str, Any]:
    message = str(error).strip().splitlines() if error else []
    return {
        "status": "failed" if error else "done",
        "figures": figures,
        "error": ": ".join([type(error).__name__, *message[:1]]) if error else None,
        "seconds": round(time.perf_counter() - started, 3),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The versions that decide what a run computes, and the GPU where there is one."""
    found = {"python": platform.python_version()}
    for name in ("listcomp_utils", "torch", "transformer_lens"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    torch = sys.modules.get("torch")  # not for the sake of a cell that did without it
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def _plain(value: Any) -> Any:
    """The value as plain JSON, with None for numbers that JSON has no word for.

    Raises:
        TypeError: for what is no JSON value, NumPy array or tensor.
    """
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    raise TypeError(f"a figure must be a plain JSON value, got {type(value).__name__}")


@contextlib.contextmanager
def _reporter(
    given: Mapping[str, Mapping[str, Any]], waiting: int, progress: Progress
) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """What shows a finished cell: a live bar, a line a cell with the time left, or nothing."""
    if progress == "auto":
        watched = not os.environ.get(HEADLESS_VARIABLE)
        live = sys.stderr.isatty() or "ipykernel" in sys.modules
        progress = "bar" if watched and live else "lines"
    total, finished, failed = len(given), itertools.count(1), itertools.count(1)
    if progress == "bar":
        where = sys.stdout if "ipykernel" in sys.modules else sys.stderr
        with tqdm(total=total, initial=total - waiting, unit="cell", file=where) as bar:

            def advance(key: str, outcome: Mapping[str, Any]) -> None:
                if outcome["status"] == "failed":
                    bar.set_postfix_str(f"{next(failed)} failed", refresh=False)
                bar.update()

            yield advance
        return
    started = time.monotonic()
    frame = pd.DataFrame(list(given.values())).assign(status="")
    varied = varied_settings(frame) or list(frame.columns[:1])

    def write(key: str, outcome: Mapping[str, Any]) -> None:
        now = next(finished)
        if progress == "lines":
            label = ", ".join(f"{name}={given[key].get(name)}" for name in varied)
            left = tqdm.format_interval((time.monotonic() - started) / now * (waiting - now))
            place = total - waiting + now
            print(f"[{place}/{total}] {label}: {_said(outcome)} (about {left} left)", flush=True)

    yield write


def _said(outcome: Mapping[str, Any]) -> str:
    if outcome["status"] == "failed":
        return f"FAILED {outcome['error']}"
    numbers = [
        f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in outcome["figures"].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return ", ".join(numbers[:3]) or "done"
