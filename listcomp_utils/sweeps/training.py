"""A cell of a sweep that trains one model, what is measured of it, and the tables that ship.

frame = run_sweep({"list_len": [2, 3], "seed": range(5)}, {"steps": 400}, folder, jobs=2)
frame = run_grid(config_cells(grid), TrainCell(measure=my_figures), folder)     # the same in parts
make_table_of({"depth": Table("How deep?", cells)}, "depth", "artifacts", jobs=2)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from listcomp_utils.config import Config, check_names
from listcomp_utils.files import check_writable
from listcomp_utils.sweeps.engine import name_of, run_grid, sweep_folder
from listcomp_utils.sweeps.grid import config_cells
from listcomp_utils.sweeps.table import write_table
from listcomp_utils.sweeps.workers import Work

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from listcomp_utils.training.loop import TrainResult

Measure = Callable[["TransformerBridge"], Mapping[str, Any]]
"""Figures of a trained model: plain JSON values under names that nothing else has."""

LISTS_SCORED = 10_000
"""Where no list is held out, all lists up to this many are scored, else a sample of this size."""


@dataclass(frozen=True)
class TrainCell:
    """Work for `run_grid`: trains the Config that is in a cell's settings, on one CPU thread.

    `measure` gives figures beside the usual ones. `models` is a folder to keep trained models in,
    for `checkpoints.find_trained`. `observe` makes from a config the callback of its training (see
    `train_many`), whose method `figures` makes more of the finished training. A cell fails when the
    loss stops being a number, and when two figures have one name.
    """

    measure: Measure | None = None
    models: str | Path | None = None
    observe: Callable[[Config], Any] | None = None

    def __post_init__(self) -> None:
        if self.models is not None:
            object.__setattr__(self, "models", Path(self.models).expanduser().resolve())
            check_writable(self.models, "models")

    @property
    def name(self) -> str:
        """What a sweep's folder holds: trainings measured in other ways do not mix with these."""
        parts = [name_of(part) for part in (self.measure, self.observe) if part]
        return " with ".join(["trainings", *parts])

    def __call__(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        # PyTorch is imported in the worker that runs a cell, and not before.
        from listcomp_utils.checkpoints import save_model
        from listcomp_utils.training.loop import one_thread, train

        config = Config(**settings)
        observer = self.observe and self.observe(config)
        trained = train(config, "none", callback=observer)
        if trained.history.interrupted:  # Ctrl-C, on which a training by itself keeps what it has
            raise KeyboardInterrupt
        figures: dict[str, Any] = {}
        with one_thread():
            found = [measure_training(trained)]
            found += [self.measure(trained.model)] if self.measure else []
            found += [observer.figures(trained)] if observer else []
            for more in found:
                if taken := sorted(figures.keys() & more.keys()):
                    raise ValueError(f"figures under names that are taken: {', '.join(taken)}")
                figures |= more
        if self.models is not None:
            save_model(trained.model, self.models / f"{config.slug}.safetensors", trained.history)
        return figures


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
    scores, step = accuracy(trained.model, lists), breakthrough_step(history, config)
    return {
        "per_token": scores.per_token,
        "per_list": scores.per_list,
        "loss": mean_loss(trained.model, lists),
        "broke_through": step is not None,
        "breakthrough_step": step,
        "scored_on": scored_on,
        "n_scored": scores.n_lists,
        "train_loss": history.best.train_loss,
        "train_per_token": history.best.train.per_token,
        "train_per_list": history.best.train.per_list,
    }


def run_sweep(
    grid: Mapping[str, Iterable[Any]],
    base: Mapping[str, Any] | Config,
    folder: str | Path,
    **how: Any,
) -> pd.DataFrame:
    """Train every combination of a grid that is not recorded in `folder` yet; a row for each.

    `base` is a config, or `preset` and fields; `how` are the keywords of `run_grid`.
    """
    return run_grid(config_cells(grid, base), TrainCell(), folder, **how)


class Table(NamedTuple):
    """A table that ships: its question, the settings of its cells, and the work that runs one.

    The columns `unread` do not ship. `finish` completes the frame once every cell is done, and
    `keep_models` has a `TrainCell` keep what it trains for that, in the sweep's folder "models".
    """

    question: str
    cells: Sequence[Mapping[str, Any]]
    work: Work = TrainCell()
    unread: Sequence[str] = ("loss", "n_scored")
    finish: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    keep_models: bool = False


def make_table_of(
    tables: Mapping[str, Table], name: str, out: str | Path, jobs: int | None = None
) -> Path:
    """Run what is not recorded yet of one of the tables, and write it to `out`/NAME.json.

    Raises:
        ConfigError: for an unknown name, and as `run_grid` and `write_table`.
        RuntimeError: when a cell failed; it runs again the next time.
    """
    check_names([name], tables, "table")
    table, folder = tables[name], sweep_folder(name)
    work = replace(table.work, models=folder / "models") if table.keep_models else table.work
    frame = run_grid(table.cells, work, folder, jobs=jobs, retry_failed=True)
    if table.finish and (frame["status"] == "done").all():
        frame = table.finish(frame)
    frame = frame.drop(columns=[*table.unread], errors="ignore")
    return write_table(frame, Path(out) / f"{name}.json", table.question)
