"""Training list copiers, one or many at once, with a history that can be trusted.

    result = train(Config.preset("seed", seed=3))
    result.model                                   # best weights by training loss, with hooks
    result.history.evaluations[-1].train.per_list  # 1.0
    results = train_many(Config.preset("study"), seeds=range(8))

The weights kept are chosen by the loss on the training lists, never by the held-out lists, so
that figures on the held-out lists stay honest.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.model import add_hooks, make_native_model, resolve_device
from listcomp_utils.task import ListSplit, loss_floor, sample_lists, split_lists
from listcomp_utils.training.batches import list_batches
from listcomp_utils.training.history import Evaluation, History
from listcomp_utils.training.progress import Progress, shown_progress
from listcomp_utils.training.stacks import ModelStack

MOST_EVALUATED = 10_000
"""Lists of each split that one evaluation during training runs at most (a fixed sample of them)."""

Callback = Callable[[int, int, torch.nn.Module], None]
"""Called at each evaluation of each model with its seed, the step and the native model."""


@dataclass(frozen=True)
class TrainResult:
    """A trained model, with its best and its last weights."""

    config: Config
    model: TransformerBridge = field(repr=False)
    """Weights of the lowest training loss."""
    last_model: TransformerBridge = field(repr=False)
    """Weights after the last step: late spikes make them worse at times."""
    history: History = field(repr=False)


def train(config: Config, progress: Progress = "auto", **how: Any) -> TrainResult:
    """Train one model; the same config gives bit-identical weights on one machine's CPU.

    `how` are the other keywords of `train_many`, of which this is the case of one.

    Raises:
        ConfigError: as `train_many`.
        RuntimeError: when the loss stops being a number.
    """
    (result,) = train_many(config, [config.seed], progress, **how)
    if result.history.diverged:
        raise RuntimeError(
            f"training diverged: the loss is not a number after {result.history.steps_done} steps; "
            f"lower lr (now {result.config.lr}) or weight_decay (now {result.config.weight_decay})"
        )
    return result


def train_many(
    config: Config,
    seeds: Iterable[int],
    progress: Progress = "auto",
    callback: Callback | None = None,
    prepare: Callable[[torch.nn.Module], None] | None = None,
    rates: Callable[[str], float] = lambda name: 1.0,
) -> list[TrainResult]:
    """Train one model a seed (`config.seed` is not used), in the seeds' order.

    `prepare` may change each native model before its training, and freeze some of its weights;
    `rates` are factors on the learning rate, by a weight's name.

    On a CPU one after the other, each to the bit as if it were trained alone; on CUDA all in one
    batch, up to the rounding of floats. Always on one CPU thread: several wait for each other as
    soon as another program runs beside them.

    Batches are those of `list_batches`. An interrupt (Ctrl-C) ends the training early and returns
    what was learned, with `history.interrupted` set; seeds that had not begun are left out. A model
    whose loss stops being a number keeps its best weights before that, has `history.diverged` set,
    and leaves the others alone.

    Raises:
        ConfigError: for no seeds, a seed twice or not allowed, a device that is not available, or
            embeddings so large that the loss is no number from the start.
    """
    given, seeds = seeds, list(seeds) if isinstance(seeds, Iterable) else []
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds must be one or more different whole numbers, got {given!r}")
    configs = [config.replace(seed=seed) for seed in seeds]
    together = resolve_device(config.device).type == "cuda"
    results: list[TrainResult] = []
    with one_thread():
        for group in [configs] if together else [[one] for one in configs]:
            results += _train_group(group, progress, callback, prepare, rates)
            if results[-1].history.interrupted:
                break
    return results


def _train_group(
    configs: Sequence[Config],
    progress: Progress,
    callback: Callback | None,
    prepare: Callable[[torch.nn.Module], None] | None,
    rates: Callable[[str], float],
) -> list[TrainResult]:
    """Train models that differ by their seed in one batch."""
    config = configs[0]
    stack = ModelStack(config, [one.seed for one in configs], prepare)
    split = split_lists(config)
    runs = [_Run(*one) for one in zip(configs, stack.models, strict=True)]
    watched = _watched(config, split)
    streams = [list_batches(one, split, torch.Generator().manual_seed(one.seed)) for one in configs]
    groups: dict[float, list[Tensor]] = defaultdict(list)
    for name, weight in stack.weights.items():
        groups[rates(name)].append(weight)
    optimizer = torch.optim.AdamW(
        [{"params": weights, "factor": factor} for factor, weights in groups.items()],
        lr=config.lr,
        betas=(0.9, config.adam_beta2),
        weight_decay=config.weight_decay,
        fused=True,
    )

    def observe(step: int) -> list[Evaluation]:
        stack.update_models()
        measured = [
            stack.evaluate(lists) if len(lists) else [(None, None)] * len(runs)
            for lists in (watched.train, watched.held_out)
        ]
        for run, seen, unseen in zip(runs, *measured, strict=True):
            run.add(Evaluation(step, *seen, *unseen))
            if callback is not None:
                callback(run.config.seed, step, run.model)
        return [run.evaluations[-1] for run in runs if run.diverged_at is None]

    step, interrupted = 0, False
    started = time.perf_counter()
    with shown_progress(config.steps, "step", progress) as report:
        rows = observe(0)
        if len(rows) < len(runs):
            raise ConfigError(
                f"embed_scale must leave the first loss a finite number, got {config.embed_scale}"
            )
        try:
            while rows and step < config.steps:
                stack.backward(torch.stack([next(stream) for stream in streams]))
                for group in optimizer.param_groups:
                    group["lr"] = group["factor"] * learning_rate(config, step)
                optimizer.step()
                step += 1
                if step % config.eval_every == 0 or step == config.steps:
                    rows = observe(step)
                    if rows:
                        report(step, _summary(rows))
        except KeyboardInterrupt:
            interrupted = True
            if any(run.evaluations[-1].step != step for run in runs if run.diverged_at is None):
                observe(step)
    seconds, floor = time.perf_counter() - started, loss_floor(config, split.train)
    results = []
    for run in runs:
        best = make_native_model(run.config)
        best.load_state_dict(run.best_weights)
        history = History(
            evaluations=tuple(run.evaluations),
            train_loss_floor=floor,
            best_step=run.best.step,
            steps_done=step if run.diverged_at is None else run.diverged_at,
            seconds=seconds,
            interrupted=interrupted,
            diverged=run.diverged_at is not None,
        )
        results.append(TrainResult(run.config, add_hooks(best), add_hooks(run.model), history))
    return results


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One CPU thread for PyTorch; the caller's number of threads is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _Run:
    """What is kept of one model's training."""

    config: Config
    model: torch.nn.Module
    evaluations: list[Evaluation] = field(default_factory=list)
    best: Evaluation | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    diverged_at: int | None = None

    def add(self, row: Evaluation) -> None:
        if self.diverged_at is not None:
            return
        if not math.isfinite(row.train_loss):
            self.diverged_at = row.step
            return
        if self.best is None or row.train_loss < self.best.train_loss:
            self.best = row
            self.best_weights = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.evaluations.append(row)


def _summary(rows: Sequence[Evaluation]) -> str:
    """The models' highest loss and mean share of lists right."""
    text = f"loss {max(row.train_loss for row in rows):.4f}"
    text += f", lists right {sum(row.train.per_list for row in rows) / len(rows):.1%}"
    if rows[0].held_out is not None:
        text += f", held out {sum(row.held_out.per_list for row in rows) / len(rows):.1%}"
    return text


def _watched(config: Config, split: ListSplit) -> ListSplit:
    """The lists that evaluations run on: the whole split, or a fixed part of a large one."""
    train = split.train
    if train is None:
        train = sample_lists(config, MOST_EVALUATED, config.split_seed, "watched")
    return ListSplit(train[:MOST_EVALUATED], split.held_out[:MOST_EVALUATED])


def learning_rate(config: Config, step: int) -> float:
    """The rate at a step: a linear warm-up to `lr`, then constant or a half cosine down to 0."""
    if step < config.warmup_steps:
        return config.lr * ((step + 1) / config.warmup_steps)
    if config.schedule == "constant":
        return config.lr
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.lr * (0.5 * (1 + math.cos(math.pi * done)))
