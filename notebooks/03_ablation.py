# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which parts are needed, and does one vector hold the whole list?
#
# **Answer.** A handful of attention edges is enough, and fixed average attention copies ten digits as well as
# the real thing. The small model does not compose the list in one vector: in nearly every training seed SEP
# fetches the second digit in layer 0 and the first in layer 1. The study's model has to compose, and does.
#
# **You need** nothing but the install. **It takes** about a minute, most of it for training twenty seeds.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/REPOSITORY/blob/main/notebooks/03_ablation.ipynb)

# %% tags=["setup"]
import os
import sys

if "google.colab" in sys.modules:
    package = os.environ.get("LISTCOMP_PACKAGE", "git+https://github.com/OWNER/REPOSITORY")
    get_ipython().run_line_magic("pip", f"install -q {package}")
elif not os.environ.get("LISTCOMP_HEADLESS"):
    get_ipython().run_line_magic("load_ext", "autoreload")
    get_ipython().run_line_magic("autoreload", "2")

# %% nbmake={"mock": {"draws": 2, "eval_every": 20, "n_seeds": 2, "steps": 40}} tags=["parameters"]
# Parameters: change a value here, or add any other field of Config
preset: str = "seed"  # starting point, "seed" or "study"; None below keeps its value
list_len: int = None  # digits in a list
n_digits: int = None  # different digits
retrain: bool = False  # train again even when a model of this very config is saved
drive_dir: str = None  # on Colab: keep models in this folder of your Drive
artifacts_dir: str = None  # keep models in this folder instead of artifacts/runs/checkpoints
checkpoint: str = None  # analyse this .safetensors or classic .pt instead of training
sample_list: list = None  # the list of the seed notebook's own figure; None: 8, 3, ...
draws: int = 20  # draws of each random intervention
n_seeds: int = 20  # training seeds to compare; long trainings only where already done

# %%
from listcomp_utils.notebook.parameters import (
    artifacts_folder,
    example_list,
    is_established,
    read_parameters,
)

config, options = read_parameters(globals())
folder = artifacts_folder(options.artifacts_dir, options.drive_dir)
example = example_list(config, options.sample_list)
shipped_model = options.checkpoint is None
established = is_established(config) and shipped_model
print(config.slug)

# %%
import numpy as np
import pandas as pd
import torch

from listcomp_utils.ablation.edges import REMOVALS, edge_table, knock_out
from listcomp_utils.ablation.interchange import interchange, list_pairs
from listcomp_utils.ablation.interventions import catalogue, intervention_table
from listcomp_utils.ablation.minimal_circuits import EdgeSearch, feeding_edges
from listcomp_utils.ablation.seeds import seed_figures
from listcomp_utils.checkpoints import find_trained, load_or_train
from listcomp_utils.generation import loss
from listcomp_utils.hooks import logits_with, replace, run_all, score_with
from listcomp_utils.mask import edge_label
from listcomp_utils.model import make_model, resolve_device
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_frame
from listcomp_utils.plots import curves as figures
from listcomp_utils.plots import diagrams, heatmaps
from listcomp_utils.sweeps.table import read_table
from listcomp_utils.task import lists_to_score, split_lists, target_tokens

print(f"device: {resolve_device(config.device)}")
trained = load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
model = trained.model
# A long list has hundreds of parts, each removed in turn: fewer lists then.
most = 10_000 if config.list_len <= 5 else 500
held_out = split_lists(config).held_out[:most]
lists = held_out if len(held_out) else lists_to_score(config, most)
baseline = score_with(model, lists)
kind = "held-out lists" if len(held_out) else "of all lists"
print(
    f"{trained.path.name}: {len(lists):,} {kind}, per token {baseline.per_token:.4f}, "
    f"per list {baseline.per_list:.4f}, loss {baseline.loss:.4f}"
)

# %% [markdown]
# ## Everything the seed notebook did or planned, on every list
#
# Each intervention replaces one thing, and is scored on all the lists above: the loss at the positions that
# predict outputs (all of it avoidable), accuracy per token and per list. Where chance is part of it, the
# mean over draws with its spread. *own figure* is the seed notebook's: the loss of the one list it looked at,
# over all its positions.

# %%
entries = catalogue(model, lists, options.draws, seed=0)
one = torch.tensor([example])
own_targets = target_tokens(config.replace(loss_on="all"), one)


def own_figure(hooks):
    """The loss on the one list, over all positions."""
    return loss(logits_with(model, one, hooks).cpu(), own_targets).item()


by_intervention = intervention_table(model, lists, entries).groupby(
    ["group", "intervention"], sort=False
)
scored = by_intervention.mean().drop(columns="draw")
for score in ("loss", "per_token", "per_list"):
    scored.insert(scored.columns.get_loc(score) + 1, f"{score}_sd", by_intervention[score].std())
scored["change_points"] = 100 * (scored["per_token"] - baseline.per_token)
# What holds something of each list fits all of them only: no figure on one.
scored["own_figure"] = [np.nan if e.by_list else own_figure(e.draws[0]) for e in entries]
scored = scored.reset_index()
untouched = {"group": "none", "intervention": "baseline", "own_figure": own_figure([])}
show_frame(pd.concat([pd.DataFrame([untouched | baseline.columns()]), scored])[[*scored]], digits=3)

# %% [markdown]
# Why the seed's own figure misleads: most of the loss on one list is the digit that nothing predicts. The
# part of it on outputs is what an ablation can change.

# %%
log_probabilities = logits_with(model, one)[0].cpu().log_softmax(-1)
by_position = {
    config.labels[place]: -log_probabilities[place, target].item()
    for place, target in enumerate(own_targets[0].tolist())
    if target >= 0
}
predicts_outputs = {config.labels[place] for place in config.prediction_positions}
noise = sum(v for label, v in by_position.items() if label not in predicts_outputs)
share_noise = noise / max(sum(by_position.values()), 1e-12)
show_frame(pd.DataFrame(by_position.items(), columns=["predicted_at", "loss_nats"]))
print(f"{share_noise:.1%} of the loss on {list(example)} is at positions that predict no output")

# %%
worst = scored.sort_values("per_token", kind="stable")[:40]
harmless = scored.query(
    "group == 'attention pattern' and per_token >= @baseline.per_token - 0.005"
)["intervention"]
show(
    diagrams.ranked_bars(
        [*(worst["group"] + ": " + worst["intervention"])],
        [*worst["per_token"]],
        [*worst["per_token_sd"].fillna(0)],
        [*worst["group"]],
        f"The {len(worst)} interventions that cost most; the dashed line is the untouched model",
        "accuracy per token",
        reference=baseline.per_token,
    ),
    alt="Accuracy per token under the most damaging interventions, coloured by what is replaced.",
)
print("patterns that can be replaced at no cost: " + ("; ".join(harmless) or "none"))

# %% [markdown]
# ## Every single edge
#
# Removed in three ways that answer different questions: the weight set to zero, the same with the rest of
# the row scaled up again, and the edge's mean over lists in its place. The last removes only what varies.

# %%
mean_patterns = run_all(model, lists).patterns.mean(0)
edge_scores = edge_table(model, lists, REMOVALS, mean_patterns)
points = 100 * edge_scores.pivot(index="edge", columns="removal", values="change")
points = points.loc[edge_scores["edge"].unique(), [*REMOVALS]]
show_frame(points.add_suffix(", points per token").reset_index(), digits=2)
feeding = feeding_edges(config)
feeding_labels = [edge_label(config, edge) for edge in feeding]
show(
    figures.grouped_bars(
        points.loc[feeding_labels],
        "What each edge that can reach an output is worth",
        "change in accuracy (points per token)",
        value_range=None,
    ),
    alt="Change in accuracy per token when each single edge is removed, in three ways.",
)

# %% [markdown]
# ## The smallest circuits, by exhaustion
#
# Keep a subset of the edges, remove the others, score every list: all subsets where that is feasible. Edges
# that cannot reach an output are left out of the count; the mask proves they do nothing. The frontier is the
# best accuracy any subset of a size reaches. A greedy search, which drops the cheapest edge again and
# again, is scored against it.

# %%
fitting = EdgeSearch.most_tokens // (2 ** len(feeding) * config.seq_len)
exhaustive = fitting >= min(100, len(lists))
search_lists = lists[: min(1000, fitting) if exhaustive else 1000 if len(feeding) <= 50 else 100]
most_tokens = EdgeSearch.most_tokens if exhaustive else 10_000_000
full = score_with(model, search_lists)
level = 1.0 if full.per_list == 1.0 else max(full.per_list - 0.01, 1 / len(search_lists))
frontiers, circuits, greedy_gap = {}, {}, {}
for removal in REMOVALS:
    search = EdgeSearch(model, search_lists, removal, mean_patterns, most_tokens)
    by_greed = circuits[removal] = search.greedy()
    frontiers[f"{removal}, greedy"] = by_greed.frontier()
    if exhaustive:
        circuits[removal] = search.all_subsets()
        frontiers[f"{removal}, all subsets"] = circuits[removal].frontier()
        greedy_gap[removal] = (circuits[removal].frontier() - by_greed.frontier()).max()
show(
    figures.lines(
        {name: ([*curve.index], [*curve]) for name, curve in frontiers.items()},
        f"Accuracy against edges kept, of {len(feeding)} that can reach an output",
        "edges kept",
        "best accuracy per token",
        y_range=(-0.03, 1.05),
    ),
    alt="Best accuracy per token for each number of attention edges kept, for three kinds of removal.",
)


def in_words(edges):
    """Edges as text."""
    return ", ".join(edge_label(config, edge) for edge in edges) or "no edge at all"


searched = "all subsets" if exhaustive else "greedy search"
if greedy_gap:
    print(
        "greed falls short of the best subset of its size by at most "
        + ", ".join(f"{gap:.3f} ({removal})" for removal, gap in greedy_gap.items())
    )
for cut in {found.cut for found in circuits.values()} - {""}:
    print(f"the search was cut short: {cut}")
print(f"{searched}; {len(search_lists):,} lists; a circuit must get {level:.1%} of the lists right")
show_frame(
    pd.DataFrame(
        {
            "removal": removal,
            "smallest_circuits": "; ".join(in_words(c) for c in found.smallest(level)[:3]),
            "edges": len(found.smallest(level)[0]) if found.smallest(level) else None,
            "minimal_circuits": len(found.minimal(level)),
            "common_core": in_words(found.core(level)) if found.minimal(level) else "",
        }
        for removal, found in circuits.items()
    ),
    digits=0,
)

# %% [markdown]
# ## Is the circuit the same for every seed?
#
# *Hypothesis:* every trained seed has the same core of edges that no exact circuit can miss. The search goes by
# size and stops at the first exact circuit, so it finds all the smallest ones. Seeds are trained here when
# that takes at most 1,000 steps each and two minutes in all, else only those already trained are compared.

# %%
seed_models = {config.seed: trained}
if shipped_model:
    quick = config.steps <= 1000 and options.n_seeds * trained.history.seconds <= 120
    for number in set(range(options.n_seeds)) - {config.seed}:
        other = config.replace(seed=number)
        found = (
            load_or_train(other, folder, progress="none") if quick else find_trained(other, folder)
        )
        if found is not None:
            seed_models[number] = found
exact_seeds, kept_by_seed, sizes = [], [], []
for number, found in sorted(seed_models.items()):
    if score_with(found.model, search_lists).per_list < 1.0 or not exhaustive:
        continue
    smallest = EdgeSearch(found.model, search_lists, "zero").by_size().smallest()
    shared = set(smallest[0]).intersection(*smallest[1:])
    exact_seeds.append(number)
    sizes.append(len(smallest[0]))
    kept_by_seed.append([float(edge in shared) for edge in feeding])
print(f"{len(seed_models)} seeds, {len(exact_seeds)} of them copy every one of the lists searched")
universal = []
if len(exact_seeds) > 1:
    share = np.mean(kept_by_seed, axis=0)
    universal = [edge for edge, s in zip(feeding, share, strict=True) if s == 1.0]
    show(
        heatmaps.heatmap_panels(
            {"in every smallest circuit of the seed": np.array(kept_by_seed)},
            [str(number) for number in exact_seeds],
            [edge_label(config, edge).replace(" ", "<br>") for edge in feeding],
            f"In all {len(exact_seeds)} seeds: {in_words(universal)}",
            "kept",
            row_title="training seed",
            column_title="edge",
        ),
        alt="For each training seed, which edges all its smallest exact circuits keep.",
    )
    print(f"smallest exact circuits have {min(sizes)} to {max(sizes)} edges (zeroed removal)")

# %% [markdown]
# ## Does one vector hold the whole list?
#
# Put the residual vector of another list in place, at one layer and position, and see which digit each
# output then writes. If SEP's vector after layer 0 held the list, both outputs would follow it. If the
# digits come by different routes, each output follows another place. Controls: the base's own vector moved as
# far in a random direction, and a model that was never trained.

# %%
pairs = list_pairs(config, most, seed=0)
untrained = make_model(config)
stream_names = [f"before layer {layer}" for layer in range(config.n_layers)] + ["at the end"]


def shares_that_follow(*arguments):
    """Share of pairs in which each output follows the vector put in: (layer, position, output)."""
    shares = interchange(*arguments)["follows_source"].to_numpy()
    return shares.reshape(len(stream_names), -1, config.list_len)


follows = shares_that_follow(model, pairs)
placebo = shares_that_follow(model, pairs, None, None, "placebo")
untrained_follows = shares_that_follow(untrained, pairs)
panels = {f"o{o + 1}": follows[:, :, o] for o in range(config.list_len)}
panels |= {f"o{o + 1}, random direction": placebo[:, :, o] for o in range(config.list_len)}
at_sep = follows[1, config.sep_position]
show(
    heatmaps.heatmap_panels(
        panels,
        stream_names,
        config.labels[: config.prediction_positions.stop],
        "SEP's vector after layer 0 decides "
        + ", ".join(f"o{o + 1}: {value:.0%}" for o, value in enumerate(at_sep)),
        "share that follows",
        row_title="residual stream",
        column_title="position put in",
        per_row=config.list_len if config.list_len <= 3 else 3,
    ),
    alt="For each output, the share of list pairs in which it follows the vector put in at each layer "
    "and position, and the same for random directions.",
    main=True,
)
print(
    f"{len(pairs.base):,} pairs; untrained model, largest share that follows: "
    f"{untrained_follows.max():.3f}; random direction: {placebo.max():.3f}"
)

# %% [markdown]
# The same at SEP after layer 0 for several seeds, and for the other preset, whose rows ship with the
# project (`make seeds`). A seed that never left its plateau knows the digits but not their order.

# %%
own_seeds = pd.DataFrame(
    {"model": "this config", "seed": number, **seed_figures(found)}
    for number, found in sorted(seed_models.items())
)
other_preset = "study" if preset == "seed" else "seed"
other_seeds = read_table(f"{other_preset}_seeds").assign(model=other_preset)
show_frame(pd.concat([own_seeds, other_seeds]).drop(columns=["n_scored", "per_list"]))

# %% [markdown]
# ## Claims

# %%
patterns = run_all(model, search_lists).patterns
own_patterns = [
    (f"blocks.{layer}.attn.hook_pattern", replace(patterns[:, layer]))
    for layer in range(config.n_layers)
]
zeroed = edge_scores[edge_scores["removal"] == "zero"]
strongest = tuple(zeroed.loc[zeroed["change"].idxmin(), ["layer", "query", "key"]])


def logits_moved(hooks):
    """The largest change of a logit."""
    moved = logits_with(model, search_lists, hooks) - logits_with(model, search_lists)
    return moved.abs().max().item()


null_change = logits_moved(own_patterns)
live_change = logits_moved(knock_out(model, [strongest], "zero"))
dead_changes = edge_scores.loc[~edge_scores["edge"].isin(feeding_labels), "change"].abs()


def least_following(seeds):
    """Of each seed that left the plateau, the share of its output that follows SEP least."""
    return [*seeds[seeds["broke_through"].eq(True)].filter(like="follows_").min(axis=1)]


lowest, other_lowest = least_following(own_seeds), least_following(other_seeds)
routes = sum(value < 0.1 for value in lowest) / max(1, len(lowest))
composes = sum(value > 0.5 for value in lowest) / max(1, len(lowest))
print(
    f"of {len(lowest)} seeds that left the plateau, {routes:.0%} route by layer (an output follows SEP's "
    f"vector after layer 0 in under a tenth of the pairs), {composes:.0%} compose (every output in over half)"
)
claims = [
    equals("logits moved by putting each pattern in its own place", null_change, 0.0),
    at_least("logits moved by removing the costliest edge", live_change, 0.1),
    equals(
        "accuracy moved by edges that cannot reach an output", max(dead_changes, default=0.0), 0.0
    ),
    at_most("follows a random direction, largest share", placebo.max().item(), 0.3),
    at_most(
        "follows in an untrained model, largest share",
        untrained_follows.max().item(),
        0.3,
        applies=config.n_digits >= 10,
    ),
    shown("seeds compared", len(seed_models)),
    shown("seeds that left the plateau", len(lowest)),
    shown("edges in every seed's smallest circuits", in_words(universal)),
    shown("smallest exact circuit, edges (zeroed)", min(sizes) if sizes else "none is exact"),
    at_least("seeds that route by layer, share", routes, 0.9, applies=established)
    if preset == "seed"
    else at_least("seeds that compose in one vector, share", composes, 0.9, applies=established),
    shown(
        "least-following output at SEP after layer 0, smallest over seeds", min(lowest, default=0)
    ),
    shown(
        "least-following output at SEP after layer 0, largest over seeds", max(lowest, default=0)
    ),
    shown(
        f"{other_preset} seeds that left the plateau", f"{len(other_lowest)} of {len(other_seeds)}"
    ),
]
if other_lowest:
    claims.append(
        shown(
            f"{other_preset}: least-following output, smallest and largest over seeds",
            f"{min(other_lowest):.3f} to {max(other_lowest):.3f}",
        )
    )
check_claims("03_ablation", claims)
