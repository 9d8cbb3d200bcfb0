"""Every quantity of the study and of the order mechanism, measured on one model by the formula.

    measured = measure(model)                           # {name of a quantity: its value}
    measured["accuracy"], measured["edge_zeroed.L1 o2<-SEP"], measured["right_by_difference"]

Measured on the held-out lists unless the name says otherwise; accuracy is the share of outputs
right unless it says per list. `published` holds what the study prints of them.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from listcomp_utils.circuit.formula import (
    Lists,
    Weights,
    edge_costs,
    predictions,
    residuals,
    run,
    weights_of,
    without_edge,
)
from listcomp_utils.circuit.order_axis import (
    DOSES,
    check_pairs,
    order_axis,
    outputs_of,
    separator,
    steer,
    steering_directions,
    swap_shares,
    unequal,
)
from listcomp_utils.config import Config
from listcomp_utils.generation import score
from listcomp_utils.mask import edge_label
from listcomp_utils.model import config_of
from listcomp_utils.task import all_lists, split_lists

BINS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 1.0)
"""Edges of the bins of |alpha_1 - alpha_2|."""


def measure(model: nn.Module) -> dict[str, Any]:
    """The quantities of a model, which `published.LABELS` has words for.

    Shares but for counts; `edge_zeroed.` and `edge_renormalised.` with an edge are changes of the
    accuracy without it, `swap.` with an edit the share of lists that it reverses. Two are lists:
    `steering_random`, one a direction, and `right_by_difference`, one of each of `BINS`.

    Raises:
        ConfigError: for a model that is not of the study's architecture with lists of two.
    """
    config = config_of(model)
    check_pairs(config)
    weights, lists = weights_of(model, torch.float64), all_lists(config)
    held_out = split_lists(config).held_out
    held_out = held_out if len(held_out) else lists
    return {
        "trained_parameters": trained_parameters(model),
        **_accuracies(config, weights, held_out, lists),
        **_patterns(config, weights, held_out),
        **_edges(config, weights, held_out),
        **_difference(config, weights, held_out),
        **slot_classifier(config, weights, held_out),
        **_mechanism(config, weights, lists),
    }


def trained_parameters(model: nn.Module) -> int:
    """How many numbers of a model training changes."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def difference_terms(
    config: Config,
    weights: Weights,
    lists: Lists,
    alpha: tuple[float, float] | None = None,
) -> dict[str, Float[Tensor, "list vocabulary"]]:
    """The terms of l_o2 - l_o1, equation (6) of the study; they add up to it exactly.

    `alpha` puts fixed weights in place of SEP's attention to d1 and d2.
    """
    held = separator(config, weights, lists)
    beta = outputs_of(config, weights, lists).moderation[:, None]
    attention = held.attention if alpha is None else torch.tensor([alpha]).to(held.attention)
    first, second = config.output_positions
    places, unembed = weights.position, weights.unembed
    digits = [weights.token[lists[:, place]] + places[place] for place in range(2)]
    sep = weights.token[config.sep_id] + places[config.sep_position]
    to_o1 = 1 - beta
    return {
        "P_o2": (places[second] @ unembed).expand(len(lists), -1),
        "−β_s P_o1": -beta * (places[first] @ unembed),
        "−β_o1 α1 D1": -to_o1 * attention[:, :1] * (digits[0] @ unembed),
        "−β_o1 α2 D2": -to_o1 * attention[:, 1:] * (digits[1] @ unembed),
        "−β_o1 S": -to_o1 * (sep @ unembed),
        "+β_o1 E_m": to_o1 * (weights.token[config.mask_id] @ unembed),
    }


def slot_classifier(config: Config, weights: Weights, lists: Lists) -> dict[str, float]:
    """Accuracy of a linear SVC that tells final o1 from o2 vectors by their products with W_pos.

    Fitted on half of the lists and scored on the rest ("slots"). The control ("slots_from_sep")
    leaves out o1's and o2's own constant input vectors: only what came from SEP tells them apart.
    Source: section 4.3 of the study.
    """
    places, circuit = list(config.output_positions), run(config, weights, lists)
    final = residuals(weights, circuit.tokens, circuit.mixtures[:, -1, places])
    held = separator(config, weights, lists).vectors
    beta = outputs_of(config, weights, lists).moderation
    carried = torch.stack([torch.ones_like(beta), beta], dim=1)[..., None] * held[:, None]

    def separable(vectors: Float[Tensor, "list output d_model"]) -> float:
        features = (vectors @ weights.position.T).numpy()
        halves = train_test_split(features, test_size=0.5, random_state=0)
        fit, score = (half.reshape(-1, half.shape[-1]) for half in halves)
        model = LinearSVC(random_state=0, max_iter=20_000, dual=False)
        return model.fit(fit, [0, 1] * (len(fit) // 2)).score(score, [0, 1] * (len(score) // 2))

    return {"slots": separable(final), "slots_from_sep": separable(carried)}


def accuracy_by_difference(config: Config, weights: Weights, lists: Lists) -> list[float]:
    """Share of lists (a not b) right in each of `BINS`, nan without any (figure 4 of the study)."""
    lists = unequal(lists)
    right = (outputs_of(config, weights, lists).written == lists).all(1)
    attention = separator(config, weights, lists).attention
    difference = (attention[:, 0] - attention[:, 1]).abs()
    which = torch.bucketize(difference, torch.tensor(BINS[1:-1]).to(difference), right=True)
    return [right[which == place].double().mean().item() for place in range(len(BINS) - 1)]


def _share(part: Tensor, whole: Tensor) -> float:
    return ((part & whole).sum() / whole.sum().clamp_min(1)).item()


def _accuracies(config: Config, weights: Weights, held_out: Lists, lists: Lists) -> dict:
    written = predictions(config, weights, held_out)
    own, everywhere = score(written, held_out), score(predictions(config, weights, lists), lists)
    wrong, other = written != held_out, written == held_out.flip(1)
    return {
        "accuracy": own.per_token,
        "accuracy_o1": own.per_position[0],
        "accuracy_o2": own.per_position[1],
        "accuracy_per_list": own.per_list,
        "accuracy_all_lists": everywhere.per_token,
        "accuracy_per_list_all_lists": everywhere.per_list,
        "o1_wrong": int(wrong[:, 0].sum()),
        "o1_wrong_is_d2": _share(other[:, 0], wrong[:, 0]),
        "o2_wrong": int(wrong[:, 1].sum()),
        "o2_wrong_is_d1": _share(other[:, 1], wrong[:, 1]),
    }


def _patterns(config: Config, weights: Weights, lists: Lists) -> dict[str, float]:
    patterns = run(config, weights, lists).patterns
    mean, sep, (first, second) = patterns.mean(0), config.sep_position, config.output_positions

    def with_means(*layers: int) -> float:
        def edit(layer: int, own: Tensor) -> Tensor:
            return mean[layer].expand_as(own) if layer in layers else own

        return score(predictions(config, weights, lists, edit), lists).per_token

    return {
        "mean_patterns_layer_0": with_means(0),
        "mean_patterns_layer_1": with_means(1),
        "mean_patterns_both": with_means(0, 1),
        "attention_sep_d1_mean": mean[0, sep, 0].item(),
        "attention_sep_d2_mean": mean[0, sep, 1].item(),
        "attention_sep_d1_std": patterns[:, 0, sep, 0].std().item(),
        "attention_o2_sep_mean": mean[1, second, sep].item(),
        "attention_o2_o1_mean": mean[1, second, first].item(),
    }


def _edges(config: Config, weights: Weights, lists: Lists) -> dict[str, float]:
    first, second = config.output_positions
    figures = {}
    for removal, renormalise in (("zeroed", False), ("renormalised", True)):
        for edge, cost in edge_costs(config, weights, lists, renormalise).items():
            figures[f"edge_{removal}.{edge_label(config, edge)}"] = 0.0 - cost
        edit = without_edge((1, second, first), renormalise)
        o2 = predictions(config, weights, lists, edit)[:, 1]
        wrong = o2 != lists[:, 1]
        figures[f"moderation_{removal}_o2_wrong"] = wrong.double().mean().item()
        figures[f"moderation_{removal}_is_d1"] = _share(o2 == lists[:, 0], wrong)
    return figures


def _difference(config: Config, weights: Weights, lists: Lists) -> dict[str, float]:
    outputs = outputs_of(config, weights, lists)

    def right(goal: Tensor, alpha: tuple[float, float] | None = None) -> float:
        """Share of lists where o1's logits and the terms make `goal` of o2."""
        terms = difference_terms(config, weights, lists, alpha).values()
        return ((outputs.logits[:, 0] + sum(terms)).argmax(-1) == goal).double().mean().item()

    return {
        "reconstructed_o2": right(outputs.written[:, 1]),
        "o2_alpha_1_0": right(lists[:, 1], (1, 0)),
        "o2_alpha_0_1": right(lists[:, 1], (0, 1)),
    }


def _mechanism(config: Config, weights: Weights, lists: Lists) -> dict[str, Any]:
    axis, held = order_axis(config, weights), separator(config, weights, lists)
    beta, alpha = outputs_of(config, weights, lists).moderation, held.attention
    swaps = swap_shares(config, weights, lists)
    steered = {
        name: steer(config, weights, lists, direction, DOSES).reversed_somewhere
        for name, direction in steering_directions(config, weights, lists, seed=0).items()
    }
    correlation = torch.corrcoef(torch.stack([beta, alpha[:, 0] - alpha[:, 1]]))[0, 1].item()
    reversed_by, o2_right = swaps["reversed"].to_dict(), swaps["o2_right"].to_dict()
    parts = ("position weights", "content weights")
    return {
        "order_offset": axis.offset,
        "order_score_std": axis.scores.std().item(),
        "order_correlation": axis.correlation,
        "moderation_correlation": correlation,
        "o2_moderation_reversed": o2_right["moderation, of the reversed list"],
        "o2_moderation_mean": o2_right["moderation, mean over lists"],
        "steering_order": steered["P_1 - P_2"],
        "steering_digits": steered["E_a - E_b"],
        "steering_constant": steered["S"],
        "steering_random": [share for name, share in steered.items() if "random" in name],
        **{f"swap.{edit}": x for edit, x in reversed_by.items() if edit.startswith(parts)},
        "right_by_difference": accuracy_by_difference(config, weights, lists),
    }
