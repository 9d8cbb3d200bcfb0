"""The processes that run a sweep's cells: on this machine, or on a cluster.

with open_workers("loky", None, jobs=2) as run:
    for key, result in run({"a": (f, 1), "b": (f, 2)}): ...     # f(1) and f(2), as they finish

The result of a task whose process died is the exception that says so. A local worker is reused from
task to task (importing TransformerLens takes about 10 s), has one thread, and ends when its parent
does.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal

import joblib

from listcomp_utils.config import ConfigError

Backend = Literal["loky", "dask", "ray"]
Tasks = Mapping[str, tuple[Any, ...]]
"""By key, a function and its arguments."""


@contextlib.contextmanager
def open_workers(
    backend: Backend, scheduler: str | None, jobs: int
) -> Iterator[Callable[[Tasks], Iterator[tuple[str, Any]]]]:
    """What runs tasks, for a block: gives key and result of each as it finishes.

    Raises:
        ConfigError: for a package, a scheduler or a cluster that is not there or not fit.
    """
    if backend == "loky":
        if scheduler is not None:
            raise ConfigError("scheduler is for the backends dask and ray")
        watched = dict(initializer=_watch_parent, initargs=(os.getpid(),))
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1, **watched):
            yield functools.partial(_run_here, jobs=jobs)
    elif backend == "dask":
        with _dask_client(scheduler) as client:
            yield functools.partial(_run_on_dask, client)
    elif backend == "ray":
        try:
            import ray
            from ray.util.joblib import register_ray
        except ImportError:
            raise ConfigError("the backend ray needs the package ray: pip install ray") from None
        register_ray()
        ray.init(address=scheduler, ignore_reinit_error=True, log_to_driver=False)
        with joblib.parallel_config(backend="ray"):
            yield functools.partial(_run_on_ray, workers=int(ray.cluster_resources()["CPU"]))
    else:
        raise ConfigError(f"backend must be 'loky', 'dask' or 'ray', got {backend!r}")


def _call(key: str, function: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    return key, function(*arguments)


def _run_here(tasks: Tasks, jobs: int) -> Iterator[tuple[str, Any]]:
    """In this process for one job, else in as many as are needed."""
    waiting = iter(tasks.items())
    taken: dict[str, Any] = {}

    def hand_out() -> Iterator[Any]:
        for key, task in waiting:
            taken[key] = task
            yield joblib.delayed(_call)(key, *task)

    workers = 1 if jobs == 1 else max(2, min(jobs, len(tasks)))  # joblib runs one in this process
    left = len(tasks)
    while left:
        pool = joblib.Parallel(
            workers, batch_size=1, pre_dispatch="n_jobs", return_as="generator_unordered"
        )
        try:
            with contextlib.closing(pool(hand_out())) as results:
                for key, result in results:
                    del taken[key]
                    left -= 1
                    yield key, result
        except BrokenProcessPool as error:
            for key in list(taken):
                del taken[key]
                left -= 1
                yield key, error


def _run_on_dask(client: Any, tasks: Tasks) -> Iterator[tuple[str, Any]]:
    """By dask's own futures: joblib's backend (1.6) waits for ever for a task that dask gave up."""
    from distributed import KilledWorker, as_completed

    keys = {client.submit(_call, key, *task, pure=False): key for key, task in tasks.items()}
    for future in as_completed(list(keys)):
        try:
            yield future.result()
        except KilledWorker as error:
            yield keys[future], error


def _run_on_ray(tasks: Tasks, workers: int) -> Iterator[tuple[str, Any]]:
    """A block after another: joblib's backend for ray gives whole lists only."""
    calls = (joblib.delayed(_call)(key, *task) for key, task in tasks.items())
    while block := list(itertools.islice(calls, workers)):
        yield from joblib.Parallel(n_jobs=-1, batch_size=1)(block)


@contextlib.contextmanager
def _dask_client(scheduler: str | None) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "the backend dask needs the package distributed: pip install distributed"
        ) from None
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
