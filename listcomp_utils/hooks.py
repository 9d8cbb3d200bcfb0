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

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.config import Config
from listcomp_utils.generation import CHUNK
from listcomp_utils.model import config_of, device_of
from listcomp_utils.task import input_tokens

Hook = Callable[[Tensor, HookPoint], Tensor]
NamedHook = tuple[str, Hook]


@dataclass(frozen=True)
class Activations:
    """What the model computed on some lists, teacher-forced, on the CPU.

    `contributions` are what is added to the residual stream: the token embedding, the position
    embedding, then each layer's attention output; they add up to the last residual.
    """

    tokens: Int[Tensor, "list sequence"]
    logits: Float[Tensor, "list sequence vocabulary"]
    patterns: Float[Tensor, "list layer head query key"]
    queries: Float[Tensor, "list layer sequence head d_head"]
    """Queries and keys as they meet: with rotary positions, after the rotation."""
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
    config = config_of(model)
    parts = []
    for part in input_tokens(config, lists).split(chunk):
        logits, cache = model.run_with_cache(part.to(device_of(model)))
        layers = range(config.n_layers)

        def stack(name: str, cache=cache, layers=layers) -> Tensor:
            return torch.stack([cache[f"blocks.{layer}.{name}"] for layer in layers], dim=1)

        position = torch.zeros_like(cache["hook_embed"])
        if config.positions != "rotary":
            position = cache["hook_pos_embed"].expand_as(position)
        added = [cache["hook_embed"], position]
        added += [cache[f"blocks.{layer}.hook_attn_out"] for layer in layers]
        values = (
            part,
            logits,
            stack("attn.hook_pattern"),
            turned(model, stack("attn.hook_q")),
            turned(model, stack("attn.hook_k")),
            stack("attn.hook_v"),
            torch.stack(added, dim=1),
        )
        parts.append([value.cpu() for value in values])
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
class Score:
    """Teacher-forced quality of the outputs, over some lists."""

    loss: float
    """Mean cross entropy (nats) at the positions that predict outputs: all of it is avoidable."""
    per_token: float
    per_list: float
    per_position: tuple[float, ...]


def score_logits(
    config: Config,
    lists: Int[Tensor, "list position"],
    logits: Float[Tensor, "list sequence vocabulary"],
) -> Score:
    """Score logits that were computed on `input_tokens(config, lists)`."""
    predicted = logits[:, config.prediction_positions].cpu()
    right = (predicted.argmax(-1) == lists.cpu()).double()
    return Score(
        loss=F.cross_entropy(predicted.flatten(0, 1), lists.cpu().flatten()).item(),
        per_token=right.mean().item(),
        per_list=right.all(1).double().mean().item(),
        per_position=tuple(right.mean(0).tolist()),
    )


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
    """The score on `lists` with hooks in place."""
    return score_logits(config_of(model), lists, logits_with(model, lists, hooks))


def replace(value: Tensor) -> Hook:
    """A hook that puts `value` (broadcast over lists) in place of the activation."""

    def hook(activation: Tensor, hook: HookPoint) -> Tensor:
        return value.to(activation).expand_as(activation).clone()

    return hook


def replace_at(positions: Sequence[int], value: Float[Tensor, "... d"] | float) -> Hook:
    """A hook that puts `value` at some sequence positions, over lists; the rest stays."""

    def hook(activation: Tensor, hook: HookPoint) -> Tensor:
        edited = activation.clone()
        new = torch.as_tensor(value, dtype=activation.dtype, device=activation.device)
        edited[:, list(positions)] = new.expand_as(edited[:, list(positions)])
        return edited

    return hook


def replace_head(head: int, value: Float[Tensor, ...] | float) -> Hook:
    """A hook that puts `value` in place of one head of a query, key, value or z activation."""

    def hook(activation: Tensor, hook: HookPoint) -> Tensor:
        edited = activation.clone()
        edited[:, :, head] = torch.as_tensor(value).to(edited).expand_as(edited[:, :, head])
        return edited

    return hook


def reorder_lists(order: Int[Tensor, "list"]) -> Hook:
    """A hook that gives each list the activation of another one."""

    def hook(activation: Tensor, hook: HookPoint) -> Tensor:
        return activation[order.to(activation.device)]

    return hook
