"""The course of a training: what was measured after how many steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from listcomp_utils.config import Config
from listcomp_utils.generation import Accuracy


@dataclass(frozen=True)
class Evaluation:
    """What the model had reached after `step` optimiser steps."""

    step: int
    train_loss: float
    """Mean cross entropy (nats) over the training lists."""
    train: Accuracy
    held_out_loss: float | None
    held_out: Accuracy | None
    """None when every list is trained on."""


@dataclass(frozen=True)
class History:
    """The course of one training, as it is stored beside the weights."""

    evaluations: tuple[Evaluation, ...]
    train_loss_floor: float
    """Lowest loss any model can reach on the training lists (nats)."""
    best_step: int
    """Step of the lowest training loss: the weights that were kept."""
    steps_done: int
    seconds: float
    """Wall time of the optimiser steps and evaluations, model building excluded; that of all
    models where several were trained at once."""
    interrupted: bool = False
    diverged: bool = False
    """The loss stopped being a number after `steps_done` steps; what is kept is from before."""

    @property
    def best(self) -> Evaluation:
        """The evaluation of the weights that were kept."""
        return next(row for row in self.evaluations if row.step == self.best_step)

    def course(self) -> pd.DataFrame:
        """Losses (nats) with their floor and shares right, a column each, by optimiser step."""
        rows = {}
        for row in self.evaluations:
            rows[row.step] = columns = {"loss, training lists": row.train_loss}
            for place, share in enumerate(row.train.per_position, start=1):
                columns[f"o{place}, training lists"] = share
            columns["whole list, training"] = row.train.per_list
            if row.held_out is not None:
                columns["loss, held out"] = row.held_out_loss
                columns["whole list, held out"] = row.held_out.per_list
            columns[f"floor {self.train_loss_floor:.3f}"] = self.train_loss_floor
        return pd.DataFrame.from_dict(rows, orient="index")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """What `dataclasses.asdict` made of a history; raises ValueError when it is damaged."""
        history = TypeAdapter(cls).validate_python(values)
        if history.best_step not in [row.step for row in history.evaluations]:
            raise ValueError(f"best_step {history.best_step} was never evaluated")
        return history


def breakthrough_step(history: History, config: Config) -> int | None:
    """First evaluated step with under half of ln 2 nats of avoidable loss per output, or None.

    ln 2 is what an output costs that is one of two digits in unknown order, the plateau on which
    training of the study preset waits.
    """
    scored = config.list_len
    if config.loss_on == "all":
        scored = config.seq_len - (config.decoding == "autoregressive")
    enough = history.train_loss_floor + math.log(2) / 2 * config.list_len / scored
    return next((row.step for row in history.evaluations if row.train_loss < enough), None)
