"""Which training recipe leaves the plateau, for how many seeds, and where it ends.

outcome = try_recipe("study", study_recipe(steps=50_000), seeds=range(20))
outcome.left, len(outcome.rows)                # how many seeds left the plateau, of how many
write_outcomes([outcome], "artifacts/plateau.json")

Training of the study preset waits at ln 2 nats an output: the model knows both digits, not their
order (see `dynamics`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from listcomp_utils.config import Config
from listcomp_utils.files import check_writable, shipped_dir, write_atomically
from listcomp_utils.training.history import breakthrough_step
from listcomp_utils.training.loop import TrainResult, train_many
from listcomp_utils.training.progress import Progress

FILE = "plateau.json"


@dataclass(frozen=True)
class SeedOutcome:
    """Where one seed's training went; accuracies are of the kept weights on held-out lists."""

    seed: int
    breakthrough_step: int | None
    """First evaluated step off the plateau (see `history.breakthrough_step`), or None."""
    train_loss: float
    """Lowest mean cross entropy (nats) over the training lists: that of the kept weights."""
    per_token: float
    per_list: float
    train_per_token: float
    """Right outputs on the training lists."""


@dataclass(frozen=True)
class Outcome:
    """One recipe over several seeds."""

    name: str
    config: dict[str, Any]
    seconds: float
    """Wall time of all seeds together."""
    rows: tuple[SeedOutcome, ...]

    @property
    def left(self) -> int:
        """Seeds that left the plateau."""
        return sum(row.breakthrough_step is not None for row in self.rows)

    @property
    def mean_per_token(self) -> float:
        """Mean over all seeds, those that never left included."""
        return sum(row.per_token for row in self.rows) / len(self.rows)


def study_recipe(steps: int) -> Config:
    """The study preset trained as its authors did (50,000 steps there), for `steps` steps.

    Source: Farrell et al., "Order by Scale" (2025), and its released code: AdamW with
    PyTorch's defaults but the learning rate 1e-3, batches of 128, the library's initialisation.
    """
    return Config.preset(
        "study",
        embed_scale=1.0,
        steps=steps,
        batch_size=128,
        lr=1e-3,
        schedule="constant",
        warmup_steps=0,
        adam_beta2=0.999,
        weight_decay=0.01,
    )


def try_recipe(
    name: str, config: Config, seeds: Iterable[int], progress: Progress = "auto"
) -> Outcome:
    """Train every seed in one batch and note where it went; needs held-out lists."""
    results = train_many(config, seeds, progress)
    seconds = results[0].history.seconds
    return Outcome(name, config.to_dict(), seconds, tuple(_row(result) for result in results))


def _row(result: TrainResult) -> SeedOutcome:
    best = result.history.best
    return SeedOutcome(
        seed=result.config.seed,
        breakthrough_step=breakthrough_step(result.history, result.config),
        train_loss=best.train_loss,
        per_token=best.held_out.per_token,
        per_list=best.held_out.per_list,
        train_per_token=best.train.per_token,
    )


def write_outcomes(outcomes: Iterable[Outcome], path: str | Path) -> None:
    """Save outcomes as JSON; raises ConfigError for a folder that cannot be written."""
    path = Path(path)
    check_writable(path.parent)
    content = json.dumps([asdict(outcome) for outcome in outcomes], indent=1)
    write_atomically(path, f"{content}\n".encode())


def read_outcomes(path: str | Path | None = None) -> list[Outcome]:
    """The outcomes in a file, or those that ship (`make plateau`); empty when there are none."""
    path = shipped_dir() / FILE if path is None else Path(path)
    if not path.is_file():
        return []
    return [
        Outcome(**{**one, "rows": tuple(SeedOutcome(**row) for row in one["rows"])})
        for one in json.loads(path.read_text())
    ]
