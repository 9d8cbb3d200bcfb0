"""One row of figures for each training seed: is a finding the model's or the seed's?

rows = seed_rows(Config.preset("seed"), range(5))
write_rows(rows, "artifacts/seed_seeds.json")
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from listcomp_utils.ablation.interchange import interchange, list_pairs
from listcomp_utils.checkpoints import TrainedModel, find_trained, load_or_train
from listcomp_utils.config import Config
from listcomp_utils.files import check_writable, shipped_dir, write_atomically
from listcomp_utils.generation import accuracy
from listcomp_utils.task import lists_to_score, split_lists
from listcomp_utils.training.history import breakthrough_step

PAIRS = 10_000


@dataclass(frozen=True)
class SeedRow:
    """What one training seed gave, measured on held-out lists where there are any."""

    seed: int
    n_lists: int
    per_token: float
    per_list: float
    broke_through: bool
    """Whether training left the plateau (see `history.breakthrough_step`)."""
    follows_separator: tuple[float, ...]
    """Share of pairs in which each output follows the separator's vector after layer 0."""


def seed_row(trained: TrainedModel, config: Config) -> SeedRow:
    """Measure one trained model."""
    held_out = split_lists(config).held_out
    lists = held_out if len(held_out) else lists_to_score(config, most=10_000)
    scores = accuracy(trained.model, lists)
    pairs = list_pairs(config, PAIRS, seed=0)
    follows = interchange(trained.model, pairs, layer=1, position=config.sep_position)
    return SeedRow(
        seed=config.seed,
        n_lists=scores.n_lists,
        per_token=scores.per_token,
        per_list=scores.per_list,
        broke_through=breakthrough_step(trained.history, config) is not None,
        follows_separator=follows.source,
    )


def seed_rows(
    config: Config,
    seeds: Iterable[int],
    artifacts_dir: str | Path | None = None,
    train_missing: bool = True,
) -> list[SeedRow]:
    """A row for each seed; seeds that are not trained yet are trained, or left out."""
    rows = []
    for seed in seeds:
        one = config.replace(seed=seed)
        found = load_or_train if train_missing else find_trained
        trained = found(one, artifacts_dir)
        if trained is not None:
            rows.append(seed_row(trained, one))
    return rows


def shipped_rows(preset: str) -> list[SeedRow]:
    """The rows that ship for a preset, made by `make seeds`; empty when none do."""
    path = shipped_dir() / f"{preset}_seeds.json"
    if not path.is_file():
        return []
    rows = json.loads(path.read_text())
    return [SeedRow(**{**r, "follows_separator": tuple(r["follows_separator"])}) for r in rows]


def write_rows(rows: Sequence[SeedRow], path: str | Path) -> None:
    """Save rows as JSON; raises ConfigError for a folder that cannot be written."""
    path = Path(path)
    check_writable(path.parent)
    write_atomically(path, (json.dumps([asdict(r) for r in rows], indent=1) + "\n").encode())
