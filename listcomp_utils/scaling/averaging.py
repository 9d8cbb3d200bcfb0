"""How far training alone can go: recipes compared on an inner split, the chosen one reported once.

    TrainCell(observe=AveragedWeights)(config.to_dict())["averaged_per_token"]

A config with the preset's split and `INNER_FRACTION` of all lists to train on leaves the last
training lists of the whole split to choose by; the held-out lists are not looked at.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Int
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy
from listcomp_utils.task import split_lists
from listcomp_utils.training.loop import TrainResult

WHOLE_FRACTION, INNER_FRACTION = 0.8, 0.7
"""Shares of all lists that are trained on: by the preset, and to choose a recipe."""

AVERAGED = 0.2
"""Share of the steps, at the end, over which weights are averaged."""


class AveragedWeights:
    """Averages one training's weights over its last evaluations; a cell's observer."""

    def __init__(self, config: Config) -> None:
        self.first_step = (1 - AVERAGED) * config.steps
        self.average: AveragedModel | None = None

    def __call__(self, seed: int, step: int, model: nn.Module) -> None:
        """Take the weights in, once the last `AVERAGED` of the steps have come."""
        if step >= self.first_step:
            self.average = self.average or AveragedModel(model)
            self.average.update_parameters(model)

    def figures(self, trained: TrainResult) -> dict[str, Any]:
        """Accuracy of the kept (`judged_`) and of the averaged weights on `judging_lists`.

        `judged_on` says which those are: "held-out", or "inner" to choose a recipe by.
        """
        lists = judging_lists(trained.config)
        kept = accuracy(trained.model, lists)
        return {
            "judged_on": "inner" if trained.config.train_fraction < WHOLE_FRACTION else "held-out",
            "judged_per_token": kept.per_token,
            "judged_per_list": kept.per_list,
            "averaged_per_token": accuracy(self.average.module, lists).per_token,
        }


def judging_lists(config: Config) -> Int[Tensor, "list position"]:
    """The held-out lists, or with fewer training lists than the whole split's the rest of those."""
    own = split_lists(config)
    if config.train_fraction >= WHOLE_FRACTION:
        return own.held_out
    whole = split_lists(config.replace(train_fraction=WHOLE_FRACTION)).train
    return whole[len(own.train) :]
