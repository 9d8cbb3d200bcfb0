"""Many SAEs on one model, over k, width and seed: the tables of 06_features and the SAEs that ship.

grid, stable = shipped_tables(separator)              # as they ship: a row an SAE, a row a size
grid = with_size(separator, grid, SAEConfig(d_sae=128, k=3))  # and these for each k, trained now
score_sae(separator, sae)["held_out_per_token"]       # one SAE's figures
make_table("features", "artifacts", jobs=2)           # all anew: `make features`
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.config import Config, ConfigError, check_names
from listcomp_utils.features.latents import binary, match_latents, stability
from listcomp_utils.features.planted import PLANTED, recover
from listcomp_utils.features.sae import SAE, SAEConfig, train_sae
from listcomp_utils.features.sae_files import load_or_train_sae, model_digest, sae_name, save_sae
from listcomp_utils.features.separator import (
    NO_ORDER,
    PLACES,
    KnownSeparator,
    quality,
    separator_of,
)
from listcomp_utils.files import check_writable
from listcomp_utils.sweeps.engine import sweep_folder
from listcomp_utils.sweeps.table import read_table
from listcomp_utils.sweeps.training import Table, make_table_of

TABLES = ("features", "features_released")
"""SAEs on the shipped study model, and on a checkpoint that the study's authors released."""

KS = (1, 2, 3, 4, 5)
WIDTHS = (64, 128, 256, 512)
SEEDS = (0, 1, 2)
FOLLOW_UP = ((1, 50), (2, 100), (3, 100), (4, 100))
"""More pairs of k and width, at which the study's follow-up gives figures."""
LONG, LONG_STEPS = ((1, 128), (2, 128)), 12_000
"""Pairs that are trained longer too: with fewer active latents than the vectors have parts,
training settles late."""

SHIPPED = tuple(SAEConfig(d_sae=128, k=3, seed=seed) for seed in SEEDS)
"""The SAEs that ship."""


def score_sae(separator: KnownSeparator, sae: SAE) -> dict[str, float]:
    """`quality` of an SAE on every list, its mean number of active latents, and counts of kinds."""
    match = match_latents(separator, sae)
    return {
        **quality(separator, sae.decode(match.latents)).to_dict(),
        "l0": (match.latents > 0).sum(1).double().mean().item(),
        "dead": int((match.frame.kind == "dead").sum()),
        "binary_per_token": quality(separator, sae.decode(binary(match.latents))).per_token,
        "clean_digits": len(match.clean_digits),
        "order_latents": len(match.order),
    }


@functools.cache
def study_separator(checkpoint: str | None = None) -> KnownSeparator:
    """The separator of the shipped study model, or of a checkpoint of its architecture."""
    return separator_of(load_or_train(Config.preset("study"), checkpoint=checkpoint).model)


@dataclass(frozen=True)
class SAECell:
    """A cell's work: train an SAE, keep it in a folder and score it, or compare `n_seeds` of them.

    Its settings are those of SAEConfig and `model`, the digest that tells models apart.
    """

    checkpoint: str | None
    folder: Path

    def __call__(self, settings: Mapping[str, Any]) -> dict[str, float]:
        """The figures of `score_sae`, or of `stability`."""
        separator = study_separator(self.checkpoint)
        config = SAEConfig(**{k: v for k, v in settings.items() if k not in ("model", "n_seeds")})
        if "n_seeds" in settings:
            configs = [config.replace(seed=seed) for seed in range(settings["n_seeds"])]
            saes = [load_or_train_sae(separator, one, self.folder) for one in configs]
            return stability(separator, saes)
        sae, _ = train_sae(separator.vectors, config)
        save_sae(sae, self.folder / sae_name(separator, config))
        return score_sae(separator, sae)


def tables_of(name: str, model: str, work: SAECell) -> dict[str, Table]:
    """The files of a table, on the model of this digest."""
    product = [SAEConfig(d_sae=width, k=k) for width in WIDTHS for k in KS]
    first = [SAEConfig(d_sae=width, k=k) for k, width in FOLLOW_UP] + product
    first += [SAEConfig(d_sae=width, k=k, steps=LONG_STEPS) for k, width in LONG]
    seeds = [{"model": model, **one.to_dict(), "seed": seed} for one in first for seed in SEEDS]
    sizes = [{"model": model, **one.to_dict(), "n_seeds": len(SEEDS)} for one in product]
    tables = {
        name: Table("How many active latents does it take?", seeds, work),
        f"{name}_stability": Table("Does every seed find the same?", sizes, work),
    }
    if name == TABLES[0]:
        tables["features_recovery"] = Table("When is the true dictionary found?", PLANTED, recover)
    return tables


def make_table(
    name: str, out: str | Path, jobs: int | None = None, checkpoint: str | None = None
) -> Path:
    """Train and score the SAEs of a table that are not yet recorded; write it to `out`/NAME.json.

    Beside it go NAME_stability.json and, for "features", features_recovery.json and the SAEs that
    ship. Nothing is deleted.

    Raises:
        ConfigError: for an unknown table, a folder that cannot be written, a wrong `checkpoint`.
        CheckpointError: when it cannot be read.
        RuntimeError: when an SAE failed.
    """
    check_names([name], TABLES, "table")
    if (name == TABLES[0]) != (checkpoint is None):
        needed = "needs a" if checkpoint is None else "takes no"
        raise ConfigError(f"table {name} {needed} checkpoint, got checkpoint {checkpoint!r}")
    check_writable(Path(out))
    separator, kept = study_separator(checkpoint), sweep_folder(name) / "saes"
    tables = tables_of(name, model_digest(separator), SAECell(checkpoint, kept))
    path, *_ = [make_table_of(tables, one, out, jobs) for one in tables]
    for config in SHIPPED if name == TABLES[0] else ():
        sae = load_or_train_sae(separator, config, kept)
        save_sae(sae, path.with_name(sae_name(separator, config)))
    return path


def shipped_tables(separator: KnownSeparator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The grid of SAEs that ships for this model and its stability; empty for any other model."""
    for name in TABLES:
        grid, stable = read_table(name), read_table(f"{name}_stability")
        if grid.attrs["shared"]["model"] == model_digest(separator):
            return grid, stable
    return grid[:0], stable[:0]


def with_size(
    separator: KnownSeparator,
    grid: pd.DataFrame,
    like: SAEConfig,
    artifacts_dir: str | Path | None = None,
) -> pd.DataFrame:
    """The grid, and an SAE `like` this for each of KS that none of its width and steps has."""
    there = set(grid.k[(grid.d_sae == like.d_sae) & (grid.steps == like.steps)])
    sizes = [like.replace(k=k) for k in KS if k <= like.d_sae and k not in there]
    if not sizes:
        return grid
    saes = [load_or_train_sae(separator, one, artifacts_dir) for one in sizes]
    rows = [{**sae.config.to_dict(), **score_sae(separator, sae)} for sae in saes]
    return pd.concat([grid, pd.DataFrame(rows)], ignore_index=True)


def two_active(grid: pd.DataFrame, by_hand: pd.DataFrame) -> pd.DataFrame:
    """The SAE of k = 2 with most outputs right beside two of `codes_by_hand` as wide."""
    rows = {"autoencoder, k = 2, best of all": grid.loc[grid[grid.k == 2].per_token.idxmax()]}
    rows |= {name: by_hand.set_index("code").loc[name] for name in (PLACES, NO_ORDER)}
    names = {"explained": "variance explained", "per_token": "outputs right"}
    return pd.DataFrame(rows).T[[*names]].astype(float).rename(columns=names)
