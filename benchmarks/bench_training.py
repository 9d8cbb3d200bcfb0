"""Seconds to a trained seed preset: ours against a plain loop of the usual kind, in one run.

The plain loop is what the seed notebook does, written afresh from its description: 50,000 sampled
lists, shuffled batches of 128, Adam at 1e-3 on the hooked model, and after each epoch an accuracy
measured one list at a time, token by token. How many epochs and lists the notebook used is not
recorded; 15 epochs (it names epoch 14) and 1,000 lists an epoch stand in, and the share of time
that each takes is shown, so that other numbers can be worked out.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from rows import Row

from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy, mean_loss
from listcomp_utils.model import make_model, make_native_model
from listcomp_utils.task import all_lists, input_tokens, sample_lists
from listcomp_utils.training.loop import train

SEEDS, EPOCHS, EVALUATED = 20, 15, 1000


def rows() -> list[Row]:
    """The seed preset trained for 20 seeds: median seconds, worst loss, worst accuracy."""
    config = Config.preset("seed", device="cpu")
    train(config.replace(steps=20), progress="none")
    results = [train(config.replace(seed=seed), progress="none") for seed in range(SEEDS)]
    times = sorted(result.history.seconds for result in results)
    losses = [result.history.best.train_loss for result in results]
    right = [accuracy(result.model).per_list for result in results]
    plain = plain_loop(config)
    median = times[SEEDS // 2]
    spread = f"({times[0]:.2g} to {times[-1]:.2g})"
    loop = f"plain hooked loop, one seed, {EPOCHS} epochs"
    total = plain["training"] + plain["evaluation"]
    hooked = seconds_per_step(make_model(config), config) * 1e3
    bare = seconds_per_step(make_native_model(config), config) * 1e3
    return [
        Row(f"seed preset trained, median of {SEEDS} {spread}", median, total, "s", loop),
        Row("  against its training alone", median, plain["training"], "s", loop),
        Row("  loss at the end, worst", max(losses), plain["loss"], "nats", loop),
        Row("  lists right, worst", min(right), plain["right"], "", loop, bigger_is_better=True),
        Row("seed preset, one step", bare, hooked, "ms", "the same step with hooks"),
    ]


def plain_loop(config: Config) -> dict[str, float]:
    """Train the way notebooks often do; seconds of training and of evaluation, and the result."""
    model = make_model(config)
    tokens = input_tokens(config, sample_lists(config, 50_000, seed=1))
    loader = torch.utils.data.DataLoader(tokens, batch_size=128, shuffle=True)
    optimizer = torch.optim.Adam(
        [weight for weight in model.parameters() if weight.requires_grad], lr=1e-3
    )
    spent = {"training": 0.0, "evaluation": 0.0}
    for _ in range(EPOCHS):
        started = time.perf_counter()
        for batch in loader:
            logits = model(batch)[:, :-1]
            loss = F.cross_entropy(logits.reshape(-1, config.d_vocab), batch[:, 1:].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trained = time.perf_counter()
        right = sum(copies_right(model, config, row) for row in tokens[:EVALUATED])
        spent["training"] += trained - started
        spent["evaluation"] += time.perf_counter() - trained
    return {**spent, "right": right / EVALUATED, "loss": mean_loss(model)}


@torch.no_grad()
def copies_right(model: torch.nn.Module, config: Config, sequence: torch.Tensor) -> bool:
    """One list, one token at a time."""
    written = sequence[: config.list_len + 1]
    for _ in range(config.list_len):
        written = torch.cat([written, model(written[None])[0, -1:].argmax(-1)])
    return bool(torch.equal(written, sequence))


def seconds_per_step(model: torch.nn.Module, config: Config, steps: int = 200) -> float:
    """Seconds of one full-batch step (forward, backward, AdamW), after a warm-up."""
    tokens = input_tokens(config, all_lists(config))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, fused=True)
    for step in range(steps + 20):
        if step == 20:
            started = time.perf_counter()
        logits = model(tokens)[:, :-1]
        loss = F.cross_entropy(logits.reshape(-1, config.d_vocab), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - started) / steps
