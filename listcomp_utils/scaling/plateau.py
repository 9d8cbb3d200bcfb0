"""Which trainings leave the plateau at ln 2 nats an output, when, and what changes as they do.

leaving(read_table("plateau"))                    # a row a recipe: left of seeds, where they ended
passages(with_recipe(course_rows(read_table("dynamics"))))       # a row a training
difference_at_sep(config, places=0)               # 0: (a, b) and (b, a) are one to SEP
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.order_axis import separator
from listcomp_utils.config import Config
from listcomp_utils.model import make_model
from listcomp_utils.scaling.tables import over_seeds
from listcomp_utils.task import all_lists

LN_2 = np.log(2)
"""Loss of an output that knows which two digits a list has, and not their order."""
WAITS = 5
"""Evaluations at the plateau from which on a training is said to wait there."""


def with_recipe(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with whose recipe they were trained by, the study's or this project's."""
    return rows.assign(recipe=np.where(rows.embed_scale == 1, "the study's", "this project's"))


def leaving(table: pd.DataFrame) -> pd.DataFrame:
    """By recipe, how many seeds left the plateau, when, and where they and the others ended.

    The columns of `over_seeds` and `median_step` of those that left, `stayed`, the mean accuracy
    per token of the others (missing where there are none).
    """
    named = with_recipe(table)
    rows = with_recipe(over_seeds(table)).set_index("recipe", drop=False)
    steps = named.groupby("recipe").breakthrough_step.median().round().astype(int)
    stayed = named[~named.broke_through].groupby("recipe").per_token.mean()
    return rows.assign(median_step=steps, stayed=stayed)


def passages(courses: pd.DataFrame) -> pd.DataFrame:
    """By training, how long it was at the plateau and how aligned scores and readout were when.

    `steps` are those at ln 2 (from 2 % below to 5 % above); `waited` says whether these are
    `WAITS` evaluations or more. Alignments: `waiting`, the median there; `passing`, as the loss
    first falls below ln 2; `halved`, when it is first below half of it; missing where it never is.
    """
    by = [courses.recipe, courses.seed]
    at_plateau = courses.train_loss.between(0.98 * LN_2, 1.05 * LN_2)
    waits = at_plateau.groupby(by, sort=False).sum()

    def alignment(chosen: pd.Series, how: str) -> pd.Series:
        return courses.order_alignment[chosen].groupby(by, sort=False).agg(how)

    parts = {
        "steps": waits * courses.eval_every.groupby(by, sort=False).first(),
        "waited": waits >= WAITS,
        "waiting": alignment(at_plateau, "median"),
        "passing": alignment(courses.train_loss < LN_2, "first"),
        "halved": alignment(courses.train_loss < LN_2 / 2, "first"),
    }
    return pd.DataFrame(parts).reindex(waits.index)


def difference_at_sep(config: Config, places: float = 1.0, scores: float = 1.0) -> float:
    """Largest difference between what SEP holds of a list and of its reverse, in random weights.

    The positions' difference P_1 - P_2 and SEP's scores are first multiplied by `places` and
    `scores`. Raises ConfigError for another architecture than the study's with lists of two.
    """
    weights, lists = weights_of(make_model(config), torch.float64), all_lists(config)
    position, query_key = weights.position.clone(), weights.query_key.clone()
    position[1] = position[0] + places * (position[1] - position[0])
    query_key[0] *= scores
    weights = replace(weights, position=position, query_key=query_key)
    here, there = (separator(config, weights, rows).vectors for rows in (lists, lists.flip(1)))
    return (here - there).abs().max().item()
