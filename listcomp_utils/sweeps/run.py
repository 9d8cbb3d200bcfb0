"""Sweeps: many trainings, or many runs of a notebook, that resume where they were stopped.

rows = run_sweep({"list_len": [2, 3], "seed": range(5)}, {"steps": 400}, "artifacts/runs/sweeps/x")
rows = run_cells(cells, folder, jobs=2)       # cells of several grids, made by `grid`

The folder holds runs.jsonl, one line a run, and the tables made from it. A cell whose run is
recorded is never run again; one that was cut off runs again. See `cells` for what is measured.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Literal

import joblib
from tqdm import tqdm

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.files import HEADLESS_VARIABLE, check_writable, runs_dir
from listcomp_utils.sweeps.cells import Outcome, Work, run_unit, train_group
from listcomp_utils.sweeps.grid import Cell, config_cells, notebook_cells
from listcomp_utils.sweeps.records import open_records
from listcomp_utils.sweeps.table import Row, summary_rows, table_row, write_table
from listcomp_utils.sweeps.workers import Backend, open_workers, results_of

Progress = Literal["auto", "bar", "lines", "none"]

MOST_TOGETHER = 64
"""Seeds that are trained as one group at most."""


def sweep_folder(name: str) -> Path:
    """The folder of the sweep of a name: artifacts/runs/sweeps/NAME in a clone."""
    return runs_dir() / "sweeps" / name


def run_sweep(
    grid: Mapping[str, Iterable[Any]],
    base: Mapping[str, Any] | Config,
    folder: str | Path,
    notebook: str | None = None,
    **how: Any,
) -> list[Row]:
    """Run every cell of a grid that is not recorded in `folder` yet; the rows of the whole grid.

    `base` holds what all cells share. With `notebook` (the start of its name) a cell is a run of
    that notebook, else a training. `how` are the keywords of `run_cells`.

    Raises:
        ConfigError: before anything runs, see `grid` and `run_cells`.
    """
    cells = config_cells(grid, base) if notebook is None else notebook_cells(grid, base, notebook)
    return run_cells(cells, folder, **how)


def run_cells(
    cells: Sequence[Cell],
    folder: str | Path,
    *,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    stack_seeds: bool = False,
    retry_failed: bool = False,
    keep_models: str | Path | None = None,
    train: Callable[[Sequence[Config]], list[Any]] = train_group,
    measure: Callable[[Any], Mapping[str, Any]] | None = None,
    progress: Progress = "auto",
) -> list[Row]:
    """Run the cells that are not recorded in `folder` yet; a row for each cell, in their order.

    Each finished cell is recorded at once. A failed one is recorded with its error and the others
    go on; it runs again only with `retry_failed`. The tables in the folder, table.csv, table.json
    and the summary over seeds, hold every cell recorded there.

    Args:
        jobs: processes on this machine, one thread each; None is one a core, 1 is this process.
        backend: joblib's backend; "dask" and "ray" run on the cluster at the address `scheduler`,
            whose workers must have this package and, for `keep_models`, the same file system.
        stack_seeds: hand cells that differ by their seed only to `train` together.
        keep_models: folder to keep trained models in, for `checkpoints.find_trained`.
        train: trains such cells; picklable, as `measure` is.
        measure: figures of a TrainResult beside the usual ones (see `cells.Work`).

    Raises:
        ConfigError: for no cells, a folder that another sweep uses or that holds another kind of
            run, a wrong `jobs`, or a cluster that is not there.
    """
    folder = Path(folder)
    jobs = joblib.cpu_count() if jobs is None else jobs
    if not cells or jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}" if cells else "no cells to run")
    models = None if keep_models is None else Path(keep_models).expanduser().resolve()
    if models is not None:
        check_writable(models)
    work = Work(train, measure, models, folder.resolve() / "notebooks")
    with open_records(folder) as records:
        kinds = {one.notebook for one in cells} | {one["notebook"] for one in records.all()}
        if len(kinds) > 1:
            named = " and ".join(sorted(kind or "trainings" for kind in kinds))
            raise ConfigError(f"the sweep {folder.name!r} would mix {named}: choose another name")
        recorded = [(cell, records.get(cell)) for cell in cells]
        waiting = [
            cell
            for cell, record in recorded
            if record is None or (retry_failed and record["status"] == "failed")
        ]
        with contextlib.ExitStack() as stack:
            show = stack.enter_context(_reporter(len(cells), len(waiting), progress))
            if waiting:
                workers = stack.enter_context(open_workers(backend, scheduler, jobs, len(waiting)))
                units = _units(waiting, stack_seeds, workers)
                results = stack.enter_context(
                    contextlib.closing(_run_units(units, work, workers, backend))
                )
                for index, outcomes in results:
                    for cell, outcome in zip(units[index], outcomes, strict=True):
                        records.append(cell, outcome)
                        show(cell, outcome)
        rows = [table_row(record) for record in records.all()]
        write_table(rows, folder / "table")
        if cells[0].notebook is None:
            write_table(summary_rows(rows), folder / "summary")
        return [table_row(records.get(cell)) for cell in cells]


def _units(cells: Sequence[Cell], stack_seeds: bool, workers: int) -> list[list[Cell]]:
    """Cells that run together: alone, or those that differ by their seed, spread over workers."""
    if not stack_seeds or cells[0].notebook is not None:
        return [[cell] for cell in cells]
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    size = min(MOST_TOGETHER, -(-len(cells) // workers))
    return [
        group[start : start + size]
        for group in groups.values()
        for start in range(0, len(group), size)
    ]


def _run_units(
    units: Sequence[Sequence[Cell]], work: Work, workers: int, backend: Backend
) -> Iterator[tuple[int, list[Outcome]]]:
    """Index and outcomes of every unit as it finishes.

    When a worker process dies (out of memory, killed), the units that may have been in it run
    again one cell at a time, so that only the cell which kills its process fails.
    """
    waiting = deque(enumerate(units))
    while waiting:
        taken: dict[int, Sequence[Cell]] = {}

        def hand_out(taken: dict[int, Sequence[Cell]] = taken) -> Iterator[Any]:
            while waiting:
                index, unit = waiting.popleft()
                taken[index] = unit
                yield joblib.delayed(run_unit)(index, unit, work)

        try:
            with contextlib.closing(results_of(hand_out(), workers, backend)) as results:
                for index, outcomes in results:
                    del taken[index]
                    yield index, outcomes
        except BrokenProcessPool:
            for index, unit in taken.items():
                yield index, [_run_guarded(cell, work) for cell in unit]


def _run_guarded(cell: Cell, work: Work) -> Outcome:
    """The outcome of one cell in a process of its own, also when that process dies."""
    started = time.perf_counter()
    try:
        ((_, outcomes),) = joblib.Parallel(n_jobs=2)([joblib.delayed(run_unit)(0, [cell], work)])
    except BrokenProcessPool as error:
        message = str(error).strip().splitlines()[0]
        return {
            "status": "failed",
            "error": {"type": type(error).__name__, "message": message},
            "seconds": round(time.perf_counter() - started, 3),
        }
    return outcomes[0]


@contextlib.contextmanager
def _reporter(
    total: int, waiting: int, progress: Progress
) -> Iterator[Callable[[Cell, Outcome], None]]:
    """What shows a finished cell: a live bar, a line a cell with the time left, or nothing."""
    if progress == "auto":
        watched = not os.environ.get(HEADLESS_VARIABLE)
        live = sys.stderr.isatty() or "ipykernel" in sys.modules
        progress = "bar" if watched and live else "lines"
    if progress == "bar":
        where = sys.stdout if "ipykernel" in sys.modules else sys.stderr
        with tqdm(total=total, initial=total - waiting, unit="cell", file=where) as bar:
            failed = itertools.count(1)

            def advance(cell: Cell, outcome: Outcome) -> None:
                if outcome["status"] == "failed":
                    bar.set_postfix_str(f"{next(failed)} failed", refresh=False)
                bar.update()

            yield advance
        return
    started, done = time.monotonic(), itertools.count(1)

    def write(cell: Cell, outcome: Outcome) -> None:
        now = next(done)
        if progress == "lines":
            left = (time.monotonic() - started) / now * (waiting - now)
            print(
                f"[{total - waiting + now}/{total}] {cell.label}: {_said(outcome)} "
                f"(about {tqdm.format_interval(left)} left)",
                flush=True,
            )

    yield write


def _said(outcome: Outcome) -> str:
    if outcome["status"] == "failed":
        return f"FAILED {outcome['error']['type']}: {outcome['error']['message']}"
    result = outcome["result"]
    if "claims_held" in result:
        return f"{result['claims_held']} of {result['claims_checked']} claims hold"
    return f"per token {result['per_token']:.4f}, per list {result['per_list']:.4f}"
