"""Writing lists with a model, and scoring what it writes.

model = load_or_train(Config.preset("seed")).model
generate(model, [[8, 3], [3, 8]])              # tensor([[8, 3], [3, 8]])
accuracy(model).per_list                       # 1.0 over all 100 lists

Wrong lists, and no lists to score, raise `task.ListError`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from listcomp_utils.model import config_of, device_of
from listcomp_utils.task import IGNORED, ListError, Lists, check_lists, input_tokens, target_tokens

CHUNK = 8_192
"""Lists run at once: bounds the memory, whatever the number of lists."""


@dataclass(frozen=True)
class Accuracy:
    """Shares of what was written right, each between 0 and 1."""

    n_lists: int
    per_token: float
    """Right outputs among all outputs."""
    per_list: float
    """Lists with every output right."""
    per_position: tuple[float, ...]
    """Right outputs at o1, o2, ... ."""


@torch.no_grad()
def generate(model: nn.Module, lists: Lists) -> Int[Tensor, "list position"]:
    """The model's greedy copies: one token after the other, or all in one pass when masked.

    Any token of the vocabulary may come out, the separator too.
    """
    config = config_of(model)
    checked = check_lists(config, lists)
    if len(checked) == 0:
        return checked
    copies = []
    for part in checked.to(device_of(model)).split(CHUNK):
        tokens = input_tokens(config, part)
        if config.decoding == "masked":
            written = model(tokens)[:, config.prediction_positions].argmax(-1)
            tokens[:, config.output_positions] = written
        else:
            for position in config.output_positions:
                tokens[:, position] = model(tokens[:, :position])[:, -1].argmax(-1)
        copies.append(tokens[:, config.output_positions])
    return torch.cat(copies).to(checked.device)


def accuracy(model: nn.Module, lists: Lists | None = None) -> Accuracy:
    """How much of `lists` (default: every list there is) the model copies right."""
    checked = check_lists(config_of(model), lists)
    return score(generate(model, checked), checked)


def share(holds: Bool[Tensor, "..."]) -> float:
    """The share of entries that hold; nan for none."""
    return holds.double().mean().item()


def score(written: Int[Tensor, "list position"], lists: Int[Tensor, "list position"]) -> Accuracy:
    """Accuracy of copies that are already written."""
    if len(lists) == 0:
        raise ListError("accuracy needs at least one list")
    right = written == lists.to(written.device)
    return Accuracy(
        n_lists=len(lists),
        per_token=share(right),
        per_list=share(right.all(1)),
        per_position=tuple(right.double().mean(0).tolist()),
    )


def loss(
    logits: Float[Tensor, "list sequence vocabulary"], targets: Int[Tensor, "list sequence"]
) -> Float[Tensor, ""]:
    """Mean cross entropy in nats over the scored positions (see `task.target_tokens`)."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


@torch.no_grad()
def mean_loss(model: nn.Module, lists: Lists | None = None) -> float:
    """The training loss (nats) over `lists` (default: every list there is)."""
    config = config_of(model)
    checked = check_lists(config, lists)
    if len(checked) == 0:
        raise ListError("mean_loss needs at least one list")
    total = 0.0
    for part in checked.to(device_of(model)).split(CHUNK):
        logits = model(input_tokens(config, part))
        total += loss(logits, target_tokens(config, part)).item() * len(part)
    return total / len(checked)
