"""Reading the tables of grids: over seeds, in words, and against what was printed.

table = read_table("scaling_depth")            # as it ships, see `grids`
rows = over_seeds(table)                       # a row a setting: left, seeds, per_token, ...
least_depth(rows)                              # by list length
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from listcomp_utils.scaling.grids import FLAGS
from listcomp_utils.sweeps.table import summarise

ENOUGH = 0.95
"""Share of lists right that counts as copying."""


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each combination of settings: how many seeds left the plateau and where they ended.

    `left` of `seeds` broke through (see `history.breakthrough_step`); `copying` have at least
    `ENOUGH` of the lists right. Each figure, with its `_sd`, `_min` and `_max`, is over the seeds
    that broke through (missing where none did), and with `all_` before its name over all seeds.
    """
    by = list(table.attrs["varied"])
    figures = [name for name in table.select_dtypes("number") if name not in {*by, "seed"}]
    seen = table.assign(left=table.broke_through, copying=table.per_list >= ENOUGH)
    through = seen[figures].where(seen.broke_through).join(seen[by])
    counts = summarise(seen, by, ["left", "copying"])[[*by, "seeds", "left", "copying"]]
    counts[["left", "copying"]] = counts[["left", "copying"]].mul(counts.seeds, axis=0).round()
    named = {"": summarise(through, by, figures), "all_": summarise(table, by, figures)}
    parts = [rows.drop(columns=[*by, "seeds"]).add_prefix(prefix) for prefix, rows in named.items()]
    return pd.concat([counts.astype({"left": int, "copying": int}), *parts], axis=1)


def flag_letters(rows: pd.DataFrame) -> pd.Series:
    """The four flags of each row as the study writes them, as FFTT."""
    return rows[list(FLAGS)].map({True: "T", False: "F"}.get).agg("".join, axis=1)


def least_depth(rows: pd.DataFrame, share: float = 0.5) -> pd.Series:
    """By list length, the fewest layers with which more than this share of the seeds copy.

    `rows` are those of `over_seeds`; missing where no number of layers does; `share` 0 asks for
    one seed.
    """
    copied = rows[rows.copying > share * rows.seeds]
    least = copied.groupby("list_len").n_layers.min()
    return least.reindex(sorted(rows.list_len.unique())).astype("Int64")


def recipe_words(table: pd.DataFrame) -> str:
    """How the rows were trained, in a line: what they share of it, and when and by what."""
    shared, made = table.attrs["shared"], table.attrs["made"]
    versions = made.get("versions", {"torch": "version not recorded"})
    words = {"steps": "{:,} steps", "batch_size": "batch {}", "lr": "lr {:g}"}
    parts = [text.format(shared[name]) for name, text in words.items() if name in shared]
    return (
        f"{', '.join(parts)}, {table.seed.nunique()} seeds a cell, {len(table)} runs in "
        f"{table.seconds.sum() / 60:.0f} min one after another, {made['finished'][:10]}, "
        f"torch {versions['torch']}"
    )


@dataclass(frozen=True)
class Nearness:
    """How near some means are to means of runs that each ended at one of two accuracies."""

    levels: tuple[float, ...]
    """The means that 0, 1, ... runs at the high one would give."""
    distance: float
    """Mean distance of the given means from the nearest level."""
    by_chance: float
    """The same for numbers drawn evenly between the two, mean over draws."""
    p_value: float
    """Share of draws that are at least as near."""


def nearness_to_counts(
    means: Sequence[float], low: float, high: float, runs: int, draws: int = 10_000
) -> Nearness:
    """Hold printed means of a few runs against the only values they could have, and against chance.

    Each draw has as many numbers as there are means, evenly from `low` to `high` (seed 0).
    """
    levels = np.linspace(low, high, runs + 1)

    def distance(values: np.ndarray) -> np.ndarray:
        return np.abs(values[..., None] - levels).min(-1).mean(-1)

    own = float(distance(np.asarray(means)))
    drawn = distance(np.random.default_rng(0).uniform(low, high, (draws, len(means))))
    as_near = float((drawn <= own).mean())
    return Nearness(tuple(levels.tolist()), own, float(drawn.mean()), as_near)
