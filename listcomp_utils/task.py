"""The lists, and the token sequences the model reads and is scored on.

config = Config.preset("seed")
lists = all_lists(config)                      # (100, 2)
tokens = input_tokens(config, lists)           # (100, 5): d1 d2 SEP o1 o2
targets = target_tokens(config, lists)         # (100, 5): IGNORED where no loss is taken
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from listcomp_utils.config import Config

IGNORED = -100
"""Target at positions that carry no loss (`ignore_index` of torch's cross entropy)."""

MAX_ENUMERATED = 1_000_000
"""Up to this many different lists are enumerated; beyond it they are sampled."""

HELD_OUT_SAMPLE = 10_000
"""Held-out lists drawn when the lists are too many to enumerate."""

Stream = Literal["sample", "held out", "watched"]
"""What lists are drawn for: to look at, to be scored and never trained on, to watch a training."""

Lists = Tensor | Sequence[Sequence[int]]
"""Lists as a reader may write them, which `check_lists` reads."""


class ListError(ValueError):
    """A list of digits has the wrong length or a digit out of range."""


@dataclass(frozen=True)
class ListSplit:
    """Lists to train on and lists to report on.

    `train` is None when the lists are too many to enumerate: they are then drawn afresh each step,
    never from `held_out`. `held_out` is empty when every list is trained on.
    """

    train: Int[Tensor, "list position"] | None
    held_out: Int[Tensor, "list position"]


def all_lists(config: Config) -> Int[Tensor, "list position"]:
    """Every list once, in lexicographic order; raises ListError when there are too many."""
    if config.n_lists > MAX_ENUMERATED:
        raise ListError(
            f"{config.n_digits}^{config.list_len} = {config.n_lists} lists are too many to list "
            f"(at most {MAX_ENUMERATED}); use sample_lists"
        )
    digits = torch.arange(config.n_digits)
    return torch.cartesian_prod(*[digits] * config.list_len).reshape(-1, config.list_len)


def sample_lists(
    config: Config, count: int, seed: int, stream: Stream = "sample"
) -> Int[Tensor, "list position"]:
    """`count` lists drawn uniformly with replacement; each stream and seed has its own numbers."""
    # Not PyTorch's generator, which draws the batches of a training.
    drawn = np.random.default_rng([get_args(Stream).index(stream), seed])
    return torch.from_numpy(drawn.integers(config.n_digits, size=(count, config.list_len)))


def lists_to_score(config: Config, most: int, seed: int = 0) -> Int[Tensor, "list position"]:
    """Every list when there are at most `most`, else a seeded sample of `most`."""
    if config.n_lists <= min(most, MAX_ENUMERATED):
        return all_lists(config)
    return sample_lists(config, most, seed)


def split_lists(config: Config) -> ListSplit:
    """Training and held-out lists: the first `train_fraction` of a permutation by `split_seed`.

    For the study preset this is the published split, 8,000 to train on and 2,000 held out.
    """
    if config.n_lists > MAX_ENUMERATED:
        return ListSplit(None, sample_lists(config, HELD_OUT_SAMPLE, config.split_seed, "held out"))
    generator = torch.Generator().manual_seed(config.split_seed)
    lists = all_lists(config)[torch.randperm(config.n_lists, generator=generator)]
    return ListSplit(*lists.tensor_split([config.n_trained]))


def check_lists(config: Config, lists: Lists | None) -> Int[Tensor, "list position"]:
    """`lists` as a tensor, or every list for None; raises ListError on a wrong length or digit."""
    if lists is None:
        return all_lists(config)
    try:
        tensor = torch.as_tensor(lists)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ListError(
            f"lists must be digits in rows of list_len {config.list_len}: {error}"
        ) from None
    if tensor.dtype == torch.bool or tensor.is_floating_point() or tensor.is_complex():
        raise ListError(f"lists must hold whole numbers, got {tensor.dtype}")
    if tensor.ndim != 2 or tensor.shape[1] != config.list_len:
        raise ListError(
            f"lists must have shape (lists, list_len {config.list_len}), got {tuple(tensor.shape)}"
        )
    outside = (tensor < 0) | (tensor >= config.n_digits)
    if outside.any():
        row = int(outside.any(1).nonzero()[0])
        raise ListError(
            f"digits must be 0 to {config.n_digits - 1} (n_digits {config.n_digits}), "
            f"got {tensor[row].tolist()} in row {row}"
        )
    return tensor.long()


def input_tokens(
    config: Config, lists: Int[Tensor, "list position"]
) -> Int[Tensor, "list sequence"]:
    """What the model reads: `d.. SEP d..` when autoregressive, `d.. SEP MASK..` when masked."""
    separator = torch.full_like(lists[:, :1], config.sep_id)
    outputs = lists if config.mask_id is None else torch.full_like(lists, config.mask_id)
    return torch.cat([lists, separator, outputs], dim=1)


def target_tokens(
    config: Config, lists: Int[Tensor, "list position"]
) -> Int[Tensor, "list sequence"]:
    """What each position should predict, and `IGNORED` where no loss is taken.

    Autoregressive positions predict the next token, masked ones the token at their own place.
    """
    separator = torch.full_like(lists[:, :1], config.sep_id)
    targets = torch.cat([lists, separator, lists], dim=1)
    if config.decoding == "autoregressive":
        targets = torch.cat([targets[:, 1:], torch.full_like(separator, IGNORED)], dim=1)
    if config.loss_on == "outputs":  # nothing stands behind them but what is ignored already
        targets[:, : config.prediction_positions.start] = IGNORED
    return targets


def loss_floor(config: Config, lists: Int[Tensor, "list position"] | None = None) -> float:
    """The lowest mean cross entropy (nats) that any model can reach on `lists`, or on all lists.

    It is above 0 only where a digit must be predicted from those before it: autoregressive, with
    the loss on every position. Over all lists that costs ln(n_digits) at list_len - 1 of the
    2 list_len scored positions; over fewer, the entropy of each digit given those before it.
    """
    if config.decoding == "masked" or config.loss_on == "outputs":
        return 0.0
    if lists is None:
        total = math.log(config.n_digits) * (config.list_len - 1)
    else:
        total = _entropy(lists) - _entropy(lists[:, :1])
    return total / (2 * config.list_len)


def _entropy(rows: Int[Tensor, "row column"]) -> float:
    """Entropy in nats of the distribution of the rows."""
    counts = rows.unique(dim=0, return_counts=True)[1].double()
    return torch.distributions.Categorical(counts).entropy().item()
