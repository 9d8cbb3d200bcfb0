"""Training a list copier, with a history that can be trusted.

    result = train(Config.preset("seed", seed=3))
    result.model                                   # best weights by training loss, with hooks
    result.history.evaluations[-1].train.per_list  # 1.0

The weights kept are chosen by the loss on the training lists, never by the held-out lists, so
that figures on the held-out lists stay honest.
"""

from __future__ import annotations

import contextlib
import copy
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources.native import NativeModel

from listcomp_utils.config import Config
from listcomp_utils.files import HEADLESS_VARIABLE
from listcomp_utils.generation import accuracy, loss, mean_loss
from listcomp_utils.history import Evaluation, History
from listcomp_utils.model import add_hooks, device_of, make_native_model
from listcomp_utils.task import (
    ListSplit,
    input_tokens,
    loss_floor,
    sample_lists,
    split_lists,
    target_tokens,
)

Progress = Literal["auto", "bar", "lines", "none"]

MOST_EVALUATED = 10_000
"""Lists of each split that one evaluation during training runs at most (a fixed sample of them)."""

SMALL_STEP = 200_000
"""Below this many activations a step, more than one CPU thread costs more than it gains."""


@dataclass(frozen=True)
class TrainResult:
    """A trained model, with its best and its last weights."""

    config: Config
    model: TransformerBridge = field(repr=False)
    """Weights of the lowest training loss."""
    last_model: TransformerBridge = field(repr=False)
    """Weights after the last step: late spikes make them worse at times."""
    history: History = field(repr=False)


def train(config: Config, progress: Progress = "auto") -> TrainResult:
    """Train one model; the same config gives bit-identical weights on one machine.

    All lists are trained on as long as they can be enumerated, each once before any comes again,
    in a fresh order each time; beyond that they are sampled. An interrupt (Ctrl-C) ends the
    training early and returns what was learned, with `history.interrupted` set.

    Raises:
        ConfigError: when the config's device is not available.
        RuntimeError: when the loss stops being a number.
    """
    model = make_native_model(config)
    split = split_lists(config)
    watched = _watched(config, split)
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad],
        lr=config.lr,
        betas=(0.9, config.adam_beta2),
        weight_decay=config.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _learning_rate_factor(config))
    evaluations: list[Evaluation] = []
    best_weights: dict[str, Tensor] = {}

    def observe(step: int) -> Evaluation:
        row = _evaluate(model, step, watched)
        if not math.isfinite(row.train_loss):
            raise RuntimeError(
                f"training diverged: the loss is {row.train_loss} after {step} steps; "
                f"lower lr (now {config.lr})"
            )
        if row.train_loss < min((past.train_loss for past in evaluations), default=math.inf):
            best_weights.update(copy.deepcopy(model.state_dict()))
        evaluations.append(row)
        return row

    step, interrupted = 0, False
    started = time.perf_counter()
    with _threads_for(config), _reporter(config, progress) as report:
        observe(0)
        try:
            for tokens, targets in _batches(config, split, device_of(model)):
                optimizer.zero_grad(set_to_none=True)
                loss(model(tokens), targets).backward()
                optimizer.step()
                schedule.step()
                step += 1
                if step % config.eval_every == 0 or step == config.steps:
                    report(observe(step))
                if step == config.steps:
                    break
        except KeyboardInterrupt:
            interrupted = True
            if evaluations[-1].step != step:
                observe(step)

    history = History(
        evaluations=tuple(evaluations),
        train_loss_floor=loss_floor(config, split.train),
        best_step=min(evaluations, key=lambda row: row.train_loss).step,
        steps_done=step,
        seconds=time.perf_counter() - started,
        interrupted=interrupted,
    )
    best_model = make_native_model(config)
    best_model.load_state_dict(best_weights)
    return TrainResult(config, add_hooks(best_model), add_hooks(model), history)


def _evaluate(model: NativeModel, step: int, watched: ListSplit) -> Evaluation:
    some_held_out = len(watched.held_out) > 0
    return Evaluation(
        step=step,
        train_loss=mean_loss(model, watched.train),
        train=accuracy(model, watched.train),
        held_out_loss=mean_loss(model, watched.held_out) if some_held_out else None,
        held_out=accuracy(model, watched.held_out) if some_held_out else None,
    )


def _watched(config: Config, split: ListSplit) -> ListSplit:
    """The lists that evaluations run on: the whole split, or a fixed part of a large one."""
    if split.train is None:
        train = sample_lists(config, MOST_EVALUATED, seed=config.split_seed + 1)
    else:
        train = split.train[:MOST_EVALUATED]
    return ListSplit(train, split.held_out[:MOST_EVALUATED])


def _batches(
    config: Config, split: ListSplit, device: torch.device
) -> Iterator[tuple[Int[Tensor, "list sequence"], Int[Tensor, "list sequence"]]]:
    """Endless batches of tokens and targets, in an order that follows `config.seed`."""
    generator = torch.Generator().manual_seed(config.seed)
    for lists in _list_batches(config, split, generator):
        lists = lists.to(device)
        yield input_tokens(config, lists), target_tokens(config, lists)


def _list_batches(
    config: Config, split: ListSplit, generator: torch.Generator
) -> Iterator[Int[Tensor, "list position"]]:
    if split.train is None:
        place_values = config.n_digits ** torch.arange(config.list_len, dtype=torch.double)
        held_out = split.held_out.double() @ place_values
        lists = split.held_out[:0]
        while True:
            while len(lists) < config.batch_size:
                shape = (config.batch_size, config.list_len)
                drawn = torch.randint(config.n_digits, shape, generator=generator)
                fresh = drawn[~torch.isin(drawn.double() @ place_values, held_out)]
                lists = torch.cat([lists, fresh])
            yield lists[: config.batch_size]
            lists = lists[config.batch_size :]
    size = min(config.batch_size, len(split.train))
    waiting = torch.empty(0, dtype=torch.long)
    while True:
        while len(waiting) < size:
            order = torch.randperm(len(split.train), generator=generator)
            waiting = torch.cat([waiting, order])
        yield split.train[waiting[:size]]
        waiting = waiting[size:]


def _learning_rate_factor(config: Config) -> Callable[[int], float]:
    """Factor on `lr` at a step: linear warm-up, then constant or a half cosine down to 0."""

    def factor(step: int) -> float:
        if step < config.warmup_steps:
            return (step + 1) / config.warmup_steps
        if config.schedule == "constant":
            return 1.0
        done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return factor


@contextlib.contextmanager
def _threads_for(config: Config) -> Iterator[None]:
    """One CPU thread for small steps; the caller's number of threads is put back."""
    before = torch.get_num_threads()
    if config.batch_size * config.seq_len * config.d_model < SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _reporter(config: Config, progress: Progress) -> Iterator[Callable[[Evaluation], None]]:
    """What shows an evaluation: a live bar, plain lines at about every tenth, or nothing."""
    if progress == "auto":
        watched = not os.environ.get(HEADLESS_VARIABLE)
        progress = (
            "bar" if watched and (sys.stderr.isatty() or "ipykernel" in sys.modules) else "lines"
        )
    if progress == "bar":
        # Jupyter shows stderr in red.
        where = sys.stdout if "ipykernel" in sys.modules else sys.stderr
        with tqdm(total=config.steps, unit="step", mininterval=0.5, file=where) as bar:

            def show(row: Evaluation) -> None:
                bar.set_postfix_str(_summary(row), refresh=False)
                bar.update(row.step - bar.n)

            yield show
        return
    shown = [0]

    def write(row: Evaluation) -> None:
        if progress == "lines" and (row.step - shown[0] >= config.steps / 10):
            shown[0] = row.step
            print(f"step {row.step}/{config.steps}: {_summary(row)}", flush=True)

    yield write


def _summary(row: Evaluation) -> str:
    text = f"loss {row.train_loss:.4f}, lists right {row.train.per_list:.1%}"
    return text if row.held_out is None else f"{text}, held out {row.held_out.per_list:.1%}"
