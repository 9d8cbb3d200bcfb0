"""The tables of 08_construction as grids on the one engine, and making them.

make_table("ranked", "artifacts", jobs=2)      # minutes; goes on where it was stopped
read_table("ranked")                           # of `sweeps.table`: a row a training
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.config import PRESETS
from listcomp_utils.construction.accuracy_bounds import brute_force, sandwich
from listcomp_utils.construction.content_and_order import explain
from listcomp_utils.construction.lemmas import upper_certificate
from listcomp_utils.construction.proof import measure_frontier
from listcomp_utils.construction.starts import ATTEMPTS, train_from
from listcomp_utils.generation import accuracy
from listcomp_utils.model import config_of
from listcomp_utils.sweeps.grid import Cell, trainings
from listcomp_utils.sweeps.training import Table, TrainCell, make_table_of
from listcomp_utils.task import split_lists

INNER_FRACTION = 0.64
"""Of all lists: four in five of the training lists, the others being the inner held-out ones."""
SEEDS = range(100, 102)
"""Of the trainings from other starts; used for nothing else, as the seeds of the tuning."""

_RANKED = dict(preset="ranked", device="cpu")
# Beside the study preset's recipe, a third of its steps: the plateau is left by step 1,250.
_USUAL = dict(preset="study", device="cpu", steps=5_000, eval_every=500)
# A larger rate than the preset's, which tells starts apart.
_PAIRS = dict(_RANKED, steps=5_000, lr=3e-4, eval_every=500)
_TRIPLES = dict(_PAIRS, list_len=3)
_INNER = dict(_RANKED, train_fraction=INNER_FRACTION, eval_every=500, seed=[200, 201])

FRONTIER = ((2, 2), (2, 4), (3, 3), (3, 5), (4, 6), (5, 5), (5, 7))
"""List lengths and widths: the least of each, and one with an axis for every part."""


def attempts(settings: Mapping[str, Any], *beginnings: str) -> list[Cell]:
    """Both seeds of a training, from each attempt whose name begins with one of these."""
    names = [name for name in ATTEMPTS if name.startswith(beginnings)]
    both = trainings(settings | {"seed": SEEDS})
    return [training | {"attempt": name} for name in names for training in both]


def inner_share(model: TransformerBridge) -> dict[str, float]:
    """Share right of (at most 10,000) lists that the preset trains on and this training did not."""
    config = config_of(model)
    used = len(split_lists(config).train)
    lists = split_lists(config.replace(train_fraction=PRESETS["ranked"]["train_fraction"])).train
    return {"inner_per_list": accuracy(model, lists[used:][:10_000]).per_list}


def measure_pairs(model: TransformerBridge) -> dict[str, Any]:
    """What the bounds and the explanation say of a model of lists of two; else nothing."""
    if config_of(model).list_len != 2:
        return {}
    weights = weights_of(model, torch.float64)
    proven = sandwich(weights)
    figures = {
        "proven_right": proven.lower,
        "proven_at_most": proven.upper,
        "share_of_operations": proven.operations / brute_force(weights).operations,
        "pairs_at_most": upper_certificate(weights),
    }
    return figures | explain(weights).to_dict()


TABLES = {
    "ranked_tuning": Table(
        "Which rate and how many steps does the ranked start need, on an inner split?",
        trainings(dict(_INNER, list_len=[2, 3], lr=[1e-4, 3e-4, 1e-3], steps=[1500, 3000, 5000])),
        TrainCell(inner_share),
        # What is held out of the preset's own split decides nothing.
        unread=("per_list", "per_token", "loss", "scored_on", "n_scored"),
    ),
    "ranked": Table(
        "Does the study's architecture learn to copy lists from the ranked start?",
        trainings(
            dict(_RANKED, seed=range(20)),
            # Seeds and lists used for nothing before.
            dict(_RANKED, seed=range(20, 40), split_seed=7),
            dict(_RANKED, seed=range(5), list_len=3),
            dict(_RANKED, seed=range(5), list_len=[3, 4, 5], n_digits=30),
            dict(_RANKED, seed=range(3), d_model=[8, 16, 32]),
            dict(_RANKED, seed=range(3), n_digits=[30, 200]),
            dict(_RANKED, seed=range(3), n_digits=200, steps=6_000),
        ),
        TrainCell(measure_pairs),
    ),
    "ranked_parts": Table(
        "Which parts of the ranked start are needed, and what does each do alone?",
        attempts(_PAIRS, "all parts", "without", "logits", "noise 1 on")
        + attempts(_USUAL, "usual"),
        train_from,
    ),
    "ranked_near": Table(
        "Does training keep the hand-built weights, and find them again?",
        attempts(_PAIRS, "hand-built"),
        train_from,
    ),
    "ranked_rule": Table(
        "How do the constants of the ranked start decide what is learned?",
        [
            *attempts(_TRIPLES, "all parts", "score x", "lever x", "logit x", "noise x"),
            *attempts(_TRIPLES | {"lr": 1e-4}, "all parts"),
            *attempts(_TRIPLES | {"lr": 1e-3}, "all parts"),
        ],
        train_from,
    ),
    "construction_study": Table(
        "What can be proven and explained of the study preset's seeds?",
        trainings(dict(preset="study", device="cpu", seed=range(20))),
        TrainCell(measure_pairs),
    ),
    "construction_frontier": Table(
        "How many digits does a precision carry?",
        [
            dict(list_len=length, d_model=width, dtype=dtype)
            for dtype in ("bfloat16", "float32")
            for length, width in FRONTIER
        ],
        measure_frontier,
    ),
}
make_table = partial(make_table_of, TABLES)
