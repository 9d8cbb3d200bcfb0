"""Running the series headless: checks first, then papermill, a kernel a notebook, a report."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listcomp_utils.config import ConfigError, check_names, coerce, field_types
from listcomp_utils.files import (
    HEADLESS_VARIABLE,
    REPORT_VARIABLE,
    check_writable,
    repository_dir,
    runs_dir,
)
from listcomp_utils.notebook.parameters import OPTION_TYPES, make_config

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


def series_dir() -> Path:
    """The folder of the notebooks; raises ConfigError when the package runs without its clone."""
    root = repository_dir()
    if root is None:
        raise ConfigError("the notebooks are not here: run this from a clone of the project")
    return root / "notebooks"


def select_notebooks(only: Sequence[str] = ()) -> list[Path]:
    """The `.ipynb` of the series, or those whose name starts with one of `only`.

    Raises:
        ConfigError: when an entry of `only` matches none.
    """
    notebooks = sorted(series_dir().glob("[0-9][0-9]_*.ipynb"))
    names = [notebook.stem for notebook in notebooks]
    for wanted in only:
        if not any(name.startswith(wanted) for name in names):
            raise ConfigError(
                f"--only must start a notebook's name ({', '.join(names)}), got {wanted!r}"
            )
    return [n for n in notebooks if not only or n.stem.startswith(tuple(only))]


def declared_parameters(notebook: Path) -> dict[str, dict[str, str]]:
    """The parameters a notebook takes, each with its `default`, `inferred_type_name` and `help`.

    The default is source text, as papermill's `inspect_notebook` gives it.
    """
    import papermill

    return papermill.inspect_notebook(str(notebook))


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


def check_run(notebooks: Sequence[Path], parameters: Mapping[str, Any], name: str) -> None:
    """Raise ConfigError for a parameter no notebook takes, a wrong value, or an odd run name."""
    check_run_name(name)
    known = {parameter for notebook in notebooks for parameter in declared_parameters(notebook)}
    check_names(parameters, sorted(known), "parameter")
    make_config({k: v for k, v in parameters.items() if k == "preset" or k in field_types()})
    for option, kind in OPTION_TYPES.items():
        if option in parameters:
            coerce(option, parameters[option], kind)


def check_run_name(name: str) -> None:
    """Raise ConfigError for a name that cannot be a folder's."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ConfigError(f"name must be letters, digits, '.', '_' and '-', got {name!r}")


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
            declared = declared_parameters(notebook)
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
