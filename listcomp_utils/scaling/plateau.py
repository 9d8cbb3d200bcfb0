"""The plateau at ln 2 nats an output: what leaving it takes, and how trainings do.

    passages(course_rows(read_table("dynamics")))     # a row a training
    difference_at_sep(config, places=0)               # 0: (a, b) and (b, a) are one to SEP
    scores_and_c(model)                               # how far scores spread, and the places' part

On the plateau SEP holds the sum of both digits with equal weights, the same for (a, b) and (b, a).
Order becomes readable as the digits' attention scores s_t spread along the axis on which the
positions' difference reads out, U_t . (P_1 - P_2): each of the two is worth learning only in
proportion to the other, so that both wait.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from listcomp_utils.circuit.formula import Weights, weights_of
from listcomp_utils.circuit.order_axis import check_pairs, compose, order_axis
from listcomp_utils.config import Config
from listcomp_utils.model import make_model
from listcomp_utils.task import all_lists
from listcomp_utils.training.loop import TrainResult

LN_2 = np.log(2)
"""Loss of an output that knows which two digits a list has, and not their order."""
WAITS = 5
"""Evaluations at the plateau from which on a training is said to wait there."""


class Course:
    """The alignment of scores and readout while one model trains; raises as `check_pairs`."""

    def __init__(self, config: Config) -> None:
        check_pairs(config)
        self.alignments: list[float] = []

    def __call__(self, seed: int, step: int, model: nn.Module) -> None:
        """Measure the model at an evaluation."""
        axis = order_axis(weights_of(model, torch.float64))
        self.alignments.append(abs(axis.correlation))

    def figures(self, trained: TrainResult) -> dict[str, Any]:
        """`course`: step, training loss (nats) and alignment, each at every evaluation."""
        measured = zip(trained.history.evaluations, self.alignments, strict=True)
        rows = [(row.step, row.train_loss, alignment) for row, alignment in measured]
        course = pd.DataFrame(rows, columns=["step", "train_loss", "order_alignment"])
        return {"course": course.to_dict("list")}


def course_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each evaluation of each training of a table with courses: settings and figures."""
    courses = pd.concat({number: pd.DataFrame(course) for number, course in table.course.items()})
    settings = with_recipe(table.assign(**table.attrs["shared"]))
    settings = settings[[*table.attrs["varied"], "recipe", "seed"]]
    return settings.join(courses.droplevel(1)).reset_index(drop=True)


def with_recipe(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with whose `recipe` they were trained by, the study's or this project's."""
    return rows.assign(recipe=np.where(rows.embed_scale == 1, "the study's", "this project's"))


def passages(courses: pd.DataFrame) -> pd.DataFrame:
    """By training, how long it was at the plateau and how aligned scores and readout were when.

    `steps` are those at ln 2 (2 % below to 5 % above), `waited` if they are `WAITS` evaluations or
    more. Alignments: `waiting`, the median there; `highest`, the most before the loss first falls
    below nine tenths of ln 2; `passing`, as it first falls below ln 2; `halved`, when it is first
    below half of it, missing where it never is; `ending`, at the last evaluation.
    """
    courses = courses.set_index(["recipe", "seed"])
    loss, training = courses.train_loss, dict(level=["recipe", "seed"], sort=False)
    at_plateau = loss.between(0.98 * LN_2, 1.05 * LN_2)
    waits = at_plateau.groupby(**training).sum()
    fallen = (loss < 0.9 * LN_2).groupby(**training).cummax()

    def alignment(chosen: pd.Series, how: str) -> pd.Series:
        return courses.order_alignment.where(chosen).groupby(**training).agg(how)

    return pd.DataFrame(
        {
            "steps": waits * courses.eval_every.groupby(**training).first(),
            "waited": waits >= WAITS,
            "waiting": alignment(at_plateau, "median"),
            "highest": alignment(~fallen, "max"),
            "passing": alignment(loss < LN_2, "first"),
            "halved": alignment(loss < LN_2 / 2, "first"),
            "ending": courses.order_alignment.groupby(**training).last(),
        }
    )


def course_panels(courses: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Loss and alignment by step at every other evaluation, a column a seed.

    A pair of frames for each recipe's trainings that left, and for those that had not by the end.
    """
    few = courses[courses.step % (2 * courses.eval_every) == 0]
    runs = few.groupby(["recipe", "seed"])
    left = runs.train_loss.transform("min") < LN_2 / 2
    group = few.recipe + np.where(left, " recipe", ", not left")
    few = few.assign(line="seed " + few.seed.astype(str), group=group)
    return {
        f"{group}: {words}": rows.pivot(index="step", columns="line", values=name)
        for group, rows in few.groupby("group", sort=False)
        for name, words in {"train_loss": "loss (nats)", "order_alignment": "alignment"}.items()
    }


def scores_and_c(model: nn.Module) -> tuple[float, float]:
    """The standard deviation of SEP's scores of the digits, and c, what the places add."""
    scores, c = _scores_and_c(weights_of(model, torch.float64))
    return scores.std().item(), c.item()


def _scores_and_c(weights: Weights) -> tuple[Tensor, Tensor]:
    """How much SEP wants to look at each digit, and how much more at the first place."""
    query = weights.separator_input @ weights.query_key[0]
    c = (weights.position[0] - weights.position[1]) @ query
    return weights.token[: weights.config.n_digits] @ query, c


def difference_at_sep(
    config: Config, places: float = 1.0, scores: float = 1.0, c: float = 0.0
) -> float:
    """Largest difference between what SEP holds of a list and of its reverse, in random weights.

    First P_1 - P_2, the digits' scores and c are multiplied by `places`, `scores` and `c`.
    """
    check_pairs(config)
    weights, lists = weights_of(make_model(config), torch.float64), all_lists(config)
    own, own_c = _scores_and_c(weights)

    def held(rows: Tensor) -> Tensor:
        """What SEP holds, up to a vector that all lists share."""
        first = torch.sigmoid(scores * (own[rows[:, 0]] - own[rows[:, 1]]) + c * own_c)
        attention = torch.stack([first, 1 - first], 1)
        return compose(weights, rows, attention, places * attention)

    return (held(lists) - held(lists.flip(1))).abs().max().item()
