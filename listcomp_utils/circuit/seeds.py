"""The study preset's training seeds, each measured: is a finding the mechanism's or the seed's?

    make_table("circuit_seeds", "artifacts", jobs=2)    # trains and measures the eight seeds
    seeds = read_table("circuit_seeds")                 # of `sweeps.table`: a row a seed
    seeds["accuracy"].mean(), seeds["failures.recall"].min()

A row has the quantities of `quantities.measure`, and how a failure predictor fitted on the other
seeds' held-out lists does on this one's (`failures.` with a name of `score_failures`), with its
numbers (`failure_predictor`, the fields of a `FailurePredictor`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from listcomp_utils.checkpoints import find_trained
from listcomp_utils.circuit.failures import fit_failures, score_failures
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.quantities import measure
from listcomp_utils.config import Config, check_names
from listcomp_utils.sweeps.engine import Progress, run_grid, sweep_folder
from listcomp_utils.sweeps.grid import config_cells
from listcomp_utils.sweeps.table import write_table
from listcomp_utils.sweeps.training import TrainCell
from listcomp_utils.task import split_lists
from listcomp_utils.training.loop import TrainResult

TABLES = ("circuit_seeds",)
SEEDS = range(8)


def make_table(
    name: str, out: str | Path, jobs: int | None = None, progress: Progress = "auto"
) -> Path:
    """Train and measure what is not recorded yet, and write the table into the folder `out`."""
    check_names([name], list(TABLES), "table")
    frame = measure_seeds(Config.preset("study"), SEEDS, sweep_folder(name), jobs, progress)
    question = "Is the order mechanism of the study's model the same for every training seed?"
    return write_table(frame, Path(out) / f"{name}.json", question)


def measure_seeds(
    config: Config,
    seeds: Iterable[int],
    folder: Path,
    jobs: int | None = None,
    progress: Progress = "auto",
) -> pd.DataFrame:
    """A row for each seed, as `run_grid` gives them; models are kept in `folder`/models.

    With two seeds or more, none of which failed, also the cross-fitted failure predictors.
    """
    models_folder = folder / "models"
    cells = config_cells({"seed": seeds}, config)
    work = TrainCell(measure=measure_result, models=models_folder)
    frame = run_grid(cells, work, folder, jobs=jobs, progress=progress)
    if len(frame) < 2 or (frame["status"] != "done").any():
        return frame
    held_out = split_lists(config).held_out
    trained = [find_trained(Config(**cell), models_folder).model for cell in cells]
    models = [(config, weights_of(model, torch.float64), held_out) for model in trained]
    rows = []
    for number, model in enumerate(models):
        predictor = fit_failures(models[:number] + models[number + 1 :])
        scores = score_failures(predictor, *model).add_prefix("failures.")
        rows.append({**scores, "failure_predictor": asdict(predictor)})
    frame[[*rows[0]]] = pd.DataFrame(rows)
    return frame


def measure_result(trained: TrainResult) -> dict[str, Any]:
    """The quantities of a finished training, for `TrainCell`."""
    return measure(trained.model)
