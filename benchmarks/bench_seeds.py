"""Training a study model, and many seeds of it, against TransformerLens with hooks.

The baseline is the hooked model, autograd and AdamW on the same batches, without any evaluation, on
one thread as ours; ours are whole trainings, with theirs. Its seconds a step are timed over a few
steps and multiplied. Beside a busy program, eight seeds are held against the same eight alone.
"""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import time

import torch
from rows import Row

from listcomp_utils.config import Config
from listcomp_utils.generation import loss
from listcomp_utils.model import make_model, make_native_model
from listcomp_utils.task import input_tokens, split_lists, target_tokens
from listcomp_utils.training.batches import list_batches
from listcomp_utils.training.loop import train, train_many

SEEDS, STEPS, TIMED = 8, 1000, 150
ON_CUDA = 64
OTHERS = {
    "LayerNorm, biases, W_V and W_O": dict(
        layer_norm=True, bias=True, learn_w_v=True, learn_w_o=True
    ),
    "four heads": dict(n_heads=4),
    "rotary positions, three layers": dict(positions="rotary", n_layers=3),
    "lists of four, four layers": dict(list_len=4, n_layers=4, n_digits=30, batch_size=256),
}


def rows() -> list[Row]:
    """One study model, eight of each preset, beside a busy program, other architectures, memory."""
    study = Config.preset("study", device="cpu")
    hooked = step_seconds(make_model(study), study)
    bare = step_seconds(make_native_model(study), study)
    train(study.replace(steps=50), progress="none")
    full = train(study, progress="none").history
    by_hooks = "TransformerLens with hooks"
    timed = f"{by_hooks} ({TIMED} steps timed)"
    found = [
        Row(
            f"one study model, whole recipe ({study.steps:,} steps)",
            full.seconds,
            hooked * study.steps,
            "s",
            timed,
        ),
        Row("  the same", full.seconds, bare * study.steps, "s", "the same without hooks"),
    ]
    for config, name in ((study, "study"), (Config.preset("seed", device="cpu"), "seed")):
        short = config.replace(steps=min(config.steps, STEPS))
        step = hooked if name == "study" else step_seconds(make_model(config), config)
        spent = seconds_of(short)
        what = f"{SEEDS} {name} seeds, a seed ({short.steps:,} steps)"
        found.append(Row(what, spent / SEEDS, step * short.steps, "s", by_hooks))
        if name == "study":
            with_busy = beside_a_busy_program(short)
            what = "  beside a program that keeps one core busy"
            found.append(Row(what, with_busy / SEEDS, spent / SEEDS, "s", "the same seeds alone"))
    for what, changes in OTHERS.items():
        config = study.replace(**changes, steps=200, eval_every=200)
        ours = train(config, progress="none").history.seconds / config.steps
        step = step_seconds(make_native_model(config), config)
        found.append(
            Row(f"a step: {what}", ours * 1e3, step * 1e3, "ms", "TransformerLens without hooks")
        )
    few, many = (peak_memory(steps) for steps in (500, 5000))
    found.append(
        Row("peak memory, 5,000 steps of 100-digit lists of 6", many, few, "MiB", "500 steps")
    )
    if torch.cuda.is_available():
        cuda = study.replace(device="cuda", steps=STEPS)
        train_many(cuda.replace(steps=50), range(ON_CUDA), progress="none")
        spent = train_many(cuda, range(ON_CUDA), progress="none")[0].history.seconds
        rate, base = ON_CUDA * STEPS / spent, 1 / step_seconds(make_model(cuda), cuda)
        what = f"{ON_CUDA} study seeds in one batch, {torch.cuda.get_device_name()}"
        found.append(Row(what, rate, base, "steps/s", by_hooks, bigger_is_better=True))
    return found


def seconds_of(config: Config) -> float:
    """Wall time of training `SEEDS` models."""
    started = time.perf_counter()
    train_many(config, range(SEEDS), progress="none")
    return time.perf_counter() - started


def beside_a_busy_program(config: Config) -> float:
    """The same while other programs keep all cores but one busy."""
    spin = [sys.executable, "-c", "while True: pass"]
    programs = [subprocess.Popen(spin) for _ in range(max(1, (os.cpu_count() or 2) - 1))]
    try:
        return seconds_of(config)
    finally:
        for program in programs:
            program.kill()
            program.wait()


def step_seconds(model: torch.nn.Module, config: Config) -> float:
    """Seconds of one step of the usual loop, after a warm-up; one thread, as ours."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, fused=True)
    stream = list_batches(config, split_lists(config), torch.Generator().manual_seed(0))
    device = weights[0].device
    for step, lists in enumerate(itertools.islice(stream, TIMED + 20)):
        if step == 20:
            started = time.perf_counter()
        lists = lists.to(device)
        value = loss(model(input_tokens(config, lists)), target_tokens(config, lists))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    torch.set_num_threads(threads)
    return (time.perf_counter() - started) / TIMED


def peak_memory(steps: int) -> float:
    """Peak MiB of a process that trains on lists too many to enumerate."""
    done = subprocess.run(
        [sys.executable, __file__, str(steps)], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    streamed = Config.preset(
        "study", list_len=6, d_model=16, batch_size=64, steps=int(sys.argv[1]), eval_every=500
    )
    train_many(streamed, [0, 1], progress="none")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
