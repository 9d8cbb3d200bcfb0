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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from listcomp_utils import files
from listcomp_utils.series.checks import check_run, select_notebooks, series_dir

if TYPE_CHECKING:
    from listcomp_utils.config import Config

HEADLESS = {
    files.HEADLESS_VARIABLE: "1",
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
    """
    notebooks = check_run(select_notebooks(only), parameters, name)
    from listcomp_utils.series.report import write_report

    place = files.runs_dir() / name
    with _sigterm_as_ctrl_c(), _replaced(place) as work:
        errors = _execute_all(notebooks, work)
        write_report(errors, work, parameters)
    failed = [path.stem for path, error in errors.items() if error]
    print(f"report, to open next: {place / 'index.html'}", flush=True)
    if failed:
        print(f"{len(failed)} of {len(errors)} notebooks failed: {', '.join(failed)}")
        print("\n".join(f"kept: {place / name}.ipynb" for name in failed))
    return 1 if failed else 0


def execute_notebook(notebook: Path, output: Path, parameters: Mapping[str, Any]) -> str | None:
    """Execute one notebook into `output`, kept up to a failing cell; what went wrong, or None."""
    return asyncio.run(_execute(notebook, output, parameters, lambda: None))


async def _execute(
    notebook: Path, output: Path, parameters: Mapping[str, Any], each_cell: Callable[[], Any]
) -> str | None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    content = nbformat.read(notebook, as_version=4)
    if parameters:
        code = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        tags = [cell.metadata.get("tags", []) for cell in content.cells]
        place = next(number for number, names in enumerate(tags) if "parameters" in names)
        injected = nbformat.v4.new_code_cell(code, metadata={"tags": ["injected-parameters"]})
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
    # Said in full: kernels work in the notebooks' folder, which an installed package keeps inside.
    runs = str(files.runs_dir().absolute())
    places = {files.REPORT_VARIABLE: str(output.parent), files.RUNS_VARIABLE: runs}
    try:
        await client.async_execute(env={**os.environ, **HEADLESS, **places})
    except CellExecutionError as failure:
        return f"{failure.ename}: {failure.evalue}"
    except RuntimeError as failure:  # of nbclient for a kernel that died, or never answered
        if asyncio.current_task().cancelling():  # which nbclient takes for a dead kernel
            raise asyncio.CancelledError from None
        return f"its kernel is gone: {failure}"
    finally:
        nbformat.write(content, output)
    return None


def _execute_all(
    notebooks: Mapping[Path, tuple[Config, Mapping[str, Any]]], work: Path
) -> dict[Path, str | None]:
    """Execute notebooks side by side into `work`; what went wrong in each, in the series' order.

    Notebooks of one config wait for the first of them, which may train the model that all load.
    """
    import joblib
    import nbformat

    cells = sum(
        cell.cell_type == "code"
        for notebook in notebooks
        for cell in nbformat.read(notebook, as_version=4).cells
    )
    bar = tqdm(total=cells, desc="cells of the series", unit="cell", disable=None)
    cores = asyncio.Semaphore(joblib.cpu_count())
    errors: dict[Path, str | None] = {}
    firsts = {config: notebook for notebook, (config, _) in reversed(notebooks.items())}
    trained = {config: asyncio.Event() for config in firsts}

    async def one(notebook: Path) -> None:
        config, parameters = notebooks[notebook]
        if notebook != firsts[config]:
            await trained[config].wait()
        output = work / notebook.name
        async with cores:
            errors[output] = error = await _execute(notebook, output, parameters, bar.update)
        trained[config].set()
        said = f"FAILED {error}" if error else "done"
        bar.write(f"[{len(errors)}/{len(notebooks)}] {notebook.stem} {said}", file=sys.stdout)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for notebook in sorted(notebooks, key=lambda path: not path.name.startswith(FIRST)):
                group.create_task(one(notebook))

    with bar, asyncio.Runner(loop_factory=_Loop) as runner:
        try:
            runner.run(all_of_them())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
    return dict(sorted(errors.items()))


class _Loop(asyncio.SelectorEventLoop):
    """A loop that keeps Ctrl-C: nbclient would take it, and stop the newest kernel alone."""

    def add_signal_handler(self, *_: Any) -> None:
        raise RuntimeError("the run handles signals")


@contextlib.contextmanager
def _replaced(place: Path) -> Iterator[Path]:
    """A new folder that takes `place` once it is whole, and is gone if it never is."""
    work = place.with_name(f".{place.name}.{os.getpid()}")
    old = work.with_name(f"{work.name}.old")
    files.check_writable(work)
    try:
        yield work
        if place.exists():
            place.rename(old)
        work.rename(place)
    finally:
        if old.exists() and not place.exists():
            old.rename(place)
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: kernels stopped, the working folder removed."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
