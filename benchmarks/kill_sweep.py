"""Kill a sweep ten times at random moments, and check that no run was lost and none made twice.

python benchmarks/kill_sweep.py [--kills 10] [--seed 0]

The sweep is the real command with tiny trainings on two processes, killed with SIGKILL: its
parent process alone or, every other time, all its processes. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

GRID = ["-g", "n_layers=1,2", "-g", "seed=0..11", "-p", "steps", "600", "--name", "killed"]
CELLS = 24


def start(runs: Path) -> subprocess.Popen:
    """The sweep as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "listcomp_utils", "sweep", *GRID, "--jobs", "2"],
        env={**os.environ, "LISTCOMP_RUNS": str(runs), "LISTCOMP_HEADLESS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def recorded(folder: Path) -> list[tuple]:
    """Every row of the record in the order of writing, read as any tool would; [] before one."""
    if not (folder / "cells.sqlite").exists():
        return []
    with sqlite3.connect(folder / "cells.sqlite", timeout=60) as database:
        if not database.execute("SELECT * FROM sqlite_master").fetchall():
            return []
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute("SELECT settings, * FROM cells ORDER BY rowid").fetchall()


def kill(process: subprocess.Popen, alone: bool) -> list[psutil.Process]:
    """Kill the sweep's parent process or all its processes; those still there after 5 s."""
    family = psutil.Process(process.pid).children(recursive=True)
    (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=5)
    return [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def main() -> int:
    """Run the trial; 0 when everything held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as runs:
        folder = Path(runs) / "sweeps" / "killed"
        kept: list[tuple] = []
        for number in range(1, options.kills + 1):
            process = start(Path(runs))
            # So that kills fall among running cells; the first may fall before any.
            while number > 1 and len(recorded(folder)) <= len(kept) and process.poll() is None:
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 1.5))
            alone = number % 2 == 1
            alive = kill(process, alone)
            after = recorded(folder)
            untouched = after[: len(kept)] == kept
            print(
                f"kill {number:2d} ({'parent alone' if alone else 'all'}): "
                f"{len(after):2d} of {CELLS} recorded, {len(alive)} processes left over, "
                f"earlier records untouched: {untouched}",
                flush=True,
            )
            if alive or not untouched:
                return 1
            kept = after
        process = start(Path(runs))
        errors = process.communicate()[1]
        if process.returncode:
            print(errors)
            return 1
        final = recorded(folder)
        cells = {settings for settings, *_ in final}
        table = json.loads((folder / "table.json").read_text())
        checks = {
            "nothing lost": final[: len(kept)] == kept,
            "nothing twice": len(cells) == len(final),
            "table complete": len(table) == len(final) == CELLS,
            "all done": all(row["status"] == "done" for row in table),
        }
    for what, holds in checks.items():
        print(f"{what}: {'yes' if holds else 'NO'}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
