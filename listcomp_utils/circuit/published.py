"""The study's figures: what it prints, and the same quantities measured on a model.

    measured = measure(model)                 # {quantity: value}
    [(row.name, row.published, measured.get(row.name)) for row in PUBLISHED]

Source of the printed values: Farrell, Leask and Al Moubayed, "Order by Scale" (2025), and where its
text and its released code differ, the note says which. Measured on the held-out lists unless the
quantity says otherwise; accuracy is per token unless it says per list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.ablation.edges import edge_table, knock_out
from listcomp_utils.checkpoints import find_trained
from listcomp_utils.circuit.failures import FailurePredictor, fit_failures, score_failures
from listcomp_utils.circuit.formula import Weights, run, weights_of
from listcomp_utils.circuit.order_axis import (
    DOSES,
    order_axis,
    read_out,
    separator,
    steer,
    steering_directions,
    swap_shares,
)
from listcomp_utils.circuit.outputs import (
    BINS,
    accuracy_by_difference,
    difference_terms,
    moderation_edge,
    slot_classifier,
)
from listcomp_utils.config import Config
from listcomp_utils.files import check_writable, shipped_dir, write_atomically
from listcomp_utils.hooks import logits_with, replace, score_logits, score_with
from listcomp_utils.mask import edge_label
from listcomp_utils.model import config_of, parameter_table
from listcomp_utils.task import all_lists, split_lists

SEEDS_FILE = "circuit_seeds.json"
PREDICTOR = "failure predictor,"


@dataclass(frozen=True)
class Published:
    """One printed figure and what is to be known about it."""

    name: str
    published: float
    within: float
    """Half of the last digit printed."""
    wrong: str = ""
    """What is wrong with the print, if anything is."""
    note: str = ""
    or_more: bool = False
    """Printed as "over" this."""

    def agrees(self, value: float) -> bool:
        """Whether a measured value rounds to the printed one, or is over it where that is said."""
        return (self.or_more and value > self.published) or abs(value - self.published) <= (
            self.within * (1 + 1e-9)
        )


PUBLISHED = (
    Published("accuracy", 0.922, 5e-4, "printed for width 64, where the released model has less"),
    Published("trained parameters", 92_288, 0, "the count at width 128"),
    Published("mean patterns, both layers", 0.45, 5e-3),
    Published("L1 o2<-SEP zeroed, change", -0.5, 5e-4, "a drawn label, set by hand in the code"),
    Published("moderation zeroed, o2 wrong", 0.62, 5e-3, note="rows not renormalised"),
    Published("moderation zeroed, of these d1", 0.54, 5e-3, note="rows not renormalised"),
    Published(
        "o2 with alpha (0, 1) in the difference", 0.99, 5e-3, "the text has it the wrong way round"
    ),
    Published(
        "o1 and o2 apart on W_pos, linear SVC",
        0.99,
        5e-3,
        note="true of any two different constants",
        or_more=True,
    ),
    Published("reconstructed o2 equals o2", 1.0, 5e-4),
)


def measure(model: TransformerBridge) -> dict[str, float]:
    """Every quantity of the study and of the order mechanism, on one model.

    Raises:
        ConfigError: for a model that is not of the study's architecture with lists of two.
    """
    config = config_of(model)
    held_out, lists = split_lists(config).held_out, all_lists(config)
    held_out = held_out if len(held_out) else lists
    weights = weights_of(model, torch.float64)
    figures = {
        "trained parameters": float(sum(r.size for r in parameter_table(model) if r.trained))
    }
    figures |= _accuracies(model, held_out, lists)
    figures |= _patterns(model, held_out)
    figures |= _edges(model, held_out)
    figures |= _difference(config, weights, held_out)
    figures |= slot_classifier(config, weights, held_out, seed=0)
    return figures | _mechanism(config, weights, lists)


def _accuracies(model: TransformerBridge, held_out: Tensor, lists: Tensor) -> dict[str, float]:
    config, logits = config_of(model), logits_with(model, held_out)
    score, everywhere = score_logits(config, held_out, logits), score_with(model, lists)
    written = logits[:, config.prediction_positions].argmax(-1).cpu()
    wrong = written != held_out
    other = (written == held_out.flip(1)) & wrong
    return {
        "accuracy": score.per_token,
        "accuracy o1": score.per_position[0],
        "accuracy o2": score.per_position[1],
        "accuracy per list": score.per_list,
        "accuracy, all lists": everywhere.per_token,
        "accuracy per list, all lists": everywhere.per_list,
        "o1 wrong, lists": wrong[:, 0].sum().item(),
        "o1 wrong, of these d2": _share(other[:, 0], wrong[:, 0]),
        "o2 wrong, lists": wrong[:, 1].sum().item(),
        "o2 wrong, of these d1": _share(other[:, 1], wrong[:, 1]),
    }


def _patterns(model: TransformerBridge, lists: Tensor) -> dict[str, float]:
    config = config_of(model)
    patterns = run(config, weights_of(model), lists).patterns
    hooks = [
        (get_act_name("pattern", layer), replace(patterns[:, layer].mean(0)))
        for layer in range(config.n_layers)
    ]
    sep, (_, second) = config.sep_position, config.output_positions
    return {
        "mean patterns, layer 0": score_with(model, lists, hooks[:1]).per_token,
        "mean patterns, layer 1": score_with(model, lists, hooks[1:]).per_token,
        "mean patterns, both layers": score_with(model, lists, hooks).per_token,
        "L0 SEP<-d1, mean": patterns[:, 0, sep, 0].mean().item(),
        "L0 SEP<-d2, mean": patterns[:, 0, sep, 1].mean().item(),
        "L0 SEP<-d1, std": patterns[:, 0, sep, 0].std().item(),
        "L1 o2<-SEP, mean": patterns[:, 1, second, sep].mean().item(),
        "L1 o2<-o1, mean": patterns[:, 1, second, sep + 1].mean().item(),
    }


def _edges(model: TransformerBridge, lists: Tensor) -> dict[str, float]:
    config = config_of(model)
    before = score_with(model, lists).per_token
    figures = {}
    for removal, words in (("zero", "zeroed"), ("renormalise", "zeroed, rows renormalised")):
        for edge, score in edge_table(model, lists, removal).items():
            figures[f"{edge_label(config, edge)} {words}, change"] = score.per_token - before
        words = "moderation zeroed" + (", renormalised" if removal == "renormalise" else "")
        hooks = knock_out(model, [moderation_edge(config)], removal)
        written = logits_with(model, lists, hooks)[:, config.prediction_positions].argmax(-1)
        wrong = written[:, 1].cpu() != lists[:, 1]
        figures[f"{words}, o2 wrong"] = wrong.double().mean().item()
        figures[f"{words}, of these d1"] = _share(written[:, 1].cpu() == lists[:, 0], wrong)
    return figures


def _difference(config: Config, weights: Weights, lists: Tensor) -> dict[str, float]:
    outputs = read_out(config, weights, separator(config, weights, lists).vectors)
    first = outputs.logits[:, 0]

    def second(alpha: tuple[float, float] | None) -> Tensor:
        return first + sum(difference_terms(config, weights, lists, alpha).values())

    same = second(None).argmax(-1) == outputs.written[:, 1]
    figures = {"reconstructed o2 equals o2": same.double().mean().item()}
    for alpha in ((1, 0), (0, 1)):
        right = second(alpha).argmax(-1) == lists[:, 1]
        figures[f"o2 with alpha {alpha} in the difference"] = right.double().mean().item()
    return figures


def _mechanism(config: Config, weights: Weights, lists: Tensor) -> dict[str, float]:
    axis = order_axis(config, weights)
    shares = swap_shares(config, weights, lists)
    held = separator(config, weights, lists)
    beta = read_out(config, weights, held.vectors).moderation
    alpha_difference = held.attention[:, 0] - held.attention[:, 1]
    figures = {
        "order axis, offset c": axis.offset,
        "order axis, std of s": axis.scores.std().item(),
        "order axis, correlation of s and U(P1-P2)": axis.correlation,
        "correlation of beta and alpha_1 - alpha_2": torch.corrcoef(
            torch.stack([beta, alpha_difference])
        )[0, 1].item(),
        "o2 right, moderation of the reversed list": shares[
            "moderation, of the reversed list"
        ].per_output[1],
        "o2 right, moderation mean": shares["moderation, mean over lists"].per_output[1],
    }
    for name, direction in steering_directions(config, weights, lists, seed=0).items():
        share = steer(config, weights, lists, direction, DOSES).reversed_somewhere
        figures[f"steering {name}, reversed at some dose"] = share
    for name, share in shares.items():
        if name.startswith(("position weights", "content weights")):
            figures[f"swap {name}: exactly (b, a)"] = share.reversed
    for low, right in zip(BINS, accuracy_by_difference(config, weights, lists), strict=False):
        high = BINS[BINS.index(low) + 1]
        figures[f"lists right, |alpha_1 - alpha_2| {low:g} to {high:g}"] = right
    return figures


def _share(part: Tensor, whole: Tensor) -> float:
    return ((part & whole).sum() / whole.sum().clamp_min(1)).item()


def measure_seeds(
    config: Config, seeds: Iterable[int], artifacts_dir: str | Path | None = None
) -> list[dict[str, float]]:
    """`measure` for each seed that is trained, with its seed.

    With two seeds or more, also how a failure predictor fitted on the others' held-out lists does
    on this one's, and its numbers (see `failures`).
    """
    rows, models = [], []
    for seed in seeds:
        trained = find_trained(config.replace(seed=seed), artifacts_dir)
        if trained is not None:
            rows.append({"seed": seed, **measure(trained.model)})
            weights = weights_of(trained.model, torch.float64)
            models.append((config, weights, split_lists(config).held_out))
    if len(rows) > 1:
        for number, row in enumerate(rows):
            predictor = fit_failures(models[:number] + models[number + 1 :])
            scores = asdict(score_failures(predictor, *models[number]))
            row |= {f"failures, {name}": float(value) for name, value in scores.items()}
            row |= {f"{PREDICTOR} {name}": value for name, value in _numbers(predictor).items()}
    return rows


def shipped_predictor(row: dict[str, float]) -> FailurePredictor:
    """The predictor that a row of `measure_seeds` names: fitted on all seeds but the row's own."""
    names = _numbers(FailurePredictor(0.0, (0.0, 0.0), 0.0))
    intercept, first, second, threshold = (row[f"{PREDICTOR} {name}"] for name in names)
    return FailurePredictor(intercept, (first, second), threshold)


def _numbers(predictor: FailurePredictor) -> dict[str, float]:
    slopes = predictor.slopes
    return {
        "intercept": predictor.intercept,
        "slope of |alpha_1 - alpha_2|": slopes[0],
        "slope of the rank gap": slopes[1],
        "threshold": predictor.threshold,
    }


def write_seeds(rows: Sequence[dict[str, float]], folder: str | Path) -> Path:
    """Save the rows; raises ConfigError for a folder that cannot be written."""
    path = Path(folder) / SEEDS_FILE
    check_writable(path.parent)
    write_atomically(path, (json.dumps(list(rows), indent=1) + "\n").encode())
    return path


def shipped_seeds() -> list[dict[str, float]]:
    """The rows that ship, made by `make seeds`; empty when none do."""
    path = shipped_dir() / SEEDS_FILE
    return json.loads(path.read_text()) if path.is_file() else []
