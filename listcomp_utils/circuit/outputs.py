"""How the outputs read SEP: the difference of their logits by term, slots, failures by attention.

terms = difference_terms(config, weights, lists)      # equation (6) of the study
slot_classifier(config, weights, lists, seed=0)       # its section 4.3, with a control
accuracy_by_difference(config, weights, lists)        # its figure 4, in bins
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC
from torch import Tensor

from listcomp_utils.circuit.formula import Lists, Weights, residuals, run
from listcomp_utils.circuit.order_axis import outputs_of, separator, unequal
from listcomp_utils.config import Config

BINS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 1.0)
"""Edges of the bins of |alpha_1 - alpha_2|."""


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
        "-beta_s P_o1": -beta * (places[first] @ unembed),
        "-beta_o1 alpha_1 D1": -to_o1 * attention[:, :1] * (digits[0] @ unembed),
        "-beta_o1 alpha_2 D2": -to_o1 * attention[:, 1:] * (digits[1] @ unembed),
        "-beta_o1 S": -to_o1 * (sep @ unembed),
        "+beta_o1 E_m": to_o1 * (weights.token[config.mask_id] @ unembed),
    }


def slot_classifier(config: Config, weights: Weights, lists: Lists, seed: int) -> dict[str, float]:
    """Accuracy of a linear SVC that tells final o1 from o2 vectors by their products with W_pos.

    Fitted on half of the lists and scored on the rest ("slots"). The control ("slots_from_sep")
    leaves out o1's and o2's own constant input vectors: only what came from SEP tells them apart.
    """
    places, circuit = list(config.output_positions), run(config, weights, lists)
    final = residuals(weights, circuit.tokens, circuit.mixtures[:, -1, places])
    held = separator(config, weights, lists).vectors
    beta = outputs_of(config, weights, lists).moderation
    carried = torch.stack([torch.ones_like(beta), beta], dim=1)[..., None] * held[:, None]
    fit, score = train_test_split(torch.arange(len(lists)), test_size=0.5, random_state=seed)

    def separable(vectors: Float[Tensor, "list output d_model"]) -> float:
        features = (vectors @ weights.position.T).numpy()
        model = LinearSVC(random_state=seed, max_iter=20_000, dual=False)
        model.fit(features[fit].reshape(-1, features.shape[-1]), [0, 1] * len(fit))
        return model.score(features[score].reshape(-1, features.shape[-1]), [0, 1] * len(score))

    return {"slots": separable(final), "slots_from_sep": separable(carried)}


def accuracy_by_difference(config: Config, weights: Weights, lists: Lists) -> list[float]:
    """Share of lists (a not b) right in each of `BINS` of |alpha_1 - alpha_2|.

    nan where a bin is empty.
    """
    lists = unequal(lists)
    right = (outputs_of(config, weights, lists).written == lists).all(1)
    attention = separator(config, weights, lists).attention
    difference = (attention[:, 0] - attention[:, 1]).abs()
    which = torch.bucketize(difference, torch.tensor(BINS[1:-1]).to(difference), right=True)
    return [right[which == place].double().mean().item() for place in range(len(BINS) - 1)]
