"""One table for every benchmark: what, ours, baseline, ratio.

A benchmark is a file `bench_NAME.py` in this folder with a function `rows()` that measures and
returns rows; `python benchmarks` finds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement, ours beside a baseline taken in the same run."""

    what: str
    ours: float
    baseline: float
    unit: str
    against: str
    """What the baseline is."""
    bigger_is_better: bool = False

    @property
    def ratio(self) -> float:
        """How many times better ours is; below 1 it is worse."""
        better, worse = self.baseline, self.ours
        return worse / better if self.bigger_is_better else better / worse


def fastest(task: Callable[[], object], repeats: int = 3) -> float:
    """Least seconds of a few runs, after one to warm up."""
    task()
    return min(seconds(task) for _ in range(repeats))


def seconds(task: Callable[[], object]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def print_table(rows: Iterable[Row]) -> None:
    """The rows under one head, columns aligned."""
    head = ("what", "ours", "baseline", "ratio", "baseline is")
    cells = [
        (
            row.what,
            f"{row.ours:.3g} {row.unit}",
            f"{row.baseline:.3g} {row.unit}",
            f"{row.ratio:.2f}x",
            row.against,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [head, *cells]) for column in range(len(head))]
    for line in [head, *cells]:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
