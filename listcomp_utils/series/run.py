"""Running the series headless: checks first, then a kernel a notebook side by side, a report.

status = run_series({"preset": "study"}, name="study", only=["02", "03"])
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from listcomp_utils.files import HEADLESS_VARIABLE, REPORT_VARIABLE, check_writable, runs_dir
from listcomp_utils.series.checks import (
    check_run,
    select_notebooks,
    series_dir,
    taken_parameters,
    with_whole_paths,
)

if TYPE_CHECKING:
    from listcomp_utils.config import Config
    from listcomp_utils.series.report import NotebookRun

HEADLESS = {
    HEADLESS_VARIABLE: "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    # Threads of a small model, and of kernels side by side, only wait for each other.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""Environment of the kernels of a run."""

FIRST = ("01", "05", "06", "03")
"""Notebooks that start before the others: 01, for which others wait, then the longest."""


def run_series(
    parameters: Mapping[str, Any], name: str = "latest", only: Sequence[str] = ()
) -> int:
    """Execute the notebooks into artifacts/runs/NAME with a report; the exit status.

    As many run side by side as there are cores. A failed one is kept up to its failing cell; the
    others still run, and the report says so. Everything is written to a folder of its own that
    takes NAME's place when it is whole: after Ctrl-C, SIGTERM or a failure to write, the last whole
    report of that name stays and the new one goes.

    Raises:
        ConfigError: before anything runs, for a bad parameter, name or choice of notebooks.
        OSError: when the report cannot be written.
    """
    notebooks = select_notebooks(only)
    configs = check_run(notebooks, parameters, name)
    from listcomp_utils.series.report import write_report

    place = runs_dir() / name
    with _sigterm_as_ctrl_c(), _working_folder(name) as work:
        runs = _execute_all(configs, work, with_whole_paths(parameters))
        write_report(runs, work, dict(parameters))
        _publish(work, place)
    failed = [run.name for run in runs if run.error]
    print(f"report: {place / 'index.html'}", flush=True)
    if failed:
        print(f"{len(failed)} of {len(runs)} notebooks failed: {', '.join(failed)}")
        print("\n".join(f"kept: {place / name}.ipynb" for name in failed))
    return 1 if failed else 0


def execute_notebook(
    notebook: Path, output: Path, parameters: Mapping[str, Any], progress: bool = False
) -> str | None:
    """Execute one notebook headless into `output`; what went wrong in it, or None.

    Pages that the notebook writes lie beside `output`, which is kept up to its failing cell.
    """
    with tqdm(desc=notebook.stem, unit="cell", disable=not progress) as bar:
        return asyncio.run(_execute(notebook, output, parameters, bar.update))


async def _execute(
    notebook: Path, output: Path, parameters: Mapping[str, Any], each_cell: Callable[[], Any]
) -> str | None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    content = nbformat.read(notebook, as_version=4)
    if parameters:
        from papermill.translators import PythonTranslator

        tags = [cell.metadata.get("tags", []) for cell in content.cells]
        (place,) = [number for number, names in enumerate(tags) if "parameters" in names]
        injected = nbformat.v4.new_code_cell(PythonTranslator.codify(parameters))
        injected.metadata.tags = ["injected-parameters"]
        content.cells.insert(place + 1, injected)
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        content,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(series_dir())}},
        extra_arguments=[f"--IPKernelApp.log_level={logging.ERROR}"],
        on_cell_executed=lambda **_: each_cell(),
    )
    environment = {**os.environ, **HEADLESS, REPORT_VARIABLE: str(output.parent)}
    try:
        await client.async_execute(env=environment)
    except CellExecutionError as failure:
        return f"{failure.ename}: {failure.evalue}"
    except DeadKernelError as failure:
        if asyncio.current_task().cancelling():  # which nbclient takes for a dead kernel
            raise asyncio.CancelledError from None
        return f"its kernel died: {failure}"
    finally:
        nbformat.write(content, output)
    return None


def _execute_all(
    notebooks: Mapping[Path, Config], work: Path, parameters: Mapping[str, Any]
) -> list[NotebookRun]:
    """Execute the notebooks side by side; the runs in the order of the series.

    Notebooks of one config wait for the first of them, which may train the model that all load.
    """
    import joblib
    import nbformat

    from listcomp_utils.series.report import NotebookRun

    cells = sum(
        cell.cell_type == "code"
        for notebook in notebooks
        for cell in nbformat.read(notebook, as_version=4).cells
    )
    bar = tqdm(total=cells, desc="cells of the series", unit="cell", disable=None)
    cores = asyncio.Semaphore(joblib.cpu_count())
    done: list[NotebookRun] = []
    trained = {config: asyncio.Event() for config in notebooks.values()}
    firsts = {config: notebook for notebook, config in reversed(notebooks.items())}

    async def one(notebook: Path, config: Config) -> None:
        if notebook != firsts[config]:
            await trained[config].wait()
        taken = taken_parameters(notebook)
        given = {name: value for name, value in parameters.items() if name in taken}
        async with cores:
            error = await _execute(notebook, work / notebook.name, given, bar.update)
        trained[config].set()
        done.append(NotebookRun(notebook.stem, work / notebook.name, error))
        said = f"FAILED {error}" if error else "done"
        bar.write(f"[{len(done)}/{len(notebooks)}] {notebook.stem} {said}", file=sys.stdout)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for notebook in sorted(notebooks, key=lambda n: not n.name.startswith(FIRST)):
                group.create_task(one(notebook, notebooks[notebook]))

    with bar, asyncio.Runner(loop_factory=_Loop) as runner:
        try:
            runner.run(all_of_them())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
    return sorted(done, key=lambda run: run.name)


class _Loop(asyncio.SelectorEventLoop):
    """A loop that keeps Ctrl-C: nbclient would take it, and stop the newest kernel alone."""

    def add_signal_handler(self, *_: Any) -> None:
        """Refuse, as loops outside the main thread do."""
        raise RuntimeError("the run handles signals")


@contextlib.contextmanager
def _working_folder(name: str) -> Iterator[Path]:
    """A new folder beside the reports, which is gone afterwards whatever happens."""
    work = runs_dir() / f".{name}.{os.getpid()}"
    check_writable(work)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: kernels stopped, the working folder removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _publish(work: Path, place: Path) -> None:
    """Put a finished folder in place of the old one by renaming."""
    old = work.with_name(f"{work.name}.old")
    try:
        while True:
            shutil.rmtree(old, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                os.rename(place, old)
            try:
                os.rename(work, place)
                break
            except OSError:
                if not place.exists():
                    raise
    except BaseException:
        if old.exists() and not place.exists():
            os.rename(old, place)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
