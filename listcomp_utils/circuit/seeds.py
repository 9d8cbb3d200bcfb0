"""The study preset's training seeds, each measured: is a finding the mechanism's or the seed's?

    make_table("circuit_seeds", "artifacts", jobs=2)    # trains and measures the eight seeds
    seeds = read_table("circuit_seeds")                 # of `sweeps.table`: a row a seed
    seeds["accuracy"].mean(), seeds["failures.recall"].min()

A row has the quantities of `quantities.measure`, and how a failure predictor fitted on the other
seeds' held-out lists does on this one's (`failures.` with a name of `score_failures`), with its
numbers (`failure_predictor`, the fields of a `FailurePredictor`).
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import pandas as pd
import torch

from listcomp_utils.checkpoints import find_trained
from listcomp_utils.circuit.failures import fit_failures, score_failures
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.quantities import measure
from listcomp_utils.config import Config
from listcomp_utils.sweeps.engine import sweep_folder
from listcomp_utils.sweeps.grid import trainings
from listcomp_utils.sweeps.training import Table, TrainCell, make_table_of
from listcomp_utils.task import split_lists


def cross_fitted(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the seeds, each with the failure predictor that is fitted on the others."""
    models = []
    for settings in frame[[*Config.model_fields]].to_dict("records"):
        config = Config(**settings)
        found = find_trained(config, sweep_folder("circuit_seeds") / "models")
        models.append((weights_of(found.model, torch.float64), split_lists(config).held_out))
    rows = []
    for number, model in enumerate(models):
        predictor = fit_failures(models[:number] + models[number + 1 :])
        scores = score_failures(predictor, *model).add_prefix("failures.")
        rows.append({**scores, "failure_predictor": asdict(predictor)})
    return frame.assign(**pd.DataFrame(rows))


TABLES = {
    "circuit_seeds": Table(
        "Is the order mechanism of the study's model the same for every training seed?",
        trainings(dict(preset="study", seed=range(8))),
        TrainCell(measure),
        finish=cross_fitted,
        keep_models=True,
    )
}
make_table = partial(make_table_of, TABLES)
