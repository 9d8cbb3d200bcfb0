"""Running cells in worker processes, on this machine or on a cluster.

cells = {"a": {"seed": 0}, "b": {"seed": 1}}
for key, outcome in outcomes(cells, work, "loky", None, jobs=2): ...
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, Literal

import joblib

from listcomp_utils import __version__
from listcomp_utils.config import ConfigError

Backend = Literal["loky", "dask", "ray"]

Cells = Mapping[str, Mapping[str, Any]]
"""Settings of cells by their key."""

OUTCOME = ("status", "error", "seconds")
"""Columns of a cell between its settings and figures: "done" or "failed", its error, wall time."""

Outcome = dict[str, Any]
"""Those, and when the cell `finished`, its `figures` and the `versions` that made them."""

Work = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Gives the figures of a cell from its settings: plain JSON values under names no setting has."""

Run = Callable[[Cells, Work], Iterator[tuple[str, Any]]]
"""Key and outcome of every cell as it finishes, or the error of a process that died with it."""


def outcomes(
    cells: Cells, work: Work, backend: Backend, scheduler: str | None, jobs: int
) -> Iterator[tuple[str, Outcome]]:
    """Key and outcome of every cell as it finishes; `jobs` is for loky, where 1 is this process.

    When a worker process dies (out of memory, killed), the cells that may have been in it run again
    one at a time, so that only the cell which kills its process fails.
    """
    with _workers(backend, scheduler, jobs) as run:
        suspects = []
        for key, outcome in run(cells, work):
            if isinstance(outcome, Exception):
                suspects.append(key)
            else:
                yield key, outcome
        for key in suspects:
            started = time.perf_counter()
            ((_, outcome),) = run({key: cells[key]}, work)
            died = isinstance(outcome, Exception)
            yield key, _outcome(started, error=outcome) if died else outcome


def _workers(backend: Backend, scheduler: str | None, jobs: int) -> AbstractContextManager[Run]:
    if backend == "loky":
        if scheduler is not None:
            raise ConfigError(f"scheduler is for the backends dask and ray, got {scheduler!r}")
        return _on_this_machine(jobs)
    clusters = {"dask": ("distributed", _on_dask), "ray": ("ray", _on_ray)}
    if backend not in clusters:
        raise ConfigError(f"backend must be 'loky', 'dask' or 'ray', got {backend!r}")
    need, cluster = clusters[backend]
    if importlib.util.find_spec(need) is None:
        raise ConfigError(f"the backend {backend} needs the package {need}: pip install {need}")
    return cluster(scheduler)


@contextmanager
def _on_this_machine(jobs: int) -> Iterator[Run]:
    """Workers are kept from cell to cell, as importing TransformerLens takes seconds."""

    def run(cells: Cells, work: Work) -> Iterator[tuple[str, Any]]:
        waiting, taken, finished = iter(cells), set(), 0

        def hand_out() -> Iterator[Any]:
            for key in waiting:
                taken.add(key)
                yield joblib.delayed(_run_cell)(work, key, cells[key])

        # At one, joblib runs cells in this process.
        count = 1 if jobs == 1 else max(2, min(jobs, len(cells)))
        how = dict(batch_size=1, pre_dispatch="n_jobs", return_as="generator_unordered")
        while finished < len(cells):
            try:
                with closing(joblib.Parallel(count, **how)(hand_out())) as results:
                    for key, outcome in results:
                        taken.remove(key)
                        finished += 1
                        yield key, outcome
            except BrokenProcessPool as error:
                finished += len(taken)
                yield from [(key, error) for key in taken]
                taken.clear()

    watched = dict(initializer=_watch_parent, initargs=(os.getpid(),))
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1, **watched):
        yield run


@contextmanager
def _on_dask(scheduler: str | None) -> Iterator[Run]:
    """By dask's own futures: joblib's backend (1.6) waits for ever for a task that dask gave up."""
    from distributed import Client, KilledWorker, as_completed

    def run(cells: Cells, work: Work) -> Iterator[tuple[str, Any]]:
        keys = {client.submit(_run_cell, work, key, cells[key], pure=False): key for key in cells}
        for future in as_completed(list(keys), loop=client.loop):
            try:
                yield future.result()
            except KilledWorker as error:
                yield keys[future], error

    if scheduler is None:
        raise ConfigError("the backend dask needs scheduler, such as tcp://127.0.0.1:8786")
    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"scheduler {scheduler!r} does not answer: {error}") from None
    with client:
        threads = sorted(client.nthreads().values())
        if not threads or threads[-1] > 1:
            raise ConfigError(
                f"the dask cluster must have workers of one thread each (--nthreads 1), "
                f"it has {threads}: PyTorch's settings are the process's"
            )
        yield run


@contextmanager
def _on_ray(scheduler: str | None) -> Iterator[Run]:
    """One block after another: joblib's backend for ray gives whole lists only."""
    import ray
    from ray.util.joblib import register_ray

    def run(cells: Cells, work: Work) -> Iterator[tuple[str, Any]]:
        calls = (joblib.delayed(_run_cell)(work, key, cells[key]) for key in cells)
        while block := list(itertools.islice(calls, int(ray.cluster_resources()["CPU"]))):
            yield from joblib.Parallel(n_jobs=-1, batch_size=1)(block)

    register_ray()
    ray.init(address=scheduler, ignore_reinit_error=True, log_to_driver=False)
    with joblib.parallel_config(backend="ray"):
        yield run


def _watch_parent(parent: int) -> None:
    """Make this worker end within a second of its parent, so that nothing runs on unseen.

    Ctrl-C is the parent's to handle: here it would end a training early. Where a process keeps its
    dead parent's number (Windows), an idle worker ends by its own time limit instead.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_cell(work: Work, key: str, settings: Mapping[str, Any]) -> tuple[str, Outcome]:
    """In a worker: what `work` gives, as plain JSON, or raises; never raises itself."""
    started = time.perf_counter()
    try:
        text = json.dumps(work(settings), default=lambda array: array.tolist())
        figures = json.loads(text, parse_constant=lambda _: None)  # NaN and inf are not JSON
        if taken := sorted(figures.keys() & {*settings, *OUTCOME}):
            raise ValueError(f"figures under names of other columns: {', '.join(taken)}")
        return key, _outcome(started, figures)
    except Exception as error:
        return key, _outcome(started, error=error)


def _outcome(started: float, figures: Any = None, error: Exception | None = None) -> Outcome:
    versions = {"python": platform.python_version(), "listcomp_utils": __version__}
    versions |= {name: importlib.metadata.version(name) for name in ("torch", "transformer_lens")}
    torch = sys.modules.get("torch")  # not for the sake of a cell that did without it
    if torch is not None and torch.cuda.is_available():
        versions["gpu"] = torch.cuda.get_device_name()
    return {
        "status": "done" if error is None else "failed",
        "error": None if error is None else f"{type(error).__name__}: {error}",
        "seconds": round(time.perf_counter() - started, 3),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "figures": figures or {},
        "versions": versions,
    }
