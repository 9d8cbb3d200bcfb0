"""What happens to the order mechanism while the study's model trains.

    TrainCell(observe=Course)(config.to_dict())["course"]["order_alignment"]
    rows = course_rows(read_table("dynamics"))     # a row an evaluation
    rows[rows.seed == 0].order_alignment           # near 1 once the order is known

On the plateau SEP holds the sum of both digits with equal weights, the same for (a, b) and (b, a),
and the loss cannot go below ln 2 an output. Order becomes readable as the digits' attention scores
s_t spread along the axis on which the positions' difference reads out, U_t . (P_1 - P_2): each of
the two is worth learning only in proportion to the other, so that both wait.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor, nn

from listcomp_utils.circuit.formula import edge_costs, weights_of
from listcomp_utils.circuit.order_axis import check_pairs, order_axis, separator
from listcomp_utils.config import Config
from listcomp_utils.mask import edge_label
from listcomp_utils.model import config_of
from listcomp_utils.scaling.order_by_head import order_distance
from listcomp_utils.task import all_lists, lists_to_score
from listcomp_utils.training.loop import TrainResult

LISTS = 1_000
"""Lists that the edges' costs are measured on at each evaluation."""


class Course:
    """Measures one model at every evaluation while it trains; a cell's observer.

    Raises:
        ConfigError: for another architecture than the study's with lists of two.
    """

    def __init__(self, config: Config) -> None:
        check_pairs(config)
        self.lists = lists_to_score(config, LISTS)
        self.measured: list[dict[str, float]] = []

    def __call__(self, seed: int, step: int, model: nn.Module) -> None:
        """Measure the mechanism and the edges."""
        self.measured.append(measure_mechanism(model) | label_costs(model, self.lists))

    def figures(self, trained: TrainResult) -> dict[str, Any]:
        """`course`: by name of a figure, its values at the evaluations.

        `step`; `train_loss`, mean cross entropy (nats) over the training lists; `per_token`, right
        outputs among all on them; those of `measure_mechanism`; and by edge those of `label_costs`.
        """
        course = [
            {
                "step": row.step,
                "train_loss": row.train_loss,
                "per_token": row.train.per_token,
                **own,
            }
            for row, own in zip(trained.history.evaluations, self.measured, strict=True)
        ]
        return {"course": {name: [row[name] for row in course] for name in course[0]}}


@torch.no_grad()
def measure_mechanism(model: nn.Module) -> dict[str, float]:
    """The order mechanism's figures, from the weights of a model with hooks or without.

    `attention_mean` and `attention_spread`: mean and standard deviation of SEP's attention to d1
    over all pairs of digits; `score_spread` and `readout_spread`: standard deviations over the
    digits of s_t and of U_t . (P_1 - P_2); `order_alignment`: the absolute correlation of those
    two; `order_distance`: see `order_by_head`.
    """
    config, weights = config_of(model), weights_of(model, torch.float64)
    axis, held = order_axis(config, weights), separator(config, weights, all_lists(config))
    pairs = held.vectors.unflatten(0, (config.n_digits, config.n_digits))
    first = held.attention[:, 0]
    return {
        "attention_mean": first.mean().item(),
        "attention_spread": first.std(correction=0).item(),
        "score_spread": axis.scores.std(correction=0).item(),
        "readout_spread": axis.readout.std(correction=0).item(),
        "order_alignment": abs(axis.correlation),
        "order_distance": order_distance(held.vectors, pairs.transpose(0, 1).flatten(0, 1)),
    }


def label_costs(model: nn.Module, lists: Int[Tensor, "list position"]) -> dict[str, float]:
    """Accuracy per token lost without each attention edge (zeroed), by its label."""
    config = config_of(model)
    costs = edge_costs(config, weights_of(model), lists)
    return {edge_label(config, edge): cost for edge, cost in costs.items()}


def course_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each evaluation of each training of a table with courses: settings and figures."""
    courses = pd.concat({number: pd.DataFrame(course) for number, course in table.course.items()})
    settings = table[[*table.attrs["varied"], "seed"]]
    return settings.join(courses.droplevel(1)).reset_index(drop=True)
