"""Running a model on lists: what it computed, and what it does when it is edited.

    seen = run_all(model, all_lists(config))               # patterns, residuals, queries, keys
    hooks = [("blocks.0.attn.hook_pattern", replace(seen.patterns.mean(0)[0]))]
    score_with(model, lists, hooks).per_token

Scores are teacher-forced: each output is predicted from the right outputs before it. A list has
every output right under teacher forcing exactly when its greedy copy is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import get_act_name

from listcomp_utils.config import Config
from listcomp_utils.generation import CHUNK, Accuracy, score
from listcomp_utils.model import config_of, device_of
from listcomp_utils.task import ListError, input_tokens

Hook = Callable[[Tensor, HookPoint], Tensor]
NamedHook = tuple[str, Hook]


class Activations(NamedTuple):
    """What the model computed on some lists, teacher-forced, on the CPU.

    Queries and keys are before rotation, with rotary positions. `contributions` add up to the last
    residual: the token's embedding, the position's, then each layer's attention output.
    """

    tokens: Int[Tensor, "list sequence"]
    logits: Float[Tensor, "list sequence vocabulary"]
    patterns: Float[Tensor, "list layer head query key"]
    queries: Float[Tensor, "list layer sequence head d_head"]
    keys: Float[Tensor, "list layer sequence head d_head"]
    values: Float[Tensor, "list layer sequence head d_head"]
    contributions: Float[Tensor, "list contribution sequence d_model"]

    @property
    def residuals(self) -> Float[Tensor, "list layer_plus_1 sequence d_model"]:
        """The residual stream before each layer, and after the last."""
        return self.contributions.cumsum(1)[:, 1:]


@torch.no_grad()
def run_all(
    model: TransformerBridge, lists: Int[Tensor, "list position"], chunk: int = CHUNK
) -> Activations:
    """Run the model on `lists` with the right outputs as input, and keep what it computed."""
    config, parts = config_of(model), []
    names = ("attn.hook_pattern", "attn.hook_q", "attn.hook_k", "attn.hook_v", "hook_attn_out")
    for part in input_tokens(config, lists).split(chunk):
        logits, cache = model.run_with_cache(part.to(device_of(model)))
        pattern, query, key, value, output = (
            torch.stack([cache[f"blocks.{layer}.{name}"] for layer in range(config.n_layers)], 1)
            for name in names
        )
        token = cache["hook_embed"]
        rotary = config.positions == "rotary"
        place = torch.zeros_like(token) if rotary else cache["hook_pos_embed"].expand_as(token)
        added = torch.cat([torch.stack([token, place], 1), output], 1)
        kept = (part, logits, pattern, query, key, value, added)
        parts.append([values.cpu() for values in kept])
    return Activations(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))


def turned(
    model: TransformerBridge, vectors: Float[Tensor, "list part sequence head d_head"]
) -> Float[Tensor, "list part sequence head d_head"]:
    """Queries or keys as rotary positions turn them; as they are with other positions."""
    if config_of(model).positions != "rotary":
        return vectors
    rotary = model.blocks[0].attn.original_component.rotary
    by_head = vectors.to(device_of(model)).movedim(2, -2)
    return rotary.apply_rope(by_head, by_head)[0].movedim(-2, 2).to(vectors.device)


@dataclass(frozen=True)
class Score(Accuracy):
    """Teacher-forced accuracy over some lists, and the loss."""

    loss: float
    """Mean cross entropy (nats) at the positions that predict outputs: all of it is avoidable."""

    def columns(self) -> dict[str, float]:
        """The score as columns of a frame: loss, per_token, per_list, and o1, o2, ... ."""
        shares = {"loss": self.loss, "per_token": self.per_token, "per_list": self.per_list}
        return shares | {f"o{i}": share for i, share in enumerate(self.per_position, 1)}


@torch.no_grad()
def logits_with(
    model: TransformerBridge, lists: Int[Tensor, "list position"], hooks: Sequence[NamedHook] = ()
) -> Float[Tensor, "list sequence vocabulary"]:
    """The model's logits on `lists`, teacher-forced, with hooks in place."""
    tokens = input_tokens(config_of(model), lists).to(device_of(model))
    return model.run_with_hooks(tokens, fwd_hooks=list(hooks))


def score_with(
    model: TransformerBridge, lists: Int[Tensor, "list position"], hooks: Sequence[NamedHook] = ()
) -> Score:
    """The score on `lists` with hooks in place; raises ListError for no lists."""
    if not len(lists):
        raise ListError("a score needs at least one list")
    logits = logits_with(model, lists, hooks)[:, config_of(model).prediction_positions].cpu()
    right = score(logits.argmax(-1), lists.cpu())
    loss = F.cross_entropy(logits.flatten(0, 1), lists.cpu().flatten()).item()
    return Score(**vars(right), loss=loss)


def residual_name(config: Config, layer: int) -> str:
    """The activation that is the residual stream before `layer`, or after the last layer."""
    if layer < config.n_layers:
        return get_act_name("resid_pre", layer)
    return get_act_name("resid_post", layer - 1)


def replace(value: Tensor) -> Hook:
    """A hook that puts `value` (broadcast over lists) in place of the activation."""
    return _put(..., value)


def replace_at(positions: Sequence[int], value: Float[Tensor, "... d"] | float) -> Hook:
    """A hook that puts `value` at some sequence positions, over lists; the rest stays."""
    return _put((slice(None), list(positions)), value)


def replace_head(head: int, value: Float[Tensor, ...] | float) -> Hook:
    """A hook that puts `value` in place of one head of a query, key, value or z activation."""
    return _put((slice(None), slice(None), head), value)


def reorder_lists(order: Int[Tensor, "list"]) -> Hook:
    """A hook that gives each list the activation of another one."""

    def hook(activation: Tensor, hook: HookPoint) -> Tensor:
        return activation[order.to(activation.device)]

    return hook


def _put(index: Any, value: Tensor | float) -> Hook:
    def hook(activation: Tensor, hook: HookPoint) -> Tensor:
        edited = activation.clone()
        edited[index] = torch.as_tensor(value).to(edited)
        return edited

    return hook
