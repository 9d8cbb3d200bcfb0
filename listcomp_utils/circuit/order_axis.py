"""How the study's model tells (a, b) from (b, a): the order axis, and interventions on it.

    weights = weights_of(model, torch.float64)
    axis = order_axis(weights)
    axis.attention(a, b)                              # SEP's attention to d1, without running
    swap_shares(weights, lists).loc["position weights, exchanged", "reversed"]
    steer(weights, lists, axis.direction).reversed_somewhere

For lists of two digits, two layers and masked decoding; SEP holds after layer 0
    r = E_SEP + P_SEP + alpha_1 (E_a + P_1) + alpha_2 (E_b + P_2),    alpha_1 + alpha_2 = 1,
and everything here edits that vector and lets the outputs read it, exactly as the model would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from listcomp_utils.circuit.formula import Lists, Weights, run
from listcomp_utils.config import STUDY_ARCHITECTURE, Config, require
from listcomp_utils.generation import share

DOSES = tuple(step / 50 for step in range(-50, 51))
"""Steering doses, in units of the direction's length."""
SIZES = tuple(sorted({abs(dose) for dose in DOSES}))
"""Sizes of the doses, those of `Steering.within`."""
NEAR = 0.1
"""A list is near the diagonal of two equal shares up to this |alpha_1 - alpha_2|."""
CHUNK = 16
"""Lists steered at once: their logits at all doses fit in a processor's cache."""


@dataclass(frozen=True)
class OrderAxis:
    """The scalar that SEP compares the digits by, and the one that the unembedding reads.

    Scores s_t are the query of SEP times the key of each digit's embedding, the offset c what the
    two positions add to s_a - s_b; the readout is U_t (P_1 - P_2), along the direction P_1 - P_2.
    """

    scores: Float[Tensor, "digit"]
    offset: float
    readout: Float[Tensor, "digit"]
    direction: Float[Tensor, "d_model"]

    @property
    def correlation(self) -> float:
        """Pearson correlation of scores and readout over the digits."""
        return torch.corrcoef(torch.stack([self.scores, self.readout]))[0, 1].item()

    def attention(self, first: Tensor, second: Tensor) -> Float[Tensor, "list"]:
        """alpha_1, SEP's attention to the first digit: sigmoid(s_a - s_b + c), exactly."""
        return torch.sigmoid(self.scores[first] - self.scores[second] + self.offset)


class Separator(NamedTuple):
    """SEP after layer 0, and its attention alpha_1 and alpha_2 to the digits."""

    vectors: Float[Tensor, "list d_model"]
    attention: Float[Tensor, "list digit_position"]


class Outputs(NamedTuple):
    """What the outputs make of a separator, and beta, o2's attention to it; the rest goes to o1."""

    logits: Float[Tensor, "list output vocabulary"]
    moderation: Float[Tensor, "list"]

    @property
    def written(self) -> Int[Tensor, "list output"]:
        """The tokens of the largest logits."""
        return self.logits.argmax(-1)


def check_pairs(config: Config) -> None:
    """Raise ConfigError unless the config is the study's architecture with lists of two."""
    require(config, "the order analysis", **STUDY_ARCHITECTURE, list_len=2)


def order_axis(weights: Weights) -> OrderAxis:
    """Scores, offset and readout from the weights alone; raises ConfigError as `check_pairs`."""
    config = weights.config
    check_pairs(config)
    query, n = weights.separator_input @ weights.query_key[0], config.n_digits
    direction = weights.position[0] - weights.position[1]
    readout = weights.unembed.T[:n] @ direction
    return OrderAxis(weights.token[:n] @ query, (query @ direction).item(), readout, direction)


def separator(weights: Weights, lists: Lists) -> Separator:
    """SEP after layer 0 as the model computes it."""
    config = weights.config
    check_pairs(config)
    attention = run(weights, lists).mixtures[:, 1, config.sep_position, :2]
    return Separator(compose(weights, lists, attention, attention), attention)


def compose(
    weights: Weights,
    lists: Lists,
    content: Float[Tensor, "list position"],
    position: Float[Tensor, "list position"],
) -> Float[Tensor, "list d_model"]:
    """SEP's vector with chosen weights for the digits' content and for their positions."""
    digits = torch.einsum("lp,lpd->ld", content, weights.token[lists])
    return weights.separator_input + digits + position @ weights.position[:2]


def read_out(
    weights: Weights,
    vectors: Float[Tensor, "list d_model"],
    moderation: Float[Tensor, "list"] | None = None,
) -> Outputs:
    """The outputs that read these vectors at SEP; `moderation` fixes o2's attention to SEP."""
    first, second = weights.output_inputs
    if moderation is None:
        query = second @ weights.query_key[1]
        moderation = torch.sigmoid(vectors @ query - first @ query)
    share = moderation[:, None]
    residuals = [first + vectors, second + share * vectors + (1 - share) * first]
    return Outputs(torch.stack(residuals, 1) @ weights.unembed, moderation)


def outputs_of(weights: Weights, lists: Lists) -> Outputs:
    """The model's own outputs."""
    return read_out(weights, separator(weights, lists).vectors)


def swap_shares(weights: Weights, lists: Lists) -> pd.DataFrame:
    """Which weights carry the order: each edited alone, on the lists (a, b) with a not b.

    A row an edit (the index), a column an outcome's share of the lists; the rest of the first four
    write a third digit. "exchanged" gives alpha_1 and alpha_2 each other's place; "of the reversed
    list" takes them from the run on (b, a). "moderation" is o2's attention to SEP, alone edited but
    where it is kept; "another" list is drawn at random. `from own` and `from reverse` are the mean
    distances of the edited vector to what SEP holds on (a, b) and on (b, a); `reversed off the
    diagonal` and `on it` are shares of the lists that are not NEAR a tie and of the others.
    """
    lists = unequal(lists)
    held, turned = (separator(weights, rows) for rows in (lists, lists.flip(1)))
    own, exchanged, of_reversed = held.attention, held.attention.flip(1), turned.attention
    beta, beta_reversed = (
        read_out(weights, run_on.vectors).moderation for run_on in (held, turned)
    )
    even = torch.full_like(own, 0.5)
    drawn = torch.randperm(len(lists), generator=torch.Generator().manual_seed(0))
    edits = {
        "nothing": (own, own, None),
        "position weights, exchanged": (own, exchanged, None),
        "content weights, exchanged": (exchanged, own, None),
        "position weights, of the reversed list": (own, of_reversed, None),
        "content weights, of the reversed list": (of_reversed.flip(1), own, None),
        "both, of the reversed list": (of_reversed.flip(1), of_reversed, None),
        "position difference removed": (own, even, None),
        "content difference removed": (even, own, None),
        "moderation, of the reversed list": (own, own, beta_reversed),
        "moderation, mean over lists": (own, own, beta.mean().expand_as(beta)),
        "moderation, of another list": (own, own, beta[drawn]),
        "position difference removed, moderation kept": (own, even, beta),
    }
    shares, far = {}, own.diff()[:, 0].abs() > NEAR
    a, b = lists.split(1, dim=1)
    wholes = {"reversed": lists.flip(1), "kept": lists, "a_twice": a, "b_twice": b}
    for name, (content, position, moderation) in edits.items():
        vectors = compose(weights, lists, content, position)
        written = read_out(weights, vectors, moderation).written
        found = {outcome: (written == whole).all(1) for outcome, whole in wholes.items()}
        found["o1_right"], found["o2_right"] = (written == lists).T
        shares[name] = {outcome: share(of) for outcome, of in found.items()}
        for whose, run_on in {"own": held, "reverse": turned}.items():
            away = (vectors - run_on.vectors).norm(dim=1)
            shares[name][f"from {whose}"] = away.mean().item()
        shares[name]["reversed off the diagonal"] = share(found["reversed"][far])
        shares[name]["reversed on it"] = share(found["reversed"][~far])
    return pd.DataFrame.from_dict(shares, orient="index").rename_axis("edit")


class Steering(NamedTuple):
    """Shares of the lists (a, b), a not b, written as (b, a) and (a, b) at each steering dose.

    `within` are written as (b, a) at some dose of this size or less, for each size from the least.
    """

    reversed: tuple[float, ...]
    kept: tuple[float, ...]
    within: tuple[float, ...]

    @property
    def reversed_somewhere(self) -> float:
        """Share of the lists that any dose reverses."""
        return self.within[-1]


def steer(
    weights: Weights,
    lists: Lists,
    direction: Float[Tensor, "#list d_model"],
    doses: Sequence[float] = DOSES,
) -> Steering:
    """Add each dose of a direction (one for all lists, or one a list with a not b) to SEP."""
    lists = unequal(lists)
    vectors, unembed = separator(weights, lists).vectors, weights.unembed
    first, second = weights.output_inputs
    query, amounts = second @ weights.query_key[1], torch.tensor(doses).to(vectors)[:, None]
    hits = []
    chunks = (x.split(CHUNK) for x in (lists, vectors, direction.expand_as(vectors)))
    for goal, start, along in zip(*chunks, strict=True):
        # Logits are linear in the vector but for beta, so that a dose costs no matrix product.
        held = start @ unembed + amounts[..., None] * (along @ unembed)
        beta = torch.sigmoid((start - first) @ query + amounts * (along @ query))[..., None]
        o1, o2 = first @ unembed + held, second @ unembed + beta * held
        o2 += (1 - beta) * (first @ unembed)
        written = torch.stack([o1.argmax(-1), o2.argmax(-1)], -1)
        hits.append(torch.stack([(written == x).all(-1) for x in (goal.flip(1), goal)]))
    turned, kept = torch.cat(hits, -1).double()
    by_dose = (tuple(shares.mean(1).tolist()) for shares in (turned, kept))
    sizes = amounts[:, 0].abs()
    within = (turned[sizes <= size].amax(0).mean().item() for size in sizes.unique())
    return Steering(*by_dose, tuple(within))


def steering_directions(
    weights: Weights, lists: Lists, count: int = 5
) -> dict[str, Float[Tensor, "#list d_model"]]:
    """P1 - P2 and its controls, all of its length, for `steer`; `count` are random.

    "the list's E_a - E_b" is each list's own (a not b), "S" what SEP holds in every list.
    """
    lists, axis = unequal(lists), order_axis(weights).direction
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(count, weights.config.d_model, generator=generator, dtype=torch.float64)
    directions = {
        "P1 - P2": axis[None],
        "main direction of U": main_direction(weights)[None],
        "the list's E_a - E_b": weights.token[lists[:, 0]] - weights.token[lists[:, 1]],
        "S": weights.separator_input[None],
        **{f"random {n}": one[None] for n, one in enumerate(random.to(axis), start=1)},
    }
    return {
        name: direction * axis.norm() / direction.norm(dim=1, keepdim=True)
        for name, direction in directions.items()
    }


def main_direction(weights: Weights) -> Float[Tensor, "d_model"]:
    """Along which the unembedding spreads the digits most: its first principal component."""
    digits = weights.unembed.T[: weights.config.n_digits]
    return torch.linalg.svd(digits - digits.mean(0), full_matrices=False).Vh[0]


def pairwise_margins(
    logits: Float[Tensor, "list output vocabulary"], lists: Lists
) -> Float[Tensor, "unequal output"]:
    """Logit of each output's digit minus that of the other one; only lists (a, b) with a not b."""
    own, other = (logits.gather(2, rows[:, :, None])[..., 0] for rows in (lists, lists.flip(1)))
    return (own - other)[lists[:, 0] != lists[:, 1]]


def unequal(lists: Lists) -> Int[Tensor, "unequal position"]:
    """The lists of two different digits."""
    return lists[lists[:, 0] != lists[:, 1]]
