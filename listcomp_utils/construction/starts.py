"""Trainings from other starts than a config's own: parts of the code, hand-built weights, noise.

    figures = train_from({**config.to_dict(), "attempt": "without lever"})
    ATTEMPTS["without lever"]                      # what it changes

Every attempt is a training of a config that differs by the weights it starts from, or by what of
them is trained, so that a table of them says which part is needed and which is found again.
"""

from __future__ import annotations

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
from listcomp_utils.training.loop import one_thread, raise_if_diverged, train_many

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
    """A start: which parts of the code, beside how much of the usual random weights."""

    parts: tuple[str, ...] | None = PARTS
    """Of the code of `start`; None is the hand-built weights in their place."""
    noise: float = NOISE
    """Share of the usual initial weights; beside hand-built ones, of all of them."""
    only: str | None = None
    """The one group that is trained and that has the noise; beside hand-built weights."""
    sizes: Mapping[str, float] = field(default_factory=dict)
    """Factors on the constants of `start.Coarseness`."""
    scale: Mapping[str, float] = field(default_factory=dict)
    """Factors on groups of the weights at the start."""
    pull: Mapping[str, float] = field(default_factory=dict)
    """Penalty on groups of the weights: half of this times their squares is added to the loss."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Factors on the learning rates of groups of the weights."""
    penalties: Mapping[str, float] = field(default_factory=dict)
    """Factors of what is added to the loss, by names of `PENALTIES`."""


_TOGETHER = {
    "values, scores": ("values", "scores"),
    "values, scores, constants": ("values", "scores", "constants"),
    "values, scores, constants, places": ("values", "scores", "constants", "places"),
    "line, parabola": ("line", "parabola"),
}
_WITHOUT = {part: (part,) for part in PARTS} | _TOGETHER
_NOISES = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)

ATTEMPTS: dict[str, Attempt] = {
    "all parts": Attempt(),
    **{
        f"without {name}": Attempt(tuple(part for part in PARTS if part not in left_out))
        for name, left_out in _WITHOUT.items()
    },
    "logits 100 times smaller": Attempt(sizes={"logit": 0.01}),
    "usual start": Attempt((), noise=1.0),
    **{f"usual start with {part}": Attempt((part,), noise=1.0) for part in PARTS},
    "usual start with line and parabola": Attempt(("line", "parabola"), noise=1.0),
    "usual start with lever and turns": Attempt(("lever", "turns"), noise=1.0),
    "usual start, positions x 3": Attempt((), noise=1.0, scale={"positions": 3.0}),
    "usual start, unembedding x 10": Attempt((), noise=1.0, scale={"unembedding": 10.0}),
    "usual start, unembedding x 100": Attempt((), noise=1.0, scale={"unembedding": 100.0}),
    "usual start, embeddings x 0.3": Attempt((), noise=1.0, scale={"embeddings": 0.3}),
    **{
        f"usual start, {group} pulled to 0 by {pull:g}": Attempt((), noise=1.0, pull={group: pull})
        for group in ("embeddings", "unembedding")
        for pull in (1e-6, 1e-5, 1e-4)
    },
    **{
        f"usual start, {group} learned {rate:g} times as fast": Attempt(
            (), noise=1.0, rates={group: rate}
        )
        for group in GROUPS
        for rate in (0.1, 10.0)
    },
    **{
        f"usual start, {name} in the loss by {factor:g}": Attempt(
            (), noise=1.0, penalties={name: factor}
        )
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
        for name in ("score", "lever", "logit")
        for factor in (1 / 3, 3)
    },
    "noise x 5": Attempt(noise=5 * NOISE),
}
"""By their name in a table."""


def train_from(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Work for `run_grid`: train the config in the settings from the start named by `attempt`.

    Figures as `measure_training`, and the shares of (at most 10,000) held-out lists right before
    the first step, `start_per_list`, and after the last, `end_per_list`: the weights kept are those
    of the lowest training loss, which may be the first.
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

    how = dict(progress="none", prepare=prepare, rates=rates)
    (trained,) = train_many(config, [config.seed], **how)
    if trained.history.interrupted:
        raise KeyboardInterrupt
    raise_if_diverged(trained)
    with one_thread():
        ended = accuracy(trained.last_model, watched).per_list
        shares = {"start_per_list": at_start[0], "end_per_list": ended}
        return shares | measure_training(trained)


@torch.no_grad()
def put_start(model: nn.Module, config: Config, attempt: Attempt) -> None:
    """Put the weights of an attempt into a native model, and freeze what it does not train."""
    fresh = make_native_model(config.replace(start="random"))
    if attempt.parts is None:
        _put_hand_built(model, fresh, config, attempt)
        return
    size = coarseness(config)
    named = {name: getattr(size, name) for name in ("score", "lever", "logit")}
    factors = {name: value * attempt.sizes.get(name, 1.0) for name, value in named.items()}
    for name, weight in fresh.named_parameters():
        if weight.requires_grad:
            weight *= attempt.scale.get(_group_of(name), 1.0)
    put_ranks(fresh, config, attempt.parts, Coarseness(**factors), attempt.noise)
    model.load_state_dict(fresh.state_dict())
    for name, weight in model.named_parameters():
        if pull := attempt.pull.get(_group_of(name)):
            weight.register_hook(lambda slope, weight=weight, pull=pull: slope + pull * weight)
    for name, factor in attempt.penalties.items():
        _punish(model, config, PENALTIES[name], factor)


def _punish(model: nn.Module, config: Config, penalty: Penalty, factor: float) -> None:
    """Let every backward pass add the gradients of factor times a penalty."""
    weights = dict(model.named_parameters())

    @torch.enable_grad()
    def slopes(*names: str) -> tuple[Tensor | None, ...]:
        copies = {name: one.detach().requires_grad_(name in names) for name, one in weights.items()}
        wanted = [copies[name] for name in names]
        return torch.autograd.grad(factor * penalty(config, copies), wanted, allow_unused=True)

    for name, slope in zip(weights, slopes(*weights), strict=True):
        if slope is not None and weights[name].requires_grad:
            weights[name].register_hook(lambda own, name=name: own + slopes(name)[0])


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


PENALTIES: dict[str, Penalty] = {"content": content, "offset": offset}
"""What the explanation names as causes: contents that differ, an offset between the places."""


def _put_hand_built(model: nn.Module, noise: nn.Module, config: Config, attempt: Attempt) -> None:
    put_weights(model, config, constants_for(config))
    for name, weight in model.named_parameters():
        if weight.requires_grad and attempt.only in (None, _group_of(name)):
            weight += attempt.noise * noise.get_parameter(name)
        else:
            weight.requires_grad_(False)


def _group_of(name: str) -> str | None:
    return next((one for one, parts in GROUPS.items() if any(p in name for p in parts)), None)
