"""What the study prints, beside the same quantities of a model and of our training seeds.

    measured, seeds = measure(model), read_table("circuit_seeds")       # see `quantities`
    beside_seeds(measured, seeds, ["accuracy", "slots"])
    published_table(measured, seeds)                    # every printed figure, with a verdict

Source: Farrell, Leask and Al Moubayed, "Order by Scale" (2025); where its text and its released
code differ, the reason says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import NamedTuple

import numpy as np
import pandas as pd

from listcomp_utils.circuit.quantities import trained_parameters
from listcomp_utils.config import Config
from listcomp_utils.model import make_model

PRINTED_MASK = ("TFFFF", "TFFFF", "TTFFF", "FFTFF", "FFTTF")
"""Table 2, who may attend to whom: a row a query, a column a key; one for both layers."""
PRINTED_PARAMETERS = {2: 92_288, 3: 125_056}
"""Trained parameters by number of layers, printed for width 64."""


class Published(NamedTuple):
    """One printed figure, within half of its last digit (0 for a count), or "over" it (`or_more`).

    `wrong` says what is wrong with the print, `note` what is to be known where a model agrees,
    `differs` why one need not where the print is right.
    """

    name: str
    printed: float
    within: float
    wrong: str = ""
    note: str = ""
    differs: str = ""
    or_more: bool = False

    def verdict(
        self, value: float, lowest: float = nan, highest: float = nan, trained_here: bool = True
    ) -> str:
        """Whether the print agrees with a value, or with the range over seeds, or why neither."""
        near = abs(value - self.printed) <= self.within * (1 + 1e-9)
        if near or (self.or_more and value > self.printed):
            return "agrees" + (f"; {self.note}" if self.note else "")
        if self.wrong:
            return f"the print is wrong: {self.wrong}"
        if lowest - self.within <= self.printed <= highest + self.within:
            return "within our seeds"
        return self.differs or ("differs: another training" if trained_here else "differs")


WIDTH, UNSCALED = "the count at width 128", "rows not renormalised"
PUBLISHED = (
    Published("accuracy", 0.922, 5e-4, "printed for width 64, where the released model has less"),
    Published("trained_parameters", PRINTED_PARAMETERS[2], 0, WIDTH),
    Published("mean_patterns_both", 0.45, 5e-3),
    Published("edge_zeroed.L1 o2<-SEP", -0.5, 5e-4, "a drawn label, set by hand in the code"),
    Published("moderation_zeroed_o2_wrong", 0.62, 5e-3, note=UNSCALED),
    Published("moderation_zeroed_is_d1", 0.54, 5e-3, note=UNSCALED),
    Published("o2_alpha_0_1", 0.99, 5e-3, "the text has it the wrong way round"),
    Published("slots", 0.99, 5e-3, note="over it; true of any two constants", or_more=True),
    Published("reconstructed_o2", 1.0, 5e-4),
    Published("three_layers_accuracy", 1.0, 5e-3),
    Published("three_layers_parameters", PRINTED_PARAMETERS[3], 0, WIDTH),
    Published("steering_order", 0.606, 5e-4, differs="another edit: P1 - P2 added"),
)

LABELS = {
    "accuracy_o2": "o2 right, as it is",
    "three_layers_accuracy": "three layers, accuracy",
    "three_layers_parameters": "three layers, trained parameters",
    "mean_patterns_layer_0": "mean patterns, layer 0",
    "mean_patterns_layer_1": "mean patterns, layer 1",
    "mean_patterns_both": "mean patterns, both layers",
    "edge_zeroed.L1 o2<-SEP": "L1 o2<-SEP zeroed, change",
    "moderation_zeroed_o2_wrong": "moderation zeroed, o2 wrong",
    "moderation_zeroed_is_d1": "moderation zeroed, of these d1",
    "moderation_renormalised_o2_wrong": "moderation zeroed, renormalised, o2 wrong",
    "moderation_renormalised_is_d1": "moderation zeroed, renormalised, of these d1",
    "reconstructed_o2": "reconstructed o2 equals o2",
    "o2_alpha_1_0": "o2 with alpha (1, 0) in the difference",
    "o2_alpha_0_1": "o2 with alpha (0, 1) in the difference",
    "slots": "o1 and o2 apart on W_pos, linear SVC",
    "slots_from_sep": "o1 and o2 apart, part from SEP only",
    "order_offset": "offset c",
    "order_score_std": "spread of s over digits (std)",
    "order_correlation": "correlation of s and U·(P1 - P2)",
    "moderation_correlation": "correlation of o2's attention to SEP with α1 - α2",
    "o2_moderation_reversed": "o2 right, o2's attention to SEP of the reversed list",
    "o2_moderation_mean": "o2 right, o2's attention to SEP at its mean over lists",
    "steering_order": "lists reversed by steering (the follow-up: one latent scaled)",
    "steering_digits": "the same along each list's own E_a - E_b",
    "steering_constant": "the same along S",
    "steering_random": "the same along a random direction, mean",
}
"""Words for quantities in tables; the others are called what their names say after the dot."""


def beside_seeds(
    measured: Mapping[str, float], seeds: pd.DataFrame, names: Sequence[str]
) -> pd.DataFrame:
    """A row a quantity: on this model, its mean and range over seeds; of a list, its mean."""
    over = seeds[names].map(np.mean).astype(float).agg(["mean", "min", "max"]).T
    over.columns = ["our seeds, mean", "lowest", "highest"]
    words = [LABELS.get(name, name.split(".", 1)[-1].replace("_", " ")) for name in names]
    over.insert(0, "quantity", words)
    over.insert(1, "this model", [np.mean(measured[name]) for name in names])
    return over.reset_index(drop=True)


def parameter_counts(config: Config) -> pd.DataFrame:
    """Trained parameters as printed and as counted on models of the config, at two widths."""
    rows = []
    for n_layers, printed in PRINTED_PARAMETERS.items():
        row = {"layers": n_layers, "printed for width 64": printed}
        for width in (64, 128):
            made = make_model(config.replace(d_model=width, n_layers=n_layers))
            row[f"counted at width {width}"] = trained_parameters(made)
        rows.append(row)
    return pd.DataFrame(rows)


def published_table(
    measured: Mapping[str, float], seeds: pd.DataFrame, trained_here: bool = True
) -> pd.DataFrame:
    """A row for each printed figure that is measured: printed, on this model, over seeds, verdict.

    `trained_here` is false for the study's own model, which no training excuses.
    """
    figures = [figure for figure in PUBLISHED if figure.name in measured]
    names = [figure.name for figure in figures]
    beside = beside_seeds(measured, seeds.reindex(columns=names), names)
    rows = []
    for figure, (quantity, value, *over) in zip(figures, beside.to_numpy(), strict=True):
        numbers = [figure.printed, value, *over]
        if not figure.within:
            numbers = [number if isnan(number) else round(number) for number in numbers]
        rows.append([quantity, *numbers, figure.verdict(value, *over[1:], trained_here)])
    # Objects, so that counts stay whole beside shares.
    columns = ["quantity", "printed", *beside.columns[1:], "verdict"]
    return pd.DataFrame(rows, columns=columns, dtype=object)
