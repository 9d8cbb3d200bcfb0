"""Trainings from other starts than a config's own: parts of the code, hand-built weights, noise.

figures = train_from({**config.to_dict(), "attempt": "without lever"})
ATTEMPTS["without lever"]                      # what it changes
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from listcomp_utils.config import Config
from listcomp_utils.construction.proof import constants_for
from listcomp_utils.construction.weights import put_weights
from listcomp_utils.generation import accuracy
from listcomp_utils.model import make_native_model
from listcomp_utils.start import NOISE, PARTS, Coarseness, coarseness, put_ranks
from listcomp_utils.sweeps.training import measure_training
from listcomp_utils.task import split_lists
from listcomp_utils.training.loop import one_thread, train

GROUPS = {
    "embeddings": ("tok_embed",),
    "positions": ("pos",),
    "query and key": ("attn.q", "attn.k"),
    "unembedding": ("head",),
}
"""Parts of a model, by what the names of their weights hold."""

Penalty = Callable[[Config, Mapping[str, Tensor]], Float[Tensor, ""]]
"""Of a config and a model's weights by their names."""


@dataclass(frozen=True)
class Attempt:
    """A start: `parts` of the code of `start`, or None for the hand-built weights, and `noise`.

    The noise is a share of the usual initial weights. Beside hand-built weights `only` names the
    one group that has it and is trained, the others being frozen. The rest are factors: `sizes` on
    the constants of `start.Coarseness`, `scale` on groups of the initial weights, `rates` on their
    learning rates, and `penalties` of what is added to the loss, by names of `PENALTIES`.
    """

    parts: tuple[str, ...] | None = PARTS
    noise: float = NOISE
    only: str | None = None
    sizes: Mapping[str, float] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    penalties: Mapping[str, float] = field(default_factory=dict)


_ALONE = tuple((part,) for part in PARTS)
_CONTENT = ("values", "scores", "constants", "places")
_LEFT_OUT = (*_ALONE, _CONTENT[:2], _CONTENT[:3], _CONTENT, ("line", "parabola"))
_NOISES = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_usual = functools.partial(Attempt, (), 1.0)

ATTEMPTS: dict[str, Attempt] = {
    "all parts": Attempt(),
    **{
        f"without {', '.join(left_out)}": Attempt(
            tuple(part for part in PARTS if part not in left_out)
        )
        for left_out in _LEFT_OUT
    },
    "logits 100 times smaller": Attempt(sizes={"logit": 0.01}),
    "noise 1 on all parts": Attempt(noise=1.0),
    "usual start": _usual(),
    **{
        f"usual start with {' and '.join(parts)}": Attempt(parts, 1.0)
        for parts in (*_ALONE, ("line", "parabola"), ("lever", "turns"))
    },
    "usual start with all parts": Attempt(noise=1.0),
    "usual start, positions x 3": _usual(scale={"positions": 3.0}),
    "usual start, unembedding x 10": _usual(scale={"unembedding": 10.0}),
    "usual start, unembedding x 100": _usual(scale={"unembedding": 100.0}),
    "usual start, embeddings x 0.3": _usual(scale={"embeddings": 0.3}),
    **{
        f"usual start, {group} pulled to 0 by {pull:g}": _usual(penalties={group: pull})
        for group in ("embeddings", "unembedding")
        for pull in (1e-6, 1e-5, 1e-4)
    },
    **{
        f"usual start, {group} learned {rate:g} times as fast": _usual(rates={group: rate})
        for group in GROUPS
        for rate in (0.1, 10.0)
    },
    **{
        f"usual start, {name} in the loss by {factor:g}": _usual(penalties={name: factor})
        for name in ("content", "offset")
        for factor in (1e-4, 1e-2, 1.0)
    },
    **{f"hand-built, noise {noise:g}": Attempt(None, noise) for noise in _NOISES},
    **{
        f"hand-built, {group} alone, noise {noise:g}": Attempt(None, noise, only=group)
        for group in GROUPS
        for noise in (1e-2, 1.0)
    },
    **{
        f"{name} x {factor:g}": Attempt(sizes={name: factor})
        for name in Coarseness._fields
        for factor in (1 / 3, 3)
    },
    "noise x 5": Attempt(noise=5 * NOISE),
}
"""By their name in a table."""


def train_from(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Work for `run_grid`: train the config in the settings from the start named by `attempt`.

    Beside `measure_training`, whose weights are those of the lowest training loss, the shares of
    (at most 10,000) held-out lists right before the first step and after the last.
    """
    settings = dict(settings)
    attempt = ATTEMPTS[settings.pop("attempt")]
    config, at_start = Config(**settings), []
    watched = split_lists(config).held_out[:10_000]

    def prepare(model: nn.Module) -> None:
        put_start(model, config, attempt)
        at_start.append(accuracy(model, watched).per_list)

    def rates(name: str) -> float:
        return attempt.rates.get(_group_of(name), 1.0)

    trained = train(config, "none", prepare=prepare, rates=rates)
    if trained.history.interrupted:
        raise KeyboardInterrupt
    with one_thread():
        ended = accuracy(trained.last_model, watched).per_list
        shares = {"start_per_list": at_start[0], "end_per_list": ended}
        return shares | measure_training(trained)


@torch.no_grad()
def put_start(model: nn.Module, config: Config, attempt: Attempt) -> None:
    """Put the weights of an attempt into a native model, and freeze what it does not train."""
    fresh = make_native_model(config.replace(start="random"))
    if attempt.parts is None:
        put_weights(model, config, constants_for(config))
        for name, weight in model.named_parameters():
            if weight.requires_grad and attempt.only in (None, _group_of(name)):
                weight += attempt.noise * fresh.get_parameter(name)
            else:
                weight.requires_grad_(False)
        return
    size = coarseness(config)
    size = size._replace(**{one: getattr(size, one) * by for one, by in attempt.sizes.items()})
    for name, weight in fresh.named_parameters():
        if weight.requires_grad:
            weight *= attempt.scale.get(_group_of(name), 1.0)
    put_ranks(fresh, config, attempt.parts, size, attempt.noise)
    model.load_state_dict(fresh.state_dict())
    for name, factor in attempt.penalties.items():
        _punish(model, config, PENALTIES[name], factor)


def _punish(model: nn.Module, config: Config, penalty: Penalty, factor: float) -> None:
    """Let every backward pass add the gradients of factor times a penalty."""
    weights = dict(model.named_parameters())

    @torch.enable_grad()
    def slope(name: str) -> Tensor:
        copies = {one: weight.detach().requires_grad_() for one, weight in weights.items()}
        added = factor * penalty(config, copies)
        return torch.autograd.grad(added, copies[name], materialize_grads=True)[0]

    for name, weight in weights.items():
        if weight.requires_grad:
            weight.register_hook(lambda own, name=name: own + slope(name))


def content(config: Config, weights: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """Mean square, over pairs a, b, of the logit of a less that of b that both digits' mean gives.

    It is what an evenly mixed SEP says of which digit to write: content without order.
    """
    n = config.n_digits
    read = weights["tok_embed.weight"][:n] @ weights["head.weight"][:n].T
    own = read.diagonal()
    return ((own[:, None] - own[None] + read.T - read) / 2).square().mean()


def offset(config: Config, weights: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """Square of what the first two places differ by in SEP's scores, whatever the digits."""
    token, place = weights["tok_embed.weight"], weights["pos.weight"]
    query = weights["layers.0.attn.q.weight"] @ (token[config.sep_id] + place[config.sep_position])
    key = weights["layers.0.attn.k.weight"] @ (place[0] - place[1])
    return (query @ key).square() / config.d_head


def squares(config: Config, weights: Mapping[str, Tensor], group: str) -> Float[Tensor, ""]:
    """Half of the sum of squares of a group of weights, whose slope pulls each of them to 0."""
    parts = (weight for name, weight in weights.items() if _group_of(name) == group)
    return sum(part.square().sum() for part in parts) / 2


PENALTIES: dict[str, Penalty] = {"content": content, "offset": offset}
"""What the explanation names as causes; and by their groups, the sizes of the weights."""
PENALTIES |= {group: functools.partial(squares, group=group) for group in GROUPS}


def _group_of(name: str) -> str | None:
    return next((one for one, parts in GROUPS.items() if any(p in name for p in parts)), None)
