"""Showing how a training goes: a live bar where somebody watches, else a few plain lines.

with reporter(config, "auto") as report:
    report(rows)                               # the models' evaluations after a step
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from tqdm import tqdm

from listcomp_utils.config import Config
from listcomp_utils.files import HEADLESS_VARIABLE
from listcomp_utils.training.history import Evaluation

Progress = Literal["auto", "bar", "lines", "none"]


@contextlib.contextmanager
def reporter(
    config: Config, progress: Progress
) -> Iterator[Callable[[Sequence[Evaluation]], None]]:
    """What shows the evaluations of a step: a live bar, plain lines at every tenth, or nothing."""
    if progress == "auto":
        watched = not os.environ.get(HEADLESS_VARIABLE)
        progress = (
            "bar" if watched and (sys.stderr.isatty() or "ipykernel" in sys.modules) else "lines"
        )
    if progress == "bar":
        # Jupyter shows stderr in red.
        where = sys.stdout if "ipykernel" in sys.modules else sys.stderr
        with tqdm(total=config.steps, unit="step", mininterval=0.5, file=where) as bar:

            def show(rows: Sequence[Evaluation]) -> None:
                bar.set_postfix_str(_summary(rows), refresh=False)
                bar.update(rows[0].step - bar.n)

            yield show
        return
    shown = [0]

    def write(rows: Sequence[Evaluation]) -> None:
        step = rows[0].step
        if progress == "lines" and (step - shown[0] >= config.steps / 10):
            shown[0] = step
            print(f"step {step}/{config.steps}: {_summary(rows)}", flush=True)

    yield write


def _summary(rows: Sequence[Evaluation]) -> str:
    losses = [row.train_loss for row in rows]
    right = sum(row.train.per_list for row in rows) / len(rows)
    if len(rows) == 1:
        text = f"loss {losses[0]:.4f}, lists right {right:.1%}"
    else:
        text = (
            f"{len(rows)} models, loss {min(losses):.4f} to {max(losses):.4f}, "
            f"lists right {right:.1%}"
        )
    if rows[0].held_out is None:
        return text
    return f"{text}, held out {sum(row.held_out.per_list for row in rows) / len(rows):.1%}"
