"""The engine: no cell is lost or run twice, failures stay their own, tables hold every cell."""

import errno
import json
import math
import os
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from listcomp_utils.config import ConfigError
from listcomp_utils.sweeps.engine import read_cells, run_grid
from listcomp_utils.sweeps.records import FILE


def seeds(count, **settings):
    return [{**settings, "seed": seed} for seed in range(count)]


def half(settings):
    if settings["seed"] % 2:
        raise ValueError("odd")
    return {"half": settings["seed"] / 2, "parts": [1, {"a": None}]}


def quiet(cells, folder, work=half, **how):
    return run_grid(cells, work, folder, **{"jobs": 1, "progress": "none", **how})


def test_a_row_a_cell_in_the_order_given(tmp_path):
    frame = quiet(seeds(4)[::-1], tmp_path)
    assert list(frame.columns) == ["seed", "status", "error", "seconds", "half", "parts"]
    assert list(frame["seed"]) == [3, 2, 1, 0]
    assert list(frame["status"]) == ["failed", "done", "failed", "done"]
    assert frame["error"][0] == "ValueError: odd"
    assert frame["parts"][1] == [1, {"a": None}] and frame["half"][1] == 1
    made = frame.attrs["made"]
    assert made["versions"]["python"] and made["finished"] and made["seconds"] == 0


def test_resuming_repeats_nothing_and_failed_cells_only_when_asked(tmp_path):
    ran = []

    def work(settings):
        ran.append(settings["seed"])
        return half(settings)

    first = quiet(seeds(3), tmp_path, work)
    pd.testing.assert_frame_equal(quiet(seeds(3), tmp_path, work), first)
    assert ran == [0, 1, 2]
    assert len(quiet([*seeds(4), {"seed": 3.0}], tmp_path, work)) == 4
    quiet(seeds(2), tmp_path, work, retry_failed=True)
    assert ran == [0, 1, 2, 3, 1]
    assert sorted(read_cells(tmp_path)["seed"]) == [0, 1, 2, 3]


def test_the_tables_hold_every_cell_recorded(tmp_path):
    quiet(seeds(4, size=1), tmp_path)
    quiet(seeds(1, size=2), tmp_path)
    rows = json.loads((tmp_path / "table.json").read_text())
    assert [(row["size"], row["seed"]) for row in rows] == [(2, 0), (1, 0), (1, 1), (1, 2), (1, 3)]
    assert rows[2]["half"] is None and rows[1]["parts"] == [1, {"a": None}]
    assert len(pd.read_csv(tmp_path / "table.csv")) == 5
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert list(summary["seeds"]) == [1, 2] and list(summary["failed"]) == [0, 2]
    assert list(summary["half"]) == [0, 0.5]


@pytest.mark.parametrize("name", ["seed", "status", "error", "seconds"])
def test_figures_overwrite_no_other_column(tmp_path, name):
    frame = quiet(seeds(1), tmp_path, lambda _: {name: 1})
    assert frame["status"][0] == "failed" and frame["seed"][0] == 0
    assert frame["error"][0] == f"ValueError: figures under names of other columns: {name}"


def test_figures_become_plain_values(tmp_path):
    numbers = {"a": np.arange(2), "b": np.float32(0.5), "c": [math.nan, math.inf], "d": np.True_}
    (row,) = quiet(seeds(1), tmp_path, lambda _: numbers).to_dict("records")
    assert (row["a"], row["b"], row["c"], row["d"]) == ([0, 1], 0.5, [None, None], True)


@pytest.mark.parametrize(
    ("cells", "how", "named"),
    [
        ([], {}, "no cells to run"),
        (seeds(1), {"jobs": 0}, "jobs must be at least 1, got 0"),
        (seeds(1), {"jobs": "two"}, "jobs must be a whole number, got 'two'"),
        ([{"status": 1}], {}, "a setting must not have a column's name, got status"),
        ([{"seed": math.nan}], {}, "settings must be plain JSON values"),
        ([{"seed": {1, 2}}], {}, "settings must be plain JSON values"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_made(tmp_path, cells, how, named):
    with pytest.raises(ConfigError, match=named):
        quiet(cells, tmp_path / "x", **how)
    assert not (tmp_path / "x").exists()


def test_a_folder_with_another_kind_of_run_is_refused(tmp_path):
    quiet(seeds(1), tmp_path)
    with pytest.raises(ConfigError, match=r"holds half, not .*<lambda>: choose another name"):
        quiet(seeds(1), tmp_path, lambda _: {})


def test_tables_on_a_full_disk_say_that_the_cells_are_kept(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("listcomp_utils.sweeps.table.write_atomically", full)
    with pytest.raises(ConfigError, match=r"No space left on device; all cells are recorded"):
        quiet(seeds(2), tmp_path)
    assert len(read_cells(tmp_path)) == 2


def test_progress_is_a_line_a_cell_unless_watched(tmp_path, monkeypatch, capsys):
    quiet(seeds(2, size=1), tmp_path / "a", progress="auto")  # the tests run headless
    first, second = capsys.readouterr().out.splitlines()
    assert first == "cell 1/2: seed=0: half 0 (about 00:00 left)"
    assert second.startswith("cell 2/2: seed=1: FAILED ValueError: odd; 1 failed (about")
    monkeypatch.delenv("LISTCOMP_HEADLESS")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # another test may load it
    quiet(seeds(2), tmp_path / "b", progress="auto")
    shown = capsys.readouterr()
    assert not shown.out and "2/2" in shown.err and "1 failed" in shown.err


def test_kill_9_loses_nothing_and_repeats_nothing(tmp_path):
    """The full trial, with real trainings and ten kills, is benchmarks/kill_sweep.py."""
    code = (
        "import sys, time\n"
        "from listcomp_utils.sweeps.engine import run_grid\n"
        "def work(settings):\n"
        "    time.sleep(0.1)\n"
        "    return {'x': settings['seed']}\n"
        "run_grid([{'seed': s} for s in range(16)], work, sys.argv[1], jobs=2, progress='none')"
    )
    call = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(call)
    deadline = time.monotonic() + 60
    while len(read_cells(tmp_path)) < 4:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = rows_of(tmp_path)
    assert len(kept) < 16
    subprocess.run(call, check=True)
    assert rows_of(tmp_path)[: len(kept)] == kept
    assert sorted(read_cells(tmp_path)["x"]) == list(range(16))
    assert len(json.loads((tmp_path / "table.json").read_text())) == 16


def rows_of(folder):
    """What the file holds, to the byte of every column."""
    database = sqlite3.connect(folder / FILE)
    rows = database.execute("SELECT rowid, * FROM cells ORDER BY rowid").fetchall()
    database.close()
    return rows
