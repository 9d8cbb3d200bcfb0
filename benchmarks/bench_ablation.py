"""What the ablations cost against plain forward passes, and how long the exhaustive search takes.

python benchmarks/bench_ablation.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

from listcomp_utils.ablation import edge_table, logits_with
from listcomp_utils.attention import run_all
from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.config import Config
from listcomp_utils.minimal_circuits import all_subsets
from listcomp_utils.task import all_lists

REPEATS = 3


def fastest(task: Callable[[], object]) -> float:
    """Least seconds of a few runs, after one to warm up."""
    task()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main() -> None:
    study = Config.preset("study", device="cpu")
    model, lists = load_or_train(study).model, all_lists(study)
    mean = run_all(model, lists).patterns.mean(0)
    edges = len(edge_table(model, lists[:10], "zero"))
    plain = fastest(lambda: [logits_with(model, lists) for _ in range(edges)])
    print(f"{len(lists):,} study lists, {edges} edges, least of {REPEATS} runs")
    print(f"{'what':34}{'ours (s)':>10}{'plain (s)':>11}{'ratio':>8}")
    for removal in ("zero", "renormalise", "mean"):
        ours = fastest(lambda removal=removal: edge_table(model, lists, removal, mean))
        name = f"single-edge table, {removal}"
        print(f"{name:34}{ours:10.2f}{plain:11.2f}{ours / plain:7.2f}x")
    seed = Config.preset("seed", device="cpu")
    small, few = load_or_train(seed).model, all_lists(seed)
    small_mean = run_all(small, few).patterns.mean(0)
    started = time.perf_counter()
    found = all_subsets(small, few, "zero", small_mean)
    seconds = time.perf_counter() - started
    subsets = f"all {len(found.kept):,} subsets of the seed preset's edges"
    print(f"{subsets} on {len(few)} lists: {seconds:.1f} s")


if __name__ == "__main__":
    main()
