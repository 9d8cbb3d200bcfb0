"""The tables that 08_construction shows: frames over sizes, models, seeds and starts.

copied([(100, 2, 2), (100, 3, 3)])             # hand-built models, run and bounded
side_by_side({"trained": weights, "by hand": theirs})
over_seeds(read_table("construction_study"), OF_NEAR_TIES)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
import torch

from listcomp_utils.circuit.formula import Weights, weights_of
from listcomp_utils.circuit.order_axis import order_axis
from listcomp_utils.config import Config
from listcomp_utils.construction.accuracy_bounds import brute_force, sandwich
from listcomp_utils.construction.content_and_order import weigh
from listcomp_utils.construction.fixed_attention import train_fixed_attention
from listcomp_utils.construction.lemmas import (
    near_ties,
    pair_margins,
    predicted_sums,
    upper_certificate,
)
from listcomp_utils.construction.proof import hand_built, proof
from listcomp_utils.construction.weights import Constants, assemble, digit_values
from listcomp_utils.generation import accuracy
from listcomp_utils.hooks import run_all
from listcomp_utils.model import make_model
from listcomp_utils.sweeps.table import read_table, summarise
from listcomp_utils.task import lists_to_score

PRINTED = {
    "width 64": ("a two-layer model of width 64 copies 92.2 % of the outputs", 0.922),
    "width 64, best": ("at width 64, the best of 60 runs of its newest grid (outputs)", 0.9405),
    "width 8": ("at width 8, .3148 of the outputs (Table 4, mean of three runs)", 0.3148),
    "width 32": ("at width 32, .6074 of the outputs (Table 4, mean of three runs)", 0.6074),
    "width 8, best": ("at width 8, the best run of its newest grid (outputs)", 0.634),
    "length 3": ("lists of three need three layers: .989 of them right (released code)", 0.989),
    "length 4": ("lists of four, 50 digits, three layers: .889 right (released code)", 0.889),
}
"""What Farrell, Leask and Al Moubayed print in "Order by Scale" (2025) or its released code has."""
Models = Mapping[str, Weights]
"""Models' weights by a name, in float64."""


def copied(sizes: Iterable[tuple[int, int, int]], most: int = 50_000) -> pd.DataFrame:
    """Hand-built models of (digits, list length, width): `most` lists run, the error bound."""
    rows = []
    for n, length, width in sizes:
        config = Config.preset("study", n_digits=n, list_len=length, d_model=width)
        lists = lists_to_score(config, most, seed=1)
        right = accuracy(hand_built(config), lists).per_list
        run = f"{len(lists):,} of {config.n_lists:,}"
        rows.append((n, length, width, run, right, float(proof(config).error.max())))
    names = ["digits", "list length", "d_model", "lists run", "right", "error bound"]
    return pd.DataFrame(rows, columns=names)


def largest_errors(config: Config, constants: Constants) -> pd.DataFrame:
    """The largest error of what each output reads, float64, beside the bound's exact part."""
    lists, first = lists_to_score(config, most=10_000), config.output_positions.start
    held = run_all(assemble(config, constants, torch.float64), lists).residuals[:, -1, first:]
    errors = (held[..., 0] / held[..., 1] - digit_values(config)[lists]).abs().amax(0)
    bound = proof(config, torch.float64, constants)
    return bound.assign(largest_error=errors)[["output", "exact_high", "largest_error"]]


def side_by_side(models: Models) -> pd.DataFrame:
    """Lemmas 2 to 4 on several models: how far the formula is off, pairs refused, near ties."""
    rows = []
    for name, model in models.items():
        closed, pairs = predicted_sums(model), pair_margins(model)
        sums = pairs.o1_sum
        off = (closed.o1_order + closed.o1_content - sums).abs().max() / sums.abs().max()
        refused = (pairs.o2_sum <= 0).mean()
        rows.append((name, off, refused, upper_certificate(model), *near_ties(model)))
    shares = ["off, of the largest", "pairs refused at o2", "lists right, at most"]
    names = ["weights", *shares, "exponent of order", "left between neighbours"]
    return pd.DataFrame(rows, columns=names)


def fixed_attention_runs(alphas: Iterable[float | None]) -> pd.DataFrame:
    """Models of two digits trained with frozen attention at SEP (None: learned), and the bound."""
    runs = [(alpha or "learned", train_fixed_attention(2, 8, alpha)) for alpha in alphas]
    rows = [(attention, run.per_list, run.bound, run.copied) for attention, run in runs]
    return pd.DataFrame(rows, columns=["attention", "lists right", "bound", "pairs copied"])


def both_bounds(models: Models) -> pd.DataFrame:
    """The bounds from both sides on the share of all lists that each model copies."""
    found = {name: sandwich(model) for name, model in models.items()}
    rows = [(name, one.lower, one.upper, one.operations) for name, one in found.items()]
    return pd.DataFrame(rows, columns=["weights", "at least", "at most", "operations"])


def costs(digits: Iterable[int]) -> pd.DataFrame:
    """Operations of both bounds against every logit's, on hand-built models of so many digits."""
    rows = []
    for n in digits:
        config = Config.preset("study", n_digits=n, d_model=4, device="cpu")
        weights = weights_of(hand_built(config), torch.float64)
        spent, whole = (find(weights).operations for find in (sandwich, brute_force))
        rows.append((n, spent, whole, spent / whole))
    return pd.DataFrame(rows, columns=["digits", "operations", "of every logit", "share"])


def over_seeds(table: pd.DataFrame, words: Mapping[str, str]) -> pd.DataFrame:
    """Mean, least and most over a table's rows of the figures that `words` names."""
    figures = table[list(words)].agg(["mean", "min", "max"]).T
    return figures.rename(index=words).reset_index(names=f"{len(table)} seeds")


def weighed(models: Models) -> pd.DataFrame:
    """`weigh` on several models."""
    rows = {name: weigh(model) for name, model in models.items()}
    return pd.DataFrame(rows).T.rename_axis("weights").reset_index()


def before_training(seeds: Iterable[int]) -> pd.DataFrame:
    """The ranked preset's initial weights: scores against readout, and all lists right."""
    rows = []
    for seed in seeds:
        model = make_model(Config.preset("ranked", seed=seed, device="cpu"))
        axis = order_axis(weights_of(model, torch.float64))
        rows.append((seed, axis.correlation, accuracy(model).per_list))
    return pd.DataFrame(rows, columns=["seed", "correlation, untrained", "lists right, untrained"])


def by_attempt(name: str, figures: Iterable[str]) -> pd.DataFrame:
    """A table of starts over its seeds: the mean of some figures, by attempt and learning rate."""
    table = read_table(name)
    by = ["attempt", "lr"] if name == "ranked_rule" else ["attempt"]
    return summarise(table, by, list(figures))[[*by, "seeds", *figures]]


def corrections(measured: Mapping[str, tuple[str, float]]) -> pd.DataFrame:
    """A row for each figure in `PRINTED` that has a measured one: both, in words."""
    rows = [(*PRINTED[name], *measured[name]) for name in PRINTED if name in measured]
    return pd.DataFrame(rows, columns=["the study", "printed", "here", "measured"])
