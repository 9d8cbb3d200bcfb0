"""The tables of 08_construction as grids on the one engine, and making them.

make_table("ranked", "artifacts", jobs=2)      # minutes; goes on where it was stopped
read_table("ranked")                           # of `sweeps.table`: a row a training
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from listcomp_utils.checkpoints import find_trained
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.config import PRESETS, Config, check_names
from listcomp_utils.construction.accuracy_bounds import brute_force, sandwich
from listcomp_utils.construction.content_and_order import explain
from listcomp_utils.construction.lemmas import upper_certificate
from listcomp_utils.construction.proof import measure_frontier
from listcomp_utils.construction.starts import ATTEMPTS, train_from
from listcomp_utils.generation import accuracy
from listcomp_utils.sweeps.engine import run_grid, sweep_folder
from listcomp_utils.sweeps.grid import config_cells
from listcomp_utils.sweeps.table import write_table
from listcomp_utils.sweeps.training import TrainCell
from listcomp_utils.task import split_lists
from listcomp_utils.training.loop import TrainResult

QUESTIONS = {
    "ranked_tuning": "Which rate and how many steps does the ranked start need, on an inner split?",
    "ranked": "Does the study's architecture learn to copy lists from the ranked start?",
    "ranked_parts": "Which parts of the ranked start are needed, and what does each do alone?",
    "ranked_near": "Does training keep the hand-built weights, and find them again?",
    "ranked_rule": "How do the constants of the ranked start decide what is learned?",
    "construction_study": "What can be proven and explained of the study preset's seeds?",
    "construction_frontier": "How many digits does a precision carry?",
}
TABLES = tuple(QUESTIONS)

INNER_FRACTION = 0.64
"""Of all lists: four in five of the training lists, the others being the inner held-out ones."""
SEEDS = (100, 101)
"""Of the trainings from other starts; used for nothing else, as the seeds of the tuning."""

_RANKED = dict(preset="ranked")
# Beside the study preset's recipe, a third of its steps: the plateau is left by step 1,250.
_USUAL = dict(preset="study", steps=5_000, eval_every=500)
# A larger rate than the preset's, which tells starts apart.
_PAIRS = dict(_RANKED, steps=5_000, lr=3e-4, eval_every=500)
_TRIPLES = dict(_PAIRS, list_len=3)


def _from(*starts: str) -> dict[str, Any]:
    """Both seeds, of each attempt whose name has one of these beginnings."""
    return dict(seed=SEEDS, attempt=[name for name in ATTEMPTS if name.startswith(starts)])


PARTS: dict[str, tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...]] = {
    "ranked_tuning": (
        (
            dict(list_len=[2, 3], seed=[200, 201], lr=[1e-4, 3e-4, 1e-3], steps=[1500, 3000, 5000]),
            dict(_RANKED, train_fraction=INNER_FRACTION, eval_every=500),
        ),
    ),
    "ranked": (
        (dict(seed=range(20)), _RANKED),
        # Seeds and lists used for nothing before.
        (dict(seed=range(20, 40)), dict(_RANKED, split_seed=7)),
        (dict(seed=range(5), list_len=[3]), _RANKED),
        (dict(seed=range(5), list_len=[3, 4, 5]), dict(_RANKED, n_digits=30)),
        (dict(seed=range(3), d_model=[8, 16, 32]), _RANKED),
        (dict(seed=range(3), n_digits=[30, 200]), _RANKED),
        (dict(seed=range(3), n_digits=[200]), dict(_RANKED, steps=6_000)),
    ),
    "ranked_parts": (
        (_from("all parts", "without", "logits"), _PAIRS),
        (_from("usual"), _USUAL),
    ),
    "ranked_near": ((_from("hand-built"), _PAIRS),),
    "ranked_rule": (
        (_from("all parts", "score x", "lever x", "logit x", "noise x"), _TRIPLES),
        (_from("all parts"), dict(_TRIPLES, lr=1e-4)),
        (_from("all parts"), dict(_TRIPLES, lr=1e-3)),
    ),
    "construction_study": ((dict(seed=range(20)), dict(preset="study")),),
}
"""Values to combine, and the config that a part's cells share."""

FRONTIER = ((2, 2), (2, 4), (3, 3), (3, 5), (4, 6), (5, 5), (5, 7))
"""List lengths and widths: the least of each, and one with an axis for every part."""


def grid_cells(name: str) -> list[dict[str, Any]]:
    """Every cell of a table."""
    if name == "construction_frontier":
        return [
            dict(list_len=length, d_model=width, dtype=dtype)
            for dtype in ("bfloat16", "float32")
            for length, width in FRONTIER
        ]
    cells = []
    for values, base in PARTS[name]:
        grid = {field: several for field, several in values.items() if field != "attempt"}
        trainings = config_cells(grid, base | {"device": "cpu"})
        starts = [{"attempt": attempt} for attempt in values.get("attempt", [])] or [{}]
        cells += [training | start for start in starts for training in trainings]
    return cells


def make_table(name: str, out: str | Path, jobs: int | None = None, progress: str = "auto") -> Path:
    """Train what is not recorded yet of a table, measure it, and write it into the folder `out`.

    Raises:
        ConfigError: for an unknown name, and as `run_grid` and `write_table`.
        RuntimeError: when a cell failed; it runs again the next time.
    """
    check_names([name], TABLES, "table")
    folder = sweep_folder(name)
    kept = folder / "models" if name in ("ranked", "construction_study") else None
    works = {"ranked_tuning": TrainCell(inner_share), "construction_frontier": measure_frontier}
    work = TrainCell(models=kept) if kept else works.get(name, train_from)
    cells = grid_cells(name)
    frame = run_grid(cells, work, folder, jobs=jobs, retry_failed=True, progress=progress)
    if kept and (frame.status == "done").all():
        measured = pd.DataFrame([measure_pairs(Config(**cell), kept) for cell in cells])
        frame[measured.columns] = measured
    if name == "ranked_tuning":  # what is held out of the preset's own split decides nothing
        frame = frame.drop(columns=["per_list", "per_token", "loss", "scored_on"])
    unused = ["n_scored", "train_loss_floor", "best_step", "steps_done"]
    unused += ["breakthrough_step", "broke_through"]
    frame = frame.drop(columns=unused, errors="ignore")
    return write_table(frame, Path(out) / f"{name}.json", QUESTIONS[name])


def inner_share(trained: TrainResult) -> dict[str, float]:
    """Share right of (at most 10,000) lists that the preset trains on and this training did not."""
    config = trained.config
    used = len(split_lists(config).train)
    lists = split_lists(config.replace(train_fraction=PRESETS["ranked"]["train_fraction"])).train
    return {"inner_per_list": accuracy(trained.model, lists[used:][:10_000]).per_list}


def measure_pairs(config: Config, folder: Path) -> dict[str, Any]:
    """What the bounds and the explanation say of a kept model of lists of two; else nothing."""
    if config.list_len != 2:
        return {}
    weights = weights_of(find_trained(config, folder).model, torch.float64)
    proven = sandwich(config, weights)
    figures = {
        "proven_right": proven.lower,
        "proven_at_most": proven.upper,
        "share_of_operations": proven.operations / brute_force(config, weights).operations,
        "pairs_at_most": upper_certificate(config, weights),
    }
    return figures | explain(config, weights, split_lists(config)).to_dict()
