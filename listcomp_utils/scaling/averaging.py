"""How far training alone can go: recipes compared on an inner split, the chosen one reported once.

    results = train_averaged([config])             # as `train_many`, and the weights' average
    measure_recipe(results[0])                     # {"chosen_on": "inner", "kept": 0.92, ...}

A config with the preset's split and `INNER_FRACTION` of all lists to train on leaves the last
training lists of the whole split to choose by; the held-out lists are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy
from listcomp_utils.model import add_hooks, make_native_model
from listcomp_utils.task import split_lists
from listcomp_utils.training.loop import TrainResult, raise_if_diverged, train_many
from listcomp_utils.training.stacks import ModelStack

WHOLE_FRACTION, INNER_FRACTION = 0.8, 0.7
"""Shares of all lists that are trained on: by the preset, and to choose a recipe."""

AVERAGED = 0.2
"""Share of the steps, at the end, over which weights are averaged."""


@dataclass(frozen=True)
class AveragedResult(TrainResult):
    """A training with the mean of its weights over the last evaluations too."""

    averaged: TransformerBridge = field(repr=False)


def train_averaged(configs: Sequence[Config]) -> list[AveragedResult]:
    """Train configs that differ by their seed only, averaging over the last `AVERAGED` steps.

    Raises:
        RuntimeError: when the loss of one stops being a number.
        KeyboardInterrupt: on Ctrl-C.
    """
    config, sums, count = configs[0], [], 0

    def add(step: int, stack: ModelStack) -> None:
        nonlocal sums, count
        if step < (1 - AVERAGED) * config.steps:
            return
        states = [_state(member) for member in stack.members]
        if not count:
            sums = states
        else:
            for total, state in zip(sums, states, strict=True):
                for name, weight in state.items():
                    total[name] += weight
        count += 1

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trained = train_many(config, [one.seed for one in configs], "none", callback=add)
    finally:
        torch.set_num_threads(before)
    if any(result.history.interrupted for result in trained):
        raise KeyboardInterrupt
    for result in trained:
        raise_if_diverged(result)
    return [
        AveragedResult(
            result.config,
            result.model,
            result.last_model,
            result.history,
            _filled(result.config, {name: weight / count for name, weight in total.items()}),
        )
        for result, total in zip(trained, sums, strict=True)
    ]


def judging_lists(config: Config) -> Int[Tensor, "list position"]:
    """The lists that a recipe is judged by: the held-out ones, or those kept back to choose by.

    With fewer training lists than the whole split's they are the rest of its training lists.
    """
    if config.train_fraction >= WHOLE_FRACTION:
        return split_lists(config).held_out
    whole = split_lists(config.replace(train_fraction=WHOLE_FRACTION)).train
    return whole[len(split_lists(config).train) :]


def measure_recipe(result: AveragedResult) -> dict[str, Any]:
    """Accuracy of the kept and of the averaged weights on the lists the recipe is judged by."""
    lists = judging_lists(result.config)
    kept, averaged = accuracy(result.model, lists), accuracy(result.averaged, lists)
    inner = result.config.train_fraction < WHOLE_FRACTION
    return {
        "judged_on": "inner" if inner else "held-out",
        "kept_per_token": kept.per_token,
        "kept_per_list": kept.per_list,
        "averaged_per_token": averaged.per_token,
        "averaged_per_list": averaged.per_list,
    }


def _state(member: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in member.named_parameters()}


def _filled(config: Config, weights: dict[str, Tensor]) -> TransformerBridge:
    model = make_native_model(config)
    model.load_state_dict(weights, strict=False)
    return add_hooks(model)
