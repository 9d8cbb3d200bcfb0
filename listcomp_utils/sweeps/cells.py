"""Running the cells of a sweep: what happens inside a worker process.

    index, outcomes = run_unit(0, cells, Work())
    outcomes[0]["status"], outcomes[0]["result"]["per_token"]

PyTorch and TransformerLens are imported when the first cell runs, so that the process that only
hands out cells starts at once. Nothing here raises for a cell that fails: its outcome says so.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import math
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listcomp_utils.config import Config
from listcomp_utils.sweeps.grid import Cell

if TYPE_CHECKING:
    from listcomp_utils.training.loop import TrainResult

Outcome = dict[str, Any]
"""`status` ("done" or "failed"), `result` or `error`, `seconds`, `finished` and `made_with`."""

LISTS_SCORED = 10_000
"""Where no list is held out, all lists up to this many are scored, else a sample of this size."""


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One CPU thread for PyTorch: cells run side by side, and alike however many do."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def train_group(configs: Sequence[Config]) -> list[TrainResult]:
    """Train configs that differ by their seed only, as one batch.

    Raises:
        RuntimeError: when the loss of one stops being a number.
        KeyboardInterrupt: on Ctrl-C, on which training by itself keeps what it has.
    """
    from listcomp_utils.training.loop import raise_if_diverged, train_many

    trained = train_many(configs[0], [config.seed for config in configs], progress="none")
    if any(result.history.interrupted for result in trained):
        raise KeyboardInterrupt
    for result in trained:
        raise_if_diverged(result)
    return trained


@dataclass(frozen=True)
class Work:
    """What a worker does with its cells."""

    train: Callable[[Sequence[Config]], list[TrainResult]] = train_group
    """Trains configs that differ by their seed only, together where it can."""
    measure: Callable[[TrainResult], Mapping[str, Any]] | None = None
    """Figures beside the usual ones, as plain JSON values under names that no setting has."""
    models: Path | None = None
    """Folder to keep trained models in; None keeps none."""
    notebooks: Path | None = None
    """Folder of the executed notebooks."""


def run_unit(index: int, cells: Sequence[Cell], work: Work) -> tuple[int, list[Outcome]]:
    """Run cells that belong together; `index` and an outcome for each.

    Several cells are trained as a group; when that fails, each is trained alone.
    """
    if len(cells) == 1:
        return index, [_run_alone(cells[0], work)]
    started = time.perf_counter()
    try:
        trained = list(zip(cells, work.train([cell.config for cell in cells]), strict=True))
    except Exception as error:
        failure = _error_of(error)
        return index, [{**_run_alone(cell, work), "group_error": failure} for cell in cells]
    share = (time.perf_counter() - started) / len(cells)
    outcomes = []
    for cell, result in trained:
        outcome = _outcome(lambda c=cell, r=result: _measure_and_keep(c, r, work))
        seconds = round(outcome["seconds"] + share, 3)
        outcomes.append({**outcome, "seconds": seconds, "trained_together": len(cells)})
    return index, outcomes


@_one_thread()
def measure_training(trained: TrainResult) -> dict[str, Any]:
    """The figures of one training, on held-out lists where there are any, else all or a sample.

    Losses in nats per scored position; `train_...` figures are of the kept weights on the lists
    that training watched.
    """
    from listcomp_utils.generation import accuracy, mean_loss
    from listcomp_utils.task import lists_to_score, split_lists
    from listcomp_utils.training.history import breakthrough_step

    config, history = trained.config, trained.history
    lists, scored_on = split_lists(config).held_out, "held-out"
    if not len(lists):
        lists = lists_to_score(config, most=LISTS_SCORED)
        scored_on = "all" if len(lists) == config.n_lists else "sample"
    scores = accuracy(trained.model, lists)
    broke_through = breakthrough_step(history, config)
    return {
        "broke_through": broke_through is not None,
        "breakthrough_step": broke_through,
        "scored_on": scored_on,
        "n_scored": scores.n_lists,
        "per_token": scores.per_token,
        "per_list": scores.per_list,
        "loss": mean_loss(trained.model, lists),
        "train_loss": history.best.train_loss,
        "train_loss_floor": history.train_loss_floor,
        "train_per_token": history.best.train.per_token,
        "train_per_list": history.best.train.per_list,
        "best_step": history.best_step,
        "steps_done": history.steps_done,
    }


def watch_parent(parent: int) -> None:
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


def _run_alone(cell: Cell, work: Work) -> Outcome:
    if cell.notebook is not None:
        return _outcome(lambda: _run_notebook(cell, work))

    def run() -> dict[str, Any]:
        (trained,) = work.train([cell.config])
        return _measure_and_keep(cell, trained, work)

    return _outcome(run)


def _measure_and_keep(cell: Cell, trained: TrainResult, work: Work) -> dict[str, Any]:
    result = measure_training(trained)
    if work.measure is not None:
        result |= work.measure(trained)
        taken = sorted(result.keys() & cell.settings.keys())
        if taken:
            raise ValueError(f"measure gives figures under names of settings: {', '.join(taken)}")
    if work.models is not None:
        from listcomp_utils.checkpoints import save_model

        path = work.models / f"{trained.config.slug}.safetensors"
        save_model(trained.model, path, trained.history)
    return result


def _run_notebook(cell: Cell, work: Work) -> dict[str, Any]:
    """Execute the notebook of a cell; its claims. Raises RuntimeError when the notebook fails."""
    import hashlib

    import nbformat

    from listcomp_utils.notebook.claims import recorded_claims
    from listcomp_utils.series.run import execute_notebook, select_notebooks

    folder = work.notebooks / hashlib.sha256(cell.key.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    (notebook,) = select_notebooks([cell.notebook])
    output = folder / notebook.name
    error = execute_notebook(notebook, output, cell.settings, progress=False)
    if error:
        raise RuntimeError(f"{error} (kept: {folder.name}/{output.name})")
    claims = recorded_claims(nbformat.read(output, as_version=4))
    checked = [claim["holds"] for claim in claims if claim["holds"] is not None]
    return {
        "claims_checked": len(checked),
        "claims_held": sum(checked),
        "claims": claims,
        "kept": f"{folder.name}/{output.name}",
    }


def _outcome(run: Callable[[], Mapping[str, Any]]) -> Outcome:
    """What `run` gives or raises, with its time and the versions that made it."""
    started = time.perf_counter()
    try:
        result = json.loads(json.dumps(_finite(run())))
        outcome: Outcome = {"status": "done", "result": result}
    except Exception as error:
        outcome = {"status": "failed", "error": _error_of(error)}
    outcome["seconds"] = round(time.perf_counter() - started, 3)
    now = datetime.datetime.now(datetime.UTC)
    return {**outcome, "finished": now.isoformat(timespec="seconds"), "made_with": versions()}


def versions() -> dict[str, str]:
    """The versions that decide what a run computes, and the GPU where there is one."""
    found = {"python": platform.python_version()}
    for name in ("listcomp_utils", "torch", "transformer_lens"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    torch = sys.modules.get("torch")  # not for the sake of a cell that failed before it
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def _error_of(error: Exception) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}


def _finite(value: Any) -> Any:
    """The value with None for numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
