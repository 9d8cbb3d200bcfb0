"""Workers: a dying one takes only its own cell down, none outlives its parent, dask does alike."""

import os
import signal
import subprocess
import sys
import time

import dask
import distributed
import pandas as pd
import psutil
import pytest

from listcomp_utils.config import ConfigError
from listcomp_utils.sweeps import workers
from listcomp_utils.sweeps.engine import read_cells, run_grid

SEEDS = [{"seed": seed} for seed in range(4)]


def dying():
    """Work that kills its process for seed 1; nested, so that it travels by value."""

    def die(settings):
        if settings["seed"] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"threads": os.environ.get("OMP_NUM_THREADS")}

    return die


def test_a_cell_that_kills_its_process_is_the_only_one_to_fail_by_it(tmp_path):
    frame = run_grid(SEEDS, dying(), tmp_path, jobs=2, progress="none")
    assert list(frame["status"]) == ["done", "failed", "done", "done"]
    assert frame["error"][1].startswith("TerminatedWorkerError: A worker process")
    assert set(frame["threads"].dropna()) == {"1"}


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_no_worker_outlives_its_parent(tmp_path, sent, status):
    code = (
        "import os, pathlib, sys, time\n"
        "from listcomp_utils.sweeps.engine import run_grid\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "def work(settings):\n"
        "    (folder / str(os.getpid())).touch()\n"
        "    time.sleep(settings['wait'])\n"
        "    return {}\n"
        "cells = [{'wait': 0}, {'wait': 60}, {'wait': 61}]\n"
        "try:\n"
        "    run_grid(cells, work, folder / 'sweep', jobs=2, progress='none')\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("[0-9]*"))) < 2 or not len(read_cells(tmp_path / "sweep")):
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    busy = [psutil.Process(int(path.name)) for path in tmp_path.glob("[0-9]*")]
    parent.send_signal(sent)
    assert parent.wait(20) == status
    _, alive = psutil.wait_procs(busy, timeout=5)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    assert list(read_cells(tmp_path / "sweep")["wait"]) == [0]


@pytest.fixture(scope="module")
def cluster():
    """The keywords to run on a local dask cluster that gives up a task when one worker dies."""
    how = dict(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    gives_up = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with gives_up, distributed.LocalCluster(**how) as started:
        yield dict(backend="dask", scheduler=started.scheduler_address, progress="none")


def test_a_dask_cluster_gives_what_this_machine_gives(tmp_path, cluster):
    def work(settings):
        return {"third": 1 / (3 * settings["seed"]), "parts": [settings["seed"], None]}

    there = run_grid(SEEDS, work, tmp_path / "there", **cluster)
    here = run_grid(SEEDS, work, tmp_path / "here", jobs=1, progress="none")
    assert list(here["status"]) == ["failed", "done", "done", "done"]
    pd.testing.assert_frame_equal(there.drop(columns="seconds"), here.drop(columns="seconds"))


def test_a_cell_that_kills_its_dask_worker_fails_alone(tmp_path, cluster):
    frame = run_grid(SEEDS, dying(), tmp_path, **cluster)
    assert list(frame["status"]) == ["done", "failed", "done", "done"]
    assert frame["error"][1].startswith("KilledWorker")


def test_what_is_not_fit_is_refused(tmp_path, monkeypatch):
    def refused(**how):
        with pytest.raises(ConfigError) as refusal:
            run_grid(SEEDS, dying(), tmp_path, progress="none", **how)
        return str(refusal.value)

    assert "needs scheduler, such as tcp://127.0.0.1:8786" in refused(backend="dask")
    assert "got 'x'" in refused(scheduler="x")
    assert refused(backend="mpi") == "backend must be 'loky', 'dask' or 'ray', got 'mpi'"
    how = dict(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0")
    with distributed.LocalCluster(**how) as started:
        said = refused(backend="dask", scheduler=started.scheduler_address)
    assert "workers of one thread each (--nthreads 1), it has [2]" in said
    monkeypatch.setattr(workers.importlib.util, "find_spec", lambda name: None)
    assert refused(backend="ray") == "the backend ray needs the package ray: pip install ray"
    assert refused(backend="dask").endswith("package distributed: pip install distributed")
