"""What the ablations cost against plain forward passes, and the exhaustive search of circuits."""

from __future__ import annotations

from rows import Row, fastest, seconds

from listcomp_utils.ablation.edges import edge_table
from listcomp_utils.ablation.minimal_circuits import all_subsets
from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.config import Config
from listcomp_utils.hooks import logits_with, run_all
from listcomp_utils.task import all_lists


def rows() -> list[Row]:
    """The single-edge tables of the study preset, and every subset of the seed preset's edges."""
    study = Config.preset("study", device="cpu")
    model, lists = load_or_train(study).model, all_lists(study)
    mean = run_all(model, lists).patterns.mean(0)
    edges = len(edge_table(model, lists[:10], "zero"))
    plain = fastest(lambda: [logits_with(model, lists) for _ in range(edges)])
    against = f"{edges} plain forward passes of {len(lists):,} lists"
    found = []
    for removal in ("zero", "renormalise", "mean"):
        ours = fastest(lambda removal=removal: edge_table(model, lists, removal, mean))
        found.append(Row(f"single-edge table, {removal}", ours, plain, "s", against))
    seed = Config.preset("seed", device="cpu")
    small, few = load_or_train(seed).model, all_lists(seed)
    small_mean = run_all(small, few).patterns.mean(0)
    subsets = []
    ours = seconds(lambda: subsets.append(all_subsets(small, few, "zero", small_mean)))
    count = len(subsets[0].kept)
    one = fastest(lambda: logits_with(small, few))
    what = f"all {count:,} subsets of the seed preset's edges"
    return [*found, Row(what, ours, count * one, "s", "a forward pass each (one timed)")]
