"""Running the series headless: checks first, then papermill, a kernel a notebook, a report."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listcomp_utils.files import HEADLESS_VARIABLE, REPORT_VARIABLE, check_writable, runs_dir
from listcomp_utils.series.checks import (
    check_run,
    check_run_name,
    declared_parameters,
    select_notebooks,
    series_dir,
    taken_parameters,
)

__all__ = ["check_run_name", "declared_parameters", "select_notebooks", "series_dir"]

HEADLESS = {
    HEADLESS_VARIABLE: "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    # Spinning OpenMP threads slow a notebook many times over when another program runs beside it.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Environment of the kernels of a run."""


@dataclass(frozen=True)
class NotebookRun:
    """One executed notebook: its file, and what went wrong, if anything did."""

    name: str
    path: Path
    error: str | None


def execute_notebook(
    notebook: Path, output: Path, parameters: Mapping[str, Any], progress: bool = True
) -> str | None:
    """Execute one notebook headless into `output`; what went wrong in it, or None.

    Pages that the notebook writes lie beside `output`, which is kept up to its failing cell.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    os.environ.update(HEADLESS, **{REPORT_VARIABLE: str(output.parent)})
    bar = {
        "desc": f"{notebook.stem} cells",
        "mininterval": 0.5 if sys.stderr.isatty() else 10,
    }
    try:
        papermill.execute_notebook(
            notebook,
            output,
            parameters=dict(parameters),
            cwd=series_dir(),
            kernel_name="python3",
            progress_bar=bar if progress else False,
        )
    except PapermillExecutionError as failure:
        return f"{failure.ename}: {failure.evalue}"
    finally:
        os.environ.pop(REPORT_VARIABLE)
    return None


def run_series(
    parameters: Mapping[str, Any], name: str = "latest", only: Sequence[str] = ()
) -> int:
    """Execute the notebooks into artifacts/runs/NAME with a report; the exit status.

    Everything is written to a folder of its own and put in place at the end, so that two runs at
    once cannot mix. A failed notebook is kept up to its failing cell; the others still run.

    Raises:
        ConfigError: before anything runs, for a bad parameter, name or choice of notebooks.
    """
    from listcomp_utils.series.report import write_report

    notebooks = select_notebooks(only)
    check_run(notebooks, parameters, name)
    work = _new_folder(name)
    place = runs_dir() / name
    runs: list[NotebookRun] = []
    try:
        for number, notebook in enumerate(notebooks, start=1):
            left = len(notebooks) - number
            print(f"[{number}/{len(notebooks)}] {notebook.stem} ({left} left after it)", flush=True)
            declared = taken_parameters(notebook)
            output = work / notebook.name
            given = {name: value for name, value in parameters.items() if name in declared}
            error = execute_notebook(notebook, output, given)
            if error:
                print(f"  FAILED {error}\n  kept: {place / notebook.name}", flush=True)
            runs.append(NotebookRun(notebook.stem, output, error))
    finally:
        if runs:
            write_report(runs, work, dict(parameters))
        _publish(work, place)
    failed = [run for run in runs if run.error]
    print(f"report: {place / 'index.html'}", flush=True)
    if failed:
        print(f"{len(failed)} of {len(runs)} notebooks failed: {', '.join(r.name for r in failed)}")
    return 1 if failed else 0


def _new_folder(name: str) -> Path:
    work = runs_dir() / f".{name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    check_writable(work)
    return work


def _publish(work: Path, place: Path) -> None:
    """Put a finished folder in place of the old one by renaming."""
    old = work.with_name(f"{work.name}.old")
    while True:
        if place.exists():
            try:
                os.rename(place, old)
            except FileNotFoundError:
                continue
        try:
            os.rename(work, place)
            break
        except OSError:
            if not place.exists():
                raise
    shutil.rmtree(old, ignore_errors=True)
