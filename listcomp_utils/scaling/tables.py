"""Reading the tables of grids: over seeds, in words, and against what was printed.

rows = over_seeds(read_table("scaling_heads")) # a row a setting: left, seeds, per_token, ...
in_words(rows, "n_heads", "left", "seeds")     # some columns, under names for readers
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from listcomp_utils.config import Config
from listcomp_utils.scaling import grids
from listcomp_utils.scaling.plateau import with_recipe
from listcomp_utils.sweeps.table import read_table, summarise

ENOUGH = 0.95
"""Share of lists right that counts as copying."""

EXCHANGED = ("all_position_weights_reverse", "all_content_weights_reverse")
WORDS = {
    "all_alignment": "alignment of scores and readout",
    "all_averaged_per_token": "inner lists, weights averaged",
    "all_both_right": "pairs right in both orders",
    "all_content_weights_reverse": "reversed by exchanging content weights",
    "all_kept": "kept, nothing exchanged",
    "all_per_list": "lists right, all seeds",
    "all_per_token": "outputs right, all seeds",
    "all_position_weights_reverse": "reversed by exchanging position weights",
    "all_seconds": "seconds a seed",
    "all_train_per_token": "training lists, outputs right",
    "batch_size": "batch",
    "copying": "seeds that copy",
    "d_model": "width",
    "left": "left the plateau, of",
    "letters": "LN, bias, W_V, W_O",
    "list_len": "list length",
    "median_step": "median step of leaving",
    "n_digits": "digits",
    "n_heads": "heads",
    "n_layers": "layers",
    "parts": "has",
    "per_list": "lists right, mean",
    "per_list_max": "best seed",
    "per_list_min": "worst seed",
    "per_list_sd": "sd of that",
    "per_token": "outputs right where it left",
    "per_token_sd": "sd",
    "printed": "study, mean of 3 runs",
    "seeds": "seeds",
    "stayed": "outputs right where it had not left",
}
"""Columns of the tables, as readers are shown them."""


def in_words(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Some columns of a frame, named in words."""
    return rows[list(names)].rename(columns=WORDS)


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
    rows = summarise(seen, by, ["left", "copying"])[[*by, "seeds", "left", "copying"]]
    for count in ("left", "copying"):
        rows[count] = (rows[count] * rows.seeds).round().astype(int)
    ended, every = (
        summarise(runs, by, figures).drop(columns=[*by, "seeds"]) for runs in (through, table)
    )
    return pd.concat([rows, ended, every.add_prefix("all_")], axis=1)


def leaving(table: pd.DataFrame) -> pd.DataFrame:
    """`over_seeds` by recipe, with the `median_step` of those that left the plateau.

    `stayed` is the mean accuracy per token of the others, missing where there are none.
    """
    named = with_recipe(table)
    rows = with_recipe(over_seeds(table)).set_index("recipe", drop=False)
    steps = named.groupby("recipe").breakthrough_step.median().round().astype(int)
    stayed = named[~named.broke_through].groupby("recipe").per_token.mean()
    return rows.assign(median_step=steps, stayed=stayed)


def flag_letters(rows: pd.DataFrame) -> pd.Series:
    """The four flags of each row as the study writes them, as FFTT."""
    return rows[list(grids.FLAGS)].map({True: "T", False: "F"}.get).agg("".join, axis=1)


def flag_words(rows: pd.DataFrame) -> pd.Series:
    """Which of the four parts each row's architecture has, in words."""
    names = np.array(["LayerNorm", "bias", "W_V", "W_O"])
    return rows[list(grids.FLAGS)].apply(
        lambda has: ", ".join(names[has.astype(bool)]) or "none", axis=1
    )


def beside_printed(table: pd.DataFrame) -> pd.DataFrame:
    """`over_seeds` of each combination of flags at width 64, and what the study has `printed`.

    `letters` are the flags as the study writes them, `parts` in words, `kind` in three kinds.
    """
    rows = over_seeds(table[table.d_model == 64]).assign(letters=flag_letters)
    kinds = np.select(
        [rows.layer_norm, ~rows.learn_w_o],
        ["with LayerNorm", "without LayerNorm, W_O = I"],
        "without LayerNorm, W_O learned",
    )
    rows = rows.assign(parts=flag_words, kind=kinds, printed=rows.letters.map(grids.PRINTED_FLAGS))
    return rows.sort_values("printed")


def by_share(table: pd.DataFrame) -> pd.DataFrame:
    """Outputs `right` over seeds by `train_fraction`, of the training `lists` and held-out ones."""
    names = {"per_token": "held-out lists", "train_per_token": "training lists"}
    runs = table.rename(columns=names)
    runs = runs.melt(["train_fraction"], list(names.values()), "lists", "right")
    there = (runs.train_fraction < 1) | (runs.lists == "training lists")
    return summarise(runs[there], ["train_fraction", "lists"], ["right"])


def least_depths(table: pd.DataFrame) -> pd.DataFrame:
    """By list length, the fewest layers with which `most` seeds or `one` copy, or "none"."""
    rows = over_seeds(table)
    copied = {"most": rows.copying > 0.5 * rows.seeds, "one": rows.copying > 0}
    layers = pd.DataFrame({name: rows.n_layers.where(enough) for name, enough in copied.items()})
    least = layers.groupby(rows.list_len).min()
    return least.astype("Int64").astype(object).fillna("none")


def by_start(usual: pd.DataFrame, ranked: pd.DataFrame) -> pd.DataFrame:
    """Lists right over seeds, by list length and digits, from the usual and a ranked start.

    Of the ranked start's only those are taken that are as wide. `trained` says what a row is,
    `copying` the share of seeds with at least `ENOUGH` of the lists right.
    """
    names = ["list_len", "n_digits", "n_layers", "steps", "batch_size"]
    usual, ranked = (
        table.assign(**table.attrs["shared"], copying=table.per_list >= ENOUGH)
        for table in (usual, ranked)
    )
    deep = summarise(usual, names, ["per_list", "copying"])
    as_wide = ranked[ranked.d_model == usual.d_model[0]]
    kinds = {
        "usual start, two layers": deep[deep.n_layers == 2],
        "usual start, best depth tried": deep.loc[deep.groupby("list_len").per_list.idxmax()],
        "ranked start, two layers": summarise(as_wide, names, ["per_list", "copying"]),
    }
    return pd.concat(kinds, names=["trained"]).reset_index("trained").reset_index(drop=True)


def changes_of(settings: Mapping[str, Any]) -> str:
    """What a recipe changes of the study preset's, in words."""
    preset = Config.preset("study").to_dict()
    names = ("embed_scale", "batch_size", "lr", "weight_decay", "steps")
    changed = [name for name in names if settings.get(name, preset[name]) != preset[name]]
    return ", ".join(f"{name} {settings[name]:g}" for name in changed) or "the preset's"


def recipe_words(table: pd.DataFrame) -> str:
    """How the rows were trained, in a line: what they share of it, and when and by what."""
    shared, made = table.attrs["shared"], table.attrs["made"]
    versions = made.get("versions", {"torch": "version not recorded"})
    words = {"steps": "{:,} steps", "batch_size": "batch {}", "lr": "lr {:g}"}
    parts = [text.format(shared[name]) for name, text in words.items() if name in shared]
    parts += [f"{table.seed.nunique()} seeds a cell", f"{len(table)} runs in "]
    parts[-1] += f"{table.seconds.sum() / 60:.0f} min one after another"
    return ", ".join([*parts, made["finished"][:10], f"torch {versions['torch']}"])


def record() -> dict[str, pd.DataFrame]:
    """The shipped grids over seeds, in words, by what a table holds; and how each was trained."""
    table4, ranked, depth = map(read_table, ("scaling_table4", "ranked", "scaling_depth"))
    tried = over_seeds(read_table("scaling_tuning"))
    tried["recipe"] = tried.apply(changes_of, axis=1)
    wide = over_seeds(table4[flag_letters(table4) == "FFFF"]).sort_values("d_model")
    ours = summarise(ranked, ["list_len", "d_model", "n_digits"], ["per_list"])
    order = f"left seeds all_per_token all_per_list all_kept {' '.join(EXCHANGED)} all_both_right"
    shown = {
        "Depth against length, usual start, 30 digits": (
            over_seeds(depth),
            "list_len n_layers all_per_token all_per_list copying seeds",
        ),
        "Two starts": (
            by_start(depth, ranked),
            "trained list_len n_digits n_layers steps batch_size seeds per_list per_list_min",
        ),
        "Width from the ranked start": (
            ours,
            "list_len d_model n_digits seeds per_list per_list_min",
        ),
        "Heads": (over_seeds(read_table("scaling_heads")), f"n_heads {order} all_alignment"),
        "Kinds of positions": (
            over_seeds(read_table("scaling_positions")),
            f"positions n_layers {order} all_alignment",
        ),
        "The study's Table 4: all variants": (
            beside_printed(table4),
            "letters parts printed left seeds per_token per_token_sd per_list per_list_sd",
        ),
        "The study's Table 4: widths at a hundred digits": (
            wide.assign(printed=wide.d_model.map(grids.PRINTED_WIDTHS)),
            "d_model printed left seeds per_token per_token_sd all_per_token",
        ),
        "Recipes tried, on inner lists": (
            tried.sort_values("all_per_token", ascending=False),
            "recipe left seeds all_per_token all_averaged_per_token all_train_per_token",
        ),
    }
    frames = {title: in_words(rows, *names.split()) for title, (rows, names) in shown.items()}
    made = [(name, recipe_words(read_table(name))) for name in grids.TABLES if name != "dynamics"]
    return frames | {"How each grid was trained": pd.DataFrame(made, columns=["table", "trained"])}


class Nearness(NamedTuple):
    """How near some means are to the `levels` that 0, 1, ... runs at the high accuracy would give.

    `distance` is their mean distance from the nearest level, `by_chance` that of as many numbers
    drawn evenly between low and high, `p_value` the share of draws that are at least as near.
    """

    levels: list[float]
    distance: float
    by_chance: float
    p_value: float


def nearness_to_counts(means: Sequence[float], low: float, high: float, runs: int = 3) -> Nearness:
    """Hold means of a few runs against the only values they could have, and against chance."""
    levels = np.linspace(low, high, runs + 1)
    drawn = np.random.default_rng(0).uniform(low, high, (10_000, len(means)))
    own, by_chance = (
        np.abs(values[..., None] - levels).min(-1).mean(-1) for values in (np.array(means), drawn)
    )
    as_near = (by_chance <= own).mean()
    return Nearness(levels.tolist(), float(own), float(by_chance.mean()), float(as_near))


def printed_and_runs(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Outputs right at width 64 by the parts in words: the study's means, and each run here."""
    runs = table[table.d_model == 64].assign(parts=flag_words).set_index("parts")
    printed = beside_printed(table).set_index("parts").printed
    return {"study, mean of 3": printed, "here, each seed": runs.per_token}


class Clumps(NamedTuple):
    """How near the study's means are to counts of 2 to 5 runs, three being how many it had.

    `levels` are those of three; `three` and `others` the p-value of three and the least of the
    rest, with as low level `stayed`, where the runs here that had not left end on average. `table`
    has all, and beside them those with the guess of an order as low level.
    """

    levels: list[float]
    stayed: float
    three: float
    others: float
    table: pd.DataFrame


def clumps(table: pd.DataFrame) -> Clumps:
    """Hold the study's means, but the largest, which sets the top level, against counts of runs."""
    printed = beside_printed(table).printed
    means, high = printed.drop(printed.idxmax()), printed.max()
    runs = table[table.d_model == 64]
    stayed = runs[~runs.broke_through].per_token.mean()
    guess = 0.5 + 0.5 / 100
    near = {
        (low, n): nearness_to_counts(means, low, high, n)
        for low in (stayed, guess)
        for n in range(2, 6)
    }
    names = ["level of 0 runs", "counts of runs", "mean distance", "drawn evenly", "draws as near"]
    rows = [(low, n, *found[1:]) for (low, n), found in near.items()]
    others = min(near[stayed, n].p_value for n in (2, 4, 5))
    three = near[stayed, 3]
    frame = pd.DataFrame(rows, columns=names)
    return Clumps(three.levels, float(stayed), three.p_value, others, frame)
