"""Showing how long work goes on: a live bar where somebody watches, else a few plain lines.

with shown_progress(300, "step") as report:
    report(20, "loss 0.61")                    # after 20 of 300
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Literal

from tqdm import tqdm

from listcomp_utils.config import coerce
from listcomp_utils.files import HEADLESS_VARIABLE

Progress = Literal["auto", "bar", "lines", "none"]


@contextlib.contextmanager
def shown_progress(
    total: int, unit: str, progress: Progress = "auto", start: int = 0, most_lines: int = 10
) -> Iterator[Callable[[int, str], None]]:
    """What takes how many units are done and a text: a bar, at most so many lines, or nothing."""
    progress, in_jupyter = coerce("progress", progress, Progress), "ipykernel" in sys.modules
    if progress == "auto":
        watched = not os.environ.get(HEADLESS_VARIABLE) and (sys.stderr.isatty() or in_jupyter)
        progress = "bar" if watched else "lines"
    where = sys.stdout if in_jupyter else sys.stderr  # which Jupyter shows in red
    started, said = time.monotonic(), start
    hidden = progress != "bar"
    with tqdm(total=total, initial=start, unit=unit, file=where, disable=hidden) as bar:

        def report(done: int, text: str) -> None:
            nonlocal said
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)
            if progress == "lines" and done - said >= (total - start) / most_lines:
                said = done
                left = (time.monotonic() - started) / (done - start) * (total - done)
                left = tqdm.format_interval(left)
                print(f"{unit} {done}/{total}: {text} (about {left} left)", flush=True)

        yield report
