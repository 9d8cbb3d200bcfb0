"""Models of one config and several seeds, held as one: their losses, gradients and scores.

stack = make_stack(config, seeds=range(8))
stack.loss_and_gradients(lists)                # lists (model, list, position) -> losses (model,)
stack.evaluate(lists)                          # lists (list, position): loss and Accuracy of each

An optimiser steps `stack.weights` (name -> (model, ...)) by `stack.gradients`; `stack.members` are
ordinary models whose weights are views into them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from listcomp_utils.config import Config
from listcomp_utils.generation import CHUNK, Accuracy, accuracy, loss, mean_loss, score
from listcomp_utils.model import device_of, make_native_model
from listcomp_utils.task import input_tokens, target_tokens
from listcomp_utils.training.fast_gradients import FastCopier, has_closed_form
from listcomp_utils.training.lean_forward import LeanForward, has_lean_forward


class ModelStack:
    """Any architecture: one model by autograd, several by `torch.func.vmap` over their weights."""

    def __init__(self, config: Config, seeds: Sequence[int]) -> None:
        self.config = config
        self.members = [make_native_model(config.replace(seed=seed)) for seed in seeds]
        self.device = device_of(self.members[0])
        trained = {
            name: [member.get_parameter(name).detach() for member in self.members]
            for name, weight in self.members[0].named_parameters()
            if weight.requires_grad
        }
        self.weights = {name: torch.stack(weights) for name, weights in trained.items()}
        self.gradients = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            weight.grad = self.gradients[name]
            for number, member in enumerate(self.members):
                member.get_parameter(name).data = weight[number]
                member.get_parameter(name).grad = self.gradients[name][number]

    def loss_and_gradients(
        self, lists: Int[Tensor, "model list position"]
    ) -> Float[Tensor, "model"]:
        """Mean cross entropy (nats) of each model on its own lists; fills `gradients`."""
        for gradient in self.gradients.values():
            gradient.zero_()
        models, count, _ = lists.shape
        flat = lists.flatten(0, 1)
        tokens = input_tokens(self.config, flat).view(models, count, -1)
        targets = target_tokens(self.config, flat).view(models, count, -1)
        if models == 1:
            losses = loss(self.members[0](tokens[0]), targets[0])[None]
        else:
            losses = torch.func.vmap(self._loss)(self._leaves(), tokens, targets)
        losses.sum().backward()
        return losses.detach()

    @torch.no_grad()
    def evaluate(self, lists: Int[Tensor, "list position"]) -> list[tuple[float, Accuracy]]:
        """Mean loss (nats) and accuracy of each model over the same lists."""
        return [(mean_loss(member, lists), accuracy(member, lists)) for member in self.members]

    def _leaves(self) -> dict[str, Tensor]:
        """The stacked weights as leaves of a fresh graph that adds into `gradients`."""
        leaves = {}
        for name, weight in self.weights.items():
            leaves[name] = weight.detach().requires_grad_()
            leaves[name].grad = self.gradients[name]
        return leaves

    def _loss(self, weights: dict[str, Tensor], tokens: Tensor, targets: Tensor) -> Tensor:
        # Frozen weights and the mask are alike in all members.
        return loss(torch.func.functional_call(self.members[0], weights, (tokens,)), targets)


class LeanStack(ModelStack):
    """Masked decoding by `LeanForward`: same models, a part of the time; on a CPU one by one."""

    def __init__(self, config: Config, seeds: Sequence[int]) -> None:
        super().__init__(config, seeds)
        self._forward = LeanForward(config, self.members[0])
        self._every = [dict(member.named_parameters()) for member in self.members]

    def loss_and_gradients(
        self, lists: Int[Tensor, "model list position"]
    ) -> Float[Tensor, "model"]:
        for gradient in self.gradients.values():
            gradient.zero_()
        if self.device.type == "cpu" or len(lists) == 1:
            losses = []
            for weights, part in zip(self._every, lists, strict=True):
                losses.append(self._lean_loss(weights, part))
                losses[-1].backward()
            return torch.stack(losses).detach()
        losses = torch.func.vmap(self._lean_loss)(self._leaves(), lists)
        losses.sum().backward()
        return losses.detach()

    @torch.no_grad()
    def evaluate(self, lists: Int[Tensor, "list position"]) -> list[tuple[float, Accuracy]]:
        lists, found = lists.to(self.device), []
        for weights in self._every:
            total, written = 0.0, []
            for part in lists.split(CHUNK):
                logits = self._forward(weights, part)
                total += F.cross_entropy(
                    logits.flatten(0, 1), part.flatten(), reduction="sum"
                ).item()
                written.append(logits.argmax(-1))
            found.append((total / lists.numel(), score(torch.cat(written), lists)))
        return found

    def _lean_loss(self, weights: Mapping[str, Tensor], lists: Tensor) -> Tensor:
        # Frozen weights are alike in all members.
        logits = self._forward({**self._every[0], **weights}, lists)
        return F.cross_entropy(logits.flatten(0, 1), lists.flatten())


class ClosedFormStack(ModelStack):
    """The study's architecture, by `FastCopier`: same models, same figures, a fraction of the time.

    On a CPU the models take turns, which keeps one's work in the cache, costs nothing, and
    makes each bit of a model independent of those beside it. On CUDA all run at once.
    """

    def __init__(self, config: Config, seeds: Sequence[int]) -> None:
        super().__init__(config, seeds)
        at_once = 1 if self.device.type == "cpu" else len(seeds)
        buffers: dict[str, Tensor] = {}
        self._copiers = [
            FastCopier(
                config,
                {name: weight[i : i + at_once] for name, weight in self.weights.items()},
                {name: slope[i : i + at_once] for name, slope in self.gradients.items()},
                buffers,
            )
            for i in range(0, len(seeds), at_once)
        ]
        self._at_once = at_once

    def loss_and_gradients(
        self, lists: Int[Tensor, "model list position"]
    ) -> Float[Tensor, "model"]:
        parts = zip(self._copiers, lists.split(self._at_once), strict=True)
        return torch.cat([copier.loss_and_gradients(part) for copier, part in parts])

    @torch.no_grad()
    def evaluate(self, lists: Int[Tensor, "list position"]) -> list[tuple[float, Accuracy]]:
        lists = lists.to(self.device)
        return [one for copier in self._copiers for one in self._evaluate(copier, lists)]

    def _evaluate(self, copier: FastCopier, lists: Tensor) -> list[tuple[float, Accuracy]]:
        totals: Tensor | float = 0.0
        written = []
        for part in lists.split(max(1, CHUNK // self._at_once)):
            logits = copier.logits(part.expand(self._at_once, -1, -1))
            targets = part.T[:, None, :, None].expand(-1, self._at_once, -1, -1)
            chosen = logits.gather(-1, targets)[..., 0]
            totals = totals + (logits.logsumexp(-1) - chosen).sum((0, 2)).double()
            written.append(logits.argmax(-1))
        losses = (totals / lists.numel()).tolist()
        copies = torch.cat(written, 2).permute(1, 2, 0)
        return [(one, score(copy, lists)) for one, copy in zip(losses, copies, strict=True)]


def make_stack(config: Config, seeds: Sequence[int]) -> ModelStack:
    """Freshly initialised models, one a seed, by the fastest way for their architecture."""
    kind = ModelStack
    if has_closed_form(config):
        kind = ClosedFormStack
    elif has_lean_forward(config):
        kind = LeanStack
    return kind(config, seeds)
