"""Models of one config and several seeds, held as one: their gradients and their scores.

    stack = ModelStack(config, seeds=[0])
    stack.backward(lists)                          # lists (model, list, position)
    optimiser.step()                               # over stack.weights
    stack.evaluate(lists)                          # lists (list, position): loss, Accuracy of each

One model is trained by autograd as it is; several in one batch by `torch.func.vmap` over their
weights, which pays on CUDA. Under masked decoding the forward pass is `LeanForward`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor
from transformer_lens.model_bridge.sources.native import NativeModel

from listcomp_utils.config import Config
from listcomp_utils.generation import CHUNK, Accuracy, accuracy, loss, mean_loss, score
from listcomp_utils.model import device_of, make_native_model
from listcomp_utils.task import input_tokens, target_tokens
from listcomp_utils.training.lean_forward import LeanForward, has_lean_forward


class ModelStack:
    """Freshly made models, one a seed, and the weights that an optimiser steps.

    `prepare` may change each model first, and which of its weights are trained.
    """

    def __init__(
        self,
        config: Config,
        seeds: Sequence[int],
        prepare: Callable[[NativeModel], None] | None = None,
    ) -> None:
        self.config = config
        self.models = [make_native_model(config.replace(seed=seed)) for seed in seeds]
        for model in self.models if prepare else []:
            prepare(model)
        first = self.models[0]
        self.device = device_of(first)
        self._forward = LeanForward(first) if has_lean_forward(config) else None
        self._every = [dict(model.named_parameters()) for model in self.models]
        weights = self._every[0]
        if len(self.models) > 1:
            weights, _ = torch.func.stack_module_state(self.models)
        self.weights = {name: weight for name, weight in weights.items() if weight.requires_grad}

    def backward(self, lists: Int[Tensor, "model list position"]) -> None:
        """Put the gradients of each model's mean cross entropy on its own lists into `weights`."""
        lists = lists.to(self.device)
        for weight in self.weights.values():
            weight.grad = None
        if len(self.models) == 1:
            self._loss(self._every[0], lists[0]).backward()
        else:
            torch.func.vmap(self._loss)(self.weights, lists).sum().backward()

    @torch.no_grad()
    def update_models(self) -> None:
        """Copy stacked weights into the models; a model trained alone holds them already."""
        if len(self.models) > 1:
            for name, stacked in self.weights.items():
                for every, weight in zip(self._every, stacked, strict=True):
                    every[name].copy_(weight)

    @torch.no_grad()
    def evaluate(self, lists: Int[Tensor, "list position"]) -> list[tuple[float, Accuracy]]:
        """Mean loss (nats) and accuracy of each model over the same lists."""
        if self._forward is None:
            return [(mean_loss(model, lists), accuracy(model, lists)) for model in self.models]
        lists, found = lists.to(self.device), []
        for every in self._every:
            total, written = 0.0, []
            for part in lists.split(CHUNK):
                logits = self._forward(every, part)
                targets = part.T.flatten()
                total += F.cross_entropy(logits.flatten(0, 1), targets, reduction="sum").item()
                written.append(logits.argmax(-1).T)
            found.append((total / lists.numel(), score(torch.cat(written), lists)))
        return found

    def _loss(self, weights: Mapping[str, Tensor], lists: Int[Tensor, "list position"]) -> Tensor:
        if self._forward is not None:
            # The frozen weights are alike in all models.
            return loss(self._forward({**self._every[0], **weights}, lists), lists.T)
        tokens, targets = input_tokens(self.config, lists), target_tokens(self.config, lists)
        if len(self.models) == 1:
            return loss(self.models[0](tokens), targets)
        return loss(torch.func.functional_call(self.models[0], weights, (tokens,)), targets)
