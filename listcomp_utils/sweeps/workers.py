"""Running cells in worker processes, on this machine or on a cluster.

with open_workers("loky", None, jobs=2) as run:
    for key, outcome in outcomes({"a": {"seed": 0}, "b": {"seed": 1}}, work, run): ...

A local worker is reused from cell to cell (importing TransformerLens takes seconds), has one
thread, and ends with its parent.
"""

from __future__ import annotations

import contextlib
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
from functools import partial
from typing import Any, Literal

import joblib

from listcomp_utils.config import ConfigError

Backend = Literal["loky", "dask", "ray"]

Cells = Mapping[str, Mapping[str, Any]]
"""Settings of cells by their key."""

OUTCOME = ("status", "error", "seconds")
"""Columns of every cell between its settings and its figures: "done" or "failed", the error of a
failed one, and the wall time in seconds."""

Outcome = dict[str, Any]
"""Those of a cell, and when it `finished`, its `figures` and the `versions` that made them."""

Work = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Gives the figures of a cell from its settings: plain JSON values under names no setting has."""

Run = Callable[[Cells, Work], Iterator[tuple[str, Any]]]
"""Key and outcome of every cell as it finishes, or the error of a process that died with it."""

_PACKAGES = {"dask": "distributed", "ray": "ray"}


@contextlib.contextmanager
def open_workers(backend: Backend, scheduler: str | None, jobs: int) -> Iterator[Run]:
    """What runs cells, for a block; `jobs` is for loky, where 1 is this process.

    Raises:
        ConfigError: for a package, a scheduler or a cluster that is not there or not fit.
    """
    package = _PACKAGES.get(backend)
    if backend != "loky" and package is None:
        raise ConfigError(f"backend must be 'loky', 'dask' or 'ray', got {backend!r}")
    if package and importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"the backend {backend} needs the package {package}: pip install {package}"
        )
    if backend == "loky":
        if scheduler is not None:
            raise ConfigError(f"scheduler is for the backends dask and ray, got {scheduler!r}")
        watched = dict(initializer=_watch_parent, initargs=(os.getpid(),))
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1, **watched):
            yield partial(_run_here, jobs)
    elif backend == "dask":
        with _dask_client(scheduler) as client:
            yield partial(_run_on_dask, client)
    else:
        import ray
        from ray.util.joblib import register_ray

        register_ray()
        ray.init(address=scheduler, ignore_reinit_error=True, log_to_driver=False)
        with joblib.parallel_config(backend="ray"):
            yield partial(_run_on_ray, int(ray.cluster_resources()["CPU"]))


def outcomes(cells: Cells, work: Work, run: Run) -> Iterator[tuple[str, Outcome]]:
    """Key and outcome of every cell as it finishes.

    When a worker process dies (out of memory, killed), the cells that may have been in it run again
    one at a time, so that only the cell which kills its process fails.
    """
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


def _run_here(jobs: int, cells: Cells, work: Work) -> Iterator[tuple[str, Any]]:
    waiting, taken, finished = iter(cells), set(), 0

    def hand_out() -> Iterator[Any]:
        for key in waiting:
            taken.add(key)
            yield joblib.delayed(_run_cell)(work, key, cells[key])

    workers = 1 if jobs == 1 else max(2, min(jobs, len(cells)))  # joblib keeps one in this process
    how = dict(batch_size=1, pre_dispatch="n_jobs", return_as="generator_unordered")
    while finished < len(cells):
        try:
            with contextlib.closing(joblib.Parallel(workers, **how)(hand_out())) as results:
                for key, outcome in results:
                    taken.remove(key)
                    finished += 1
                    yield key, outcome
        except BrokenProcessPool as error:
            finished += len(taken)
            yield from [(key, error) for key in taken]
            taken.clear()


def _run_on_dask(client: Any, cells: Cells, work: Work) -> Iterator[tuple[str, Any]]:
    """By dask's own futures: joblib's backend (1.6) waits for ever for a task that dask gave up."""
    from distributed import KilledWorker, as_completed

    keys = {client.submit(_run_cell, work, key, cells[key], pure=False): key for key in cells}
    for future in as_completed(list(keys), loop=client.loop):
        try:
            yield future.result()
        except KilledWorker as error:
            yield keys[future], error


def _run_on_ray(workers: int, cells: Cells, work: Work) -> Iterator[tuple[str, Any]]:
    """One block after another: joblib's backend for ray gives whole lists only."""
    calls = (joblib.delayed(_run_cell)(work, key, cells[key]) for key in cells)
    while block := list(itertools.islice(calls, workers)):
        yield from joblib.Parallel(n_jobs=-1, batch_size=1)(block)


@contextlib.contextmanager
def _dask_client(scheduler: str | None) -> Iterator[Any]:
    from distributed import Client

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
        yield client


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
    """In a worker: what `work` gives or raises. Nothing here raises for a cell that fails."""
    started = time.perf_counter()
    try:
        figures = _plain(work(settings))
        taken = sorted(figures.keys() & {*settings, *OUTCOME})
        if taken:
            raise ValueError(f"figures under names of other columns: {', '.join(taken)}")
        return key, _outcome(started, figures=figures)
    except Exception as error:
        return key, _outcome(started, error=error)


def _outcome(started: float, figures: Any = None, error: Exception | None = None) -> Outcome:
    return {
        "status": "done" if error is None else "failed",
        "error": None if error is None else f"{type(error).__name__}: {error}",
        "seconds": round(time.perf_counter() - started, 3),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "figures": figures or {},
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    """The versions that decide what a run computes, and the GPU where there is one."""
    found = {"python": platform.python_version()}
    for name in ("listcomp_utils", "torch", "transformer_lens"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    torch = sys.modules.get("torch")  # not for the sake of a cell that did without it
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures as plain JSON: also of arrays and tensors, None for numbers that JSON lacks."""
    text = json.dumps(figures, default=lambda array: array.tolist())
    return json.loads(text, parse_constant=lambda _: None)
