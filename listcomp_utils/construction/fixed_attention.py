"""What can be copied while SEP's attention to the digits is the same for every list.

    fixed_attention_bound(100, alpha=0.6)            # .9901: no weights of any width do better
    train_fixed_attention(10, 16, alpha=0.6)         # a model trained so, beside the bound

With alpha fixed r = S + alpha E_a + (1 - alpha) E_b is all that SEP holds of the list (a, b).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from listcomp_utils.config import ConfigError, coerce
from listcomp_utils.construction.lemmas import one_order_bound
from listcomp_utils.generation import share

LEARNING_RATE = 1e-2
"""Adam's at its largest, over all lists at once."""


class FixedAttention(NamedTuple):
    """A model trained on all lists: shares right of lists and of o1, and the bound on the lists.

    `copied` is the share of pairs whose four lists are all right.
    """

    per_list: float
    o1: float
    copied: float
    bound: float


def fixed_attention_bound(n_digits: int, alpha: float) -> float:
    """An upper bound on the share of lists right with this alpha in every list, at any width.

    For alpha > 1/2, 1 - (n - 1) / n^2. Of two digits whose doubled lists are right, one order is
    wrong (lemma 5), so with D doubled lists right at most D + n (n - 1) - D (D - 1) / 2 lists are,
    largest at D = 1 or 2. Met for two digits; whether for many is open.
    For alpha <= 1/2, (n + 1) / 2n, by o1 alone, and met at 1/2. Proof: if a beats b at o1 on (a, b)
    and (a, c), so it does on their mixture alpha E_a + alpha E_b + (1 - 2 alpha) E_c, which (b, a)
    and (b, c) share. So where (a, b) and (b, a) are right, one of (a, c) and (b, c) is wrong for
    every c, a and b included: counted over a largest matching of such pairs, no more is right than
    one order of each pair and the doubled digits.
    """
    _check(n_digits, alpha)
    return one_order_bound(n_digits) if alpha <= 0.5 else 1 - (n_digits - 1) / n_digits**2


def train_fixed_attention(
    n_digits: int, d_model: int, alpha: float | None, seed: int = 0, steps: int = 1500
) -> FixedAttention:
    """Train the closed form on all lists with alpha frozen; None is a control that learns scores.

    Adam with a cosine schedule on the cross-entropy of both outputs, all weights free:
        r = S + alpha E_a + (1 - alpha) E_b + alpha D,    o1: U (x_o1 + r),
        o2: U (x_o2 + beta r + (1 - beta) x_o1),    beta = sigmoid(query.(r - x_o1)).
    """
    for name, value in {"d_model": d_model, "steps": steps}.items():
        if coerce(name, value, int) < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    _check(n_digits, 0.5 if alpha is None else alpha)
    generator = torch.Generator().manual_seed(coerce("seed", seed, int))

    def drawn(*shape: int) -> Tensor:
        start = torch.randn(*shape, generator=generator) / shape[-1] ** 0.5
        return start.requires_grad_()

    token, unembed, fixed = drawn(n_digits, d_model), drawn(n_digits, d_model), drawn(5, d_model)
    scores = (0.5 * torch.randn(n_digits + 1, generator=generator)).requires_grad_()
    digits = torch.arange(n_digits)
    first, second = lists = torch.cartesian_prod(digits, digits).T

    def logits() -> Float[Tensor, "list output digit"]:
        separator, direction, o1, o2, query = fixed
        held = torch.sigmoid(scores[first] - scores[second] + scores[-1])[:, None]
        if alpha is not None:
            held = torch.full_like(held, alpha)
        r = separator + held * (token[first] + direction) + (1 - held) * token[second]
        beta = torch.sigmoid((r - o1) @ query)[:, None]
        return torch.stack([o1 + r, o2 + beta * r + (1 - beta) * o1], 1) @ unembed.T

    optimizer = torch.optim.Adam([token, unembed, fixed, scores], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(logits().flatten(0, 1), lists.T.flatten()).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        right = logits().argmax(-1) == lists.T
    whole = right.all(1).view(n_digits, n_digits)
    doubled = whole.diagonal()
    pairs = torch.triu_indices(n_digits, n_digits, 1)
    shares = (whole, right[:, 0], (whole & whole.T & doubled & doubled[:, None])[*pairs])
    bound = 1.0 if alpha is None else fixed_attention_bound(n_digits, alpha)
    return FixedAttention(*map(share, shares), bound)


def _check(n_digits: int, alpha: float) -> None:
    if coerce("n_digits", n_digits, int) < 1:
        raise ConfigError(f"n_digits must be at least 1, got {n_digits}")
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha must be between 0 and 1, got {alpha}")
