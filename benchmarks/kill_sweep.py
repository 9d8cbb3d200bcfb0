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


def whole_lines(path: Path) -> bytes:
    """The records that were wholly written."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def wait_for_growth(path: Path, lines: int, process: subprocess.Popen) -> None:
    """Wait until a run more is recorded, so that the kill falls among running cells."""
    while whole_lines(path).count(b"\n") <= lines and process.poll() is None:
        time.sleep(0.01)


def main() -> int:
    """Run the trial; 0 when everything held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        records = runs / "sweeps" / "killed" / "runs.jsonl"
        kept = b""
        for number in range(1, options.kills + 1):
            process = start(runs)
            if number > 1:  # the first kill may fall before the first run
                wait_for_growth(records, kept.count(b"\n"), process)
            time.sleep(moments.uniform(0, 1.5))
            family = psutil.Process(process.pid).children(recursive=True)
            alone = number % 2 == 1
            (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
            process.wait()
            _, alive = psutil.wait_procs(family, timeout=5)
            after = whole_lines(records)
            print(
                f"kill {number:2d} ({'parent alone' if alone else 'all'}): "
                f"{len(after.splitlines()):2d} of {CELLS} recorded, {len(alive)} processes left "
                f"over, earlier records untouched: {after.startswith(kept)}",
                flush=True,
            )
            if alive or not after.startswith(kept):
                return 1
            kept = after
        process = start(runs)
        errors = process.communicate()[1]
        if process.returncode:
            print(errors)
            return 1
        final = records.read_bytes()
        cells = [
            json.dumps(json.loads(line)["settings"], sort_keys=True) for line in final.splitlines()
        ]
        table = json.loads((records.parent / "table.json").read_text())
        checks = {
            "nothing lost": final.startswith(kept),
            "nothing twice": len(cells) == len(set(cells)),
            "table complete": len(table) == len(cells) == CELLS,
            "all done": all(row["status"] == "done" for row in table),
        }
    for what, holds in checks.items():
        print(f"{what}: {'yes' if holds else 'NO'}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
