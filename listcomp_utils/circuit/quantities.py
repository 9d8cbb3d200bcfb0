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

from listcomp_utils.circuit import formula, order_axis
from listcomp_utils.circuit.formula import Lists, Weights, predictions
from listcomp_utils.circuit.order_axis import outputs_of, separator
from listcomp_utils.generation import score, share
from listcomp_utils.mask import edge_label
from listcomp_utils.model import config_of
from listcomp_utils.task import all_lists, split_lists

BINS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 1.0)
"""Edges of the bins of |alpha_1 - alpha_2|."""


def measure(model: nn.Module) -> dict[str, Any]:
    """The quantities of a model, which `published.LABELS` has words for.

    `edge_zeroed.` and `edge_renormalised.` with an edge are changes of the accuracy without it,
    `swap.` with an edit the share of all lists that it reverses. Where fewer than two lists of two
    digits are held out all lists take their place. Two are lists: `steering_random`,
    a share a direction, and `right_by_difference`, one for each of `BINS`.
    """
    config = config_of(model)
    order_axis.check_pairs(config)
    weights, lists = formula.weights_of(model, torch.float64), all_lists(config)
    held_out = split_lists(config).held_out
    held_out = held_out if len(order_axis.unequal(held_out)) > 1 else lists
    right = score(predictions(weights, held_out), held_out)
    return {
        "trained_parameters": trained_parameters(model),
        "accuracy": right.per_token,
        "accuracy_o2": right.per_position[1],
        "accuracy_per_list": right.per_list,
        **_patterns(weights, held_out),
        **_edges(weights, held_out),
        **_difference(weights, held_out),
        **slot_classifier(weights, held_out),
        **_mechanism(weights, lists),
        **_interventions(weights, lists),
    }


def trained_parameters(model: nn.Module) -> int:
    """How many numbers of a model training changes."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def difference_terms(
    weights: Weights, lists: Lists, alpha: tuple[float, float] | None = None
) -> dict[str, Float[Tensor, "list vocabulary"]]:
    """The terms of l_o2 - l_o1, equation (6) of the study; `alpha` fixes SEP's attention there."""
    config = weights.config
    held = separator(weights, lists)
    beta = outputs_of(weights, lists).moderation[:, None]
    attention = held.attention if alpha is None else torch.tensor([alpha]).to(held.attention)
    first, second = config.output_positions
    places, unembed = weights.position, weights.unembed
    digits = [weights.token[lists[:, place]] + places[place] for place in range(2)]
    to_o1 = 1 - beta
    return {
        "P_o2": (places[second] @ unembed).expand(len(lists), -1),
        "−β_s P_o1": -beta * (places[first] @ unembed),
        "−β_o1 α1 D1": -to_o1 * attention[:, :1] * (digits[0] @ unembed),
        "−β_o1 α2 D2": -to_o1 * attention[:, 1:] * (digits[1] @ unembed),
        "−β_o1 S": -to_o1 * (weights.separator_input @ unembed),
        "+β_o1 E_m": to_o1 * (weights.token[config.mask_id] @ unembed),
    }


def slot_classifier(weights: Weights, lists: Lists) -> dict[str, float]:
    """Accuracy of a linear SVC that tells final o1 from o2 vectors (section 4.3 of the study).

    The control, "slots_from_sep", leaves out o1's and o2's own constant input vectors.
    """
    circuit = formula.run(weights, lists)
    mixtures = circuit.mixtures[:, -1, weights.config.output_positions]
    final = mixtures @ weights.token[circuit.tokens] + mixtures @ weights.position
    held = separator(weights, lists).vectors
    beta = outputs_of(weights, lists).moderation
    carried = torch.stack([torch.ones_like(beta), beta], dim=1)[..., None] * held[:, None]

    def separable(vectors: Float[Tensor, "list output d_model"]) -> float:
        features = (vectors @ weights.position.T).numpy()
        halves = train_test_split(features, test_size=0.5, random_state=0)
        fit, rest = (half.reshape(-1, half.shape[-1]) for half in halves)
        model = LinearSVC(random_state=0, max_iter=20_000, dual=False)
        return model.fit(fit, [0, 1] * (len(fit) // 2)).score(rest, [0, 1] * (len(rest) // 2))

    return {"slots": separable(final), "slots_from_sep": separable(carried)}


def _patterns(weights: Weights, lists: Lists) -> dict[str, float]:
    config = weights.config
    patterns = formula.run(weights, lists).patterns
    mean, sep, (first, second) = patterns.mean(0), config.sep_position, config.output_positions

    def with_means(*layers: int) -> float:
        def edit(layer: int, own: Tensor) -> Tensor:
            return mean[layer].expand_as(own) if layer in layers else own

        return share(predictions(weights, lists, edit) == lists)

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


def _edges(weights: Weights, lists: Lists) -> dict[str, float]:
    config = weights.config
    first, second = config.output_positions
    figures = {}
    for removal, renormalise in (("zeroed", False), ("renormalised", True)):
        for edge, cost in formula.edge_costs(weights, lists, renormalise).items():
            figures[f"edge_{removal}.{edge_label(config, edge)}"] = 0.0 - cost
        edit = formula.without_edge((1, second, first), renormalise)
        o2 = predictions(weights, lists, edit)[:, 1]
        wrong = o2 != lists[:, 1]
        figures[f"moderation_{removal}_o2_wrong"] = share(wrong)
        is_d1 = (o2 == lists[:, 0])[wrong]
        figures[f"moderation_{removal}_is_d1"] = share(is_d1) if len(is_d1) else 0.0
    return figures


def _difference(weights: Weights, lists: Lists) -> dict[str, float]:
    outputs = outputs_of(weights, lists)

    def right(goal: Tensor, alpha: tuple[float, float] | None = None) -> float:
        """Share of lists where o1's logits and the terms make `goal` of o2."""
        terms = difference_terms(weights, lists, alpha).values()
        return share((outputs.logits[:, 0] + sum(terms)).argmax(-1) == goal)

    return {
        "reconstructed_o2": right(outputs.written[:, 1]),
        "o2_alpha_1_0": right(lists[:, 1], (1, 0)),
        "o2_alpha_0_1": right(lists[:, 1], (0, 1)),
    }


def _mechanism(weights: Weights, lists: Lists) -> dict[str, Any]:
    axis, outputs = order_axis.order_axis(weights), outputs_of(weights, lists)
    alpha = separator(weights, lists).attention
    both = torch.stack([outputs.moderation, alpha[:, 0] - alpha[:, 1]])
    # Figure 4 of the study: lists (a, b), a not b, right in each of `BINS`, nan without any.
    different, right = lists[:, 0] != lists[:, 1], (outputs.written == lists).all(1)
    bins = torch.bucketize(both[1].abs(), torch.tensor(BINS[1:-1]).to(both), right=True)
    return {
        "order_offset": axis.offset,
        "order_score_std": axis.scores.std().item(),
        "order_correlation": axis.correlation,
        "moderation_correlation": torch.corrcoef(both)[0, 1].item(),
        "right_by_difference": [
            share(right[different & (bins == place)]) for place in range(len(BINS) - 1)
        ],
    }


def _interventions(weights: Weights, lists: Lists) -> dict[str, Any]:
    swaps = order_axis.swap_shares(weights, lists)
    reversed_by, o2_right = swaps["reversed"].to_dict(), swaps["o2_right"].to_dict()
    steered = {
        name: order_axis.steer(weights, lists, direction).reversed_somewhere
        for name, direction in order_axis.steering_directions(weights, lists).items()
    }
    return {
        "o2_moderation_reversed": o2_right["moderation, of the reversed list"],
        "o2_moderation_mean": o2_right["moderation, mean over lists"],
        "steering_order": steered["P1 - P2"],
        "steering_digits": steered["the list's E_a - E_b"],
        "steering_constant": steered["S"],
        "steering_random": [share for name, share in steered.items() if "random" in name],
        **{f"swap.{edit}": x for edit, x in reversed_by.items() if "weights" in edit},
    }
