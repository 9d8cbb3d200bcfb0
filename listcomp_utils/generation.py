"""Writing lists with a model, and scoring what it writes.

model = load_or_train(Config.preset("seed")).model
generate(model, [[8, 3], [3, 8]])              # tensor([[8, 3], [3, 8]])
accuracy(model).per_list                       # 1.0 over all 100 lists
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from listcomp_utils.config import Config
from listcomp_utils.model import config_of, device_of
from listcomp_utils.task import (
    IGNORED,
    ListError,
    all_lists,
    check_lists,
    input_tokens,
    target_tokens,
)

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
def generate(
    model: nn.Module, lists: Tensor | Sequence[Sequence[int]], chunk: int = CHUNK
) -> Int[Tensor, "list position"]:
    """The model's greedy copies of `lists`, `chunk` lists at a time.

    Autoregressive models write one token at a time and read what they wrote; masked models write
    all outputs in one pass. Any token of the vocabulary may come out, the separator too.

    Raises:
        ListError: when a list has the wrong length or a digit out of range.
    """
    config = config_of(model)
    checked = check_lists(config, lists)
    written = [_generate_chunk(model, config, part) for part in _chunks(model, checked, chunk)]
    return torch.cat(written).to(checked.device) if written else checked


def accuracy(
    model: nn.Module, lists: Tensor | Sequence[Sequence[int]] | None = None, chunk: int = CHUNK
) -> Accuracy:
    """How much of `lists` (default: every list there is) the model copies right.

    Raises:
        ListError: for no lists, bad lists, or too many lists to enumerate when none are given.
    """
    config = config_of(model)
    checked = all_lists(config) if lists is None else check_lists(config, lists)
    return score(generate(model, checked, chunk), checked)


def score(written: Int[Tensor, "list position"], lists: Int[Tensor, "list position"]) -> Accuracy:
    """Accuracy of copies that are already written; raises ListError when there are none."""
    if len(lists) == 0:
        raise ListError("accuracy needs at least one list")
    right = (written == lists.to(written.device)).double()
    return Accuracy(
        n_lists=len(lists),
        per_token=right.mean().item(),
        per_list=right.all(1).double().mean().item(),
        per_position=tuple(right.mean(0).tolist()),
    )


def loss(
    logits: Float[Tensor, "list sequence vocabulary"], targets: Int[Tensor, "list sequence"]
) -> Float[Tensor, ""]:
    """Mean cross entropy in nats over the scored positions (see `task.target_tokens`)."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


@torch.no_grad()
def mean_loss(
    model: nn.Module, lists: Tensor | Sequence[Sequence[int]] | None = None, chunk: int = CHUNK
) -> float:
    """The training loss (nats) over `lists`, or over every list; errors as `accuracy`."""
    config = config_of(model)
    checked = all_lists(config) if lists is None else check_lists(config, lists)
    if len(checked) == 0:
        raise ListError("mean_loss needs at least one list")
    total = 0.0
    for part in _chunks(model, checked, chunk):
        logits = model(input_tokens(config, part))
        total += loss(logits, target_tokens(config, part)).item() * len(part)
    return total / len(checked)


def _chunks(model: nn.Module, lists: Tensor, chunk: int) -> Iterator[Tensor]:
    for part in lists.split(chunk):
        if len(part):
            yield part.to(device_of(model))


def _generate_chunk(model: nn.Module, config: Config, lists: Tensor) -> Tensor:
    tokens = input_tokens(config, lists)
    if config.decoding == "masked":
        return model(tokens)[:, config.prediction_positions].argmax(-1)
    for position in config.output_positions:
        tokens[:, position] = model(tokens[:, :position])[:, -1].argmax(-1)
    return tokens[:, config.output_positions]
