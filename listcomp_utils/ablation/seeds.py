"""The same figures for each training seed: is a finding the model's or the seed's?

seed_figures(load_or_train(Config.preset("seed")))      # of one trained model
make_table("study_seeds", "artifacts", jobs=2)         # trains the seeds; the table that ships
read_table("study_seeds")[["seed", "per_token", "follows_o1", "follows_o2"]]
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from jaxtyping import Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.ablation.interchange import interchange, list_pairs
from listcomp_utils.ablation.minimal_circuits import EdgeSearch, feeding_edges
from listcomp_utils.checkpoints import TrainedModel, find_trained, load_or_train
from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy
from listcomp_utils.hooks import replace, run_all, score_with
from listcomp_utils.mask import edge_label
from listcomp_utils.model import config_of
from listcomp_utils.sweeps.grid import trainings
from listcomp_utils.sweeps.training import LISTS_SCORED, Table, TrainCell, make_table_of
from listcomp_utils.task import lists_to_score, split_lists
from listcomp_utils.training.history import breakthrough_step

PAIRS = 10_000


def follow_figures(model: TransformerBridge) -> dict[str, float]:
    """`follows_o1`, ...: how often outputs follow SEP's vector after layer 0; see `interchange`."""
    config = config_of(model)
    pairs = list_pairs(config, PAIRS, seed=0)
    table = interchange(model, pairs, layers=[1], positions=[config.sep_position])
    return dict(zip("follows_" + table["output"], table["follows_source"], strict=True))


TABLES = {
    f"{preset}_seeds": Table(
        "Which outputs follow the separator's vector after layer 0, seed by seed?",
        trainings(dict(preset=preset, seed=range(8))),
        TrainCell(follow_figures),
    )
    for preset in ("seed", "study")
}
make_table = partial(make_table_of, TABLES)


def seed_figures(trained: TrainedModel) -> dict[str, Any]:
    """Of one trained model: per_token (held-out lists, if any), broke_through and `follow_figures`.

    `broke_through`, whether training left the plateau, is None without a history.
    """
    config, history = config_of(trained.model), trained.history
    held_out = split_lists(config).held_out
    lists = held_out if len(held_out) else lists_to_score(config, most=LISTS_SCORED)
    return {
        "per_token": accuracy(trained.model, lists).per_token,
        "broke_through": history and breakthrough_step(history, config) is not None,
        **follow_figures(trained.model),
    }


def trained_seeds(
    config: Config, trained: TrainedModel, n_seeds: int, folder: str | Path | None
) -> dict[int, TrainedModel]:
    """The model and those of the first `n_seeds` training seeds, by seed.

    Trained where that takes at most 1,000 steps each and two minutes in all, else only found.
    """
    models = {config.seed: trained}
    quick = config.steps <= 1000 and n_seeds * trained.history.seconds <= 120
    for seed in set(range(n_seeds)) - {config.seed}:
        other = config.replace(seed=seed)
        if quick:
            models[seed] = load_or_train(other, folder, progress="none")
        elif found := find_trained(other, folder):
            models[seed] = found
    return dict(sorted(models.items()))


def core_by_seed(
    models: Mapping[int, TrainedModel], lists: Int[Tensor, "list position"]
) -> pd.DataFrame:
    """The edges in every smallest circuit (the others zeroed) of each seed that copies all `lists`.

    A row a seed (the index): edges, how many the smallest have, and a column for each edge that can
    reach an output, True where all of the smallest keep it.
    """
    rows = {}
    for seed, found in models.items():
        if score_with(found.model, lists).per_list == 1.0:
            config = config_of(found.model)
            smallest = EdgeSearch(found.model, lists, "zero").smallest_exact()
            core = set(smallest[0]).intersection(*smallest)
            kept = {edge_label(config, edge): edge in core for edge in feeding_edges(config)}
            rows[seed] = {"edges": len(smallest[0]), **kept}
    return pd.DataFrame.from_dict(rows, orient="index")


def cost_of_average_attention(
    models: Mapping[int, TrainedModel], lists: Int[Tensor, "list position"]
) -> pd.Series:
    """The points (per token) that each seed loses when every pattern is its mean over `lists`."""
    lost = {}
    for seed, found in models.items():
        means = run_all(found.model, lists).patterns.mean(0)
        edits = [(get_act_name("pattern", at), replace(mean)) for at, mean in enumerate(means)]
        scores = [score_with(found.model, lists, hooks).per_token for hooks in ((), edits)]
        lost[seed] = 100 * (scores[0] - scores[1])
    return pd.Series(lost, dtype=float)


def how_seeds_carry(figures: pd.DataFrame) -> pd.DataFrame:
    """Of rows of `seed_figures` with their `model`: how its seeds carry the list, a row a model.

    Of those that left the plateau, the shares that route (an output follows SEP in under a tenth of
    the pairs) and compose (all in over half), and the range of the output that follows least; nan
    where none left.
    """
    rows = []
    for model, seeds in figures.groupby("model", sort=False):
        least = seeds[seeds["broke_through"].eq(True)].filter(like="follows_").min(axis=1)
        shares = (least < 0.1).mean(), (least > 0.5).mean()
        rows.append((model, len(seeds), len(least), *shares, least.min(), least.max()))
    names = ["model", "seeds", "left_plateau", "route", "compose", "lowest", "highest"]
    return pd.DataFrame(rows, columns=names)
