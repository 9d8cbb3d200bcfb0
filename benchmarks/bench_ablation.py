"""What the ablations cost against plain forward passes, and the exhaustive search of circuits."""

from __future__ import annotations

from rows import Row, fastest, seconds

from listcomp_utils.ablation.edges import REMOVALS, edge_table
from listcomp_utils.ablation.minimal_circuits import EdgeSearch
from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.config import Config
from listcomp_utils.hooks import logits_with, run_all
from listcomp_utils.task import all_lists


def rows() -> list[Row]:
    """The single-edge tables of the study preset, and every subset of the seed preset's edges."""
    study = Config.preset("study", device="cpu")
    model, lists = load_or_train(study).model, all_lists(study)
    mean = run_all(model, lists).patterns.mean(0)
    runs = len(edge_table(model, lists[:10], ["zero"])) + 1
    plain = fastest(lambda: [logits_with(model, lists) for _ in range(runs)])
    against = f"{runs} plain forward passes of {len(lists):,} lists"
    found = []
    for removal in REMOVALS:
        ours = fastest(lambda removal=removal: edge_table(model, lists, [removal], mean))
        found.append(Row(f"single-edge table, {removal}", ours, plain, "s", against))
    seed = Config.preset("seed", device="cpu")
    search = EdgeSearch(load_or_train(seed).model, all_lists(seed), "zero")
    ours = seconds(search.all_subsets)
    count = 2 ** len(search.edges)
    one = fastest(lambda: logits_with(search.model, search.lists))
    what = f"all {count:,} subsets of the seed preset's edges"
    return [*found, Row(what, ours, count * one, "s", "a forward pass each (one timed)")]
