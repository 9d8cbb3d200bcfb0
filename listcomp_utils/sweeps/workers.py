"""The processes that run a sweep's cells: on this machine, or on a cluster through joblib.

with open_workers("loky", None, jobs=2, cells=10) as count:
    for result in results_of((joblib.delayed(f)(x) for x in xs), count, "loky"): ...

A local worker is reused from cell to cell (importing TransformerLens takes about 10 s), has one
thread, and ends when its parent does.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal

import joblib

from listcomp_utils.config import ConfigError
from listcomp_utils.sweeps.cells import watch_parent

Backend = Literal["loky", "dask", "ray"]


@contextlib.contextmanager
def open_workers(backend: Backend, scheduler: str | None, jobs: int, cells: int) -> Iterator[int]:
    """joblib's backend for a block, and how many workers it has for that many cells.

    Raises:
        ConfigError: for a package, a scheduler or a cluster that is not there or not fit.
    """
    if backend == "loky":
        if scheduler is not None:
            raise ConfigError("scheduler is for the backends dask and ray")
        watched = dict(initializer=watch_parent, initargs=(os.getpid(),))
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1, **watched):
            yield min(jobs, cells)
    elif backend == "dask":
        with (
            _dask_client(scheduler) as client,
            joblib.parallel_config(backend="dask", client=client) as settings,
        ):
            _mend(settings["backend"])
            yield len(client.nthreads())
    elif backend == "ray":
        try:
            import ray
            from ray.util.joblib import register_ray
        except ImportError:
            raise ConfigError("the backend ray needs the package ray: pip install ray") from None
        register_ray()
        ray.init(address=scheduler, ignore_reinit_error=True, log_to_driver=False)
        with joblib.parallel_config(backend="ray"):
            yield int(ray.cluster_resources()["CPU"])
    else:
        raise ConfigError(f"backend must be 'loky', 'dask' or 'ray', got {backend!r}")


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
        threads = client.nthreads()
        if not threads or max(threads.values()) > 1:
            raise ConfigError(
                f"the dask cluster must have workers of one thread each (--nthreads 1), "
                f"it has {sorted(threads.values())}: PyTorch's settings are the process's"
            )
        yield client


def _mend(backend: Any) -> None:
    """Make joblib's dask backend raise for a task that keeps killing its workers, and use one.

    By itself (joblib 1.6) it calls nobody back for a task that dask gave up, and so waits for ever;
    and where the cluster has a single worker, it runs the tasks in this process instead.
    """
    submit, retrieve = backend.submit, backend.retrieve_result_callback
    count = backend.effective_n_jobs

    def submit_and_tell(task: Any, callback: Callable[[Any], None]) -> Future:
        future = submit(task, callback)
        future.add_done_callback(lambda done: callback(done) if done.exception() else None)
        return future

    def retrieve_or_raise(out: Any) -> Any:
        if isinstance(out, Future):
            raise BrokenProcessPool(str(out.exception())) from out.exception()
        return retrieve(out)

    backend.submit, backend.retrieve_result_callback = submit_and_tell, retrieve_or_raise
    backend.effective_n_jobs = lambda n_jobs: max(2, count(n_jobs))


def results_of(tasks: Iterator[Any], workers: int, backend: Backend) -> Iterator[Any]:
    """Results of joblib tasks as they finish, never several of them held back together."""
    if backend == "ray":  # its backend gives whole lists only
        while block := list(itertools.islice(tasks, workers)):
            yield from joblib.Parallel(n_jobs=-1, batch_size=1)(block)
        return
    yield from joblib.Parallel(
        n_jobs=workers,
        batch_size=1,
        pre_dispatch="n_jobs" if backend == "loky" else "2*n_jobs",
        return_as="generator_unordered",
    )(tasks)
