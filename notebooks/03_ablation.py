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
preset: str = "seed"  # starting point, "seed" or "study"; None below keeps its value
list_len: int = None  # digits in a list
n_digits: int = None  # different digits
decoding: str = None  # "autoregressive" or "masked"
loss_on: str = None  # "all" positions or "outputs" only
n_layers: int = None  # attention layers
n_heads: int = None  # heads a layer; must divide d_model
d_model: int = None  # width of the residual stream
layer_norm: bool = None  # LayerNorm before each layer and the unembedding
bias: bool = None  # biases of q, k, v, o and the unembedding
learn_w_v: bool = None  # train W_V; false freezes it to the identity
learn_w_o: bool = None  # train W_O; false freezes it to the identity
embed_scale: float = None  # initial size of the embeddings; 1 is TransformerLens's
positions: str = None  # "learned", "rotary" or "none"
steps: int = None  # optimiser steps
batch_size: int = None  # lists a step
lr: float = None  # peak learning rate
schedule: str = None  # "cosine" or "constant", after the warm-up
warmup_steps: int = None  # steps of linear warm-up
adam_beta2: float = None  # AdamW's second-moment decay
weight_decay: float = None  # AdamW's weight decay
train_fraction: float = None  # share of all lists to train on
split_seed: int = None  # which lists are held out
seed: int = None  # weights and order of the batches
eval_every: int = None  # steps between evaluations
device: str = None  # "auto", "cpu", "cuda" or "cuda:N"
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

config, options = read_parameters(globals(), draws=int, n_seeds=int)
folder = artifacts_folder(options.artifacts_dir, options.drive_dir)
example = example_list(config, options.sample_list)
shipped_model = options.checkpoint is None
established = is_established(config) and shipped_model
print(config.slug)

# %%
import statistics

import numpy as np
import torch

from listcomp_utils.ablation.edges import edge_table, knock_out
from listcomp_utils.ablation.interchange import interchange, list_pairs, pair_residuals
from listcomp_utils.ablation.interventions import catalogue, score_intervention
from listcomp_utils.ablation.minimal_circuits import (
    MOST_EDGES,
    all_subsets,
    feeding_edges,
    greedy,
    smallest_exact_by_size,
)
from listcomp_utils.ablation.seeds import seed_rows, shipped_rows
from listcomp_utils.checkpoints import find_trained, load_or_train
from listcomp_utils.generation import loss
from listcomp_utils.hooks import logits_with, replace, run_all, score_with
from listcomp_utils.mask import edge_label
from listcomp_utils.model import make_model, resolve_device
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_table
from listcomp_utils.plots import curves as figures
from listcomp_utils.plots import diagrams, heatmaps
from listcomp_utils.task import lists_to_score, split_lists, target_tokens

print(f"device: {resolve_device(config.device)}")
trained = load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
model = trained.model
held_out = split_lists(config).held_out
lists = held_out if len(held_out) else lists_to_score(config, most=10_000)
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
scored = [score_intervention(model, lists, entry) for entry in entries]
one = torch.tensor([example])
own_targets = target_tokens(config.replace(loss_on="all"), one)


def own_figure(hooks):
    """The loss on the one list, over all positions."""
    return loss(logits_with(model, one, hooks).cpu(), own_targets).item()


def with_spread(values, digits=3):
    """Mean, and standard deviation where there are several draws."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


rows = [
    [
        "none",
        "baseline",
        f"{baseline.loss:.3f}",
        f"{baseline.per_token:.3f}",
        "",
        f"{baseline.per_list:.3f}",
        *(f"{p:.3f}" for p in baseline.per_position),
        f"{own_figure([]):.3f}",
    ]
]
for entry, results in zip(entries, scored, strict=True):
    # Hooks that reorder lists or carry a pattern for each need all lists: no figure on one.
    single = len(entry.draws) == 1
    rows.append(
        [
            entry.group,
            entry.name,
            with_spread([r.loss for r in results]),
            with_spread([r.per_token for r in results]),
            f"{100 * (statistics.fmean(r.per_token for r in results) - baseline.per_token):+.1f}",
            with_spread([r.per_list for r in results]),
        ]
        + [
            f"{statistics.fmean(r.per_position[o] for r in results):.3f}"
            for o in range(config.list_len)
        ]
        + [f"{own_figure(entry.draws[0]):.3f}" if single else ""]
    )
outputs = [f"o{o + 1}" for o in range(config.list_len)]
show_table(
    [
        "what",
        "intervention",
        "loss",
        "per token",
        "change, points",
        "per list",
        *outputs,
        "own figure",
    ],
    rows,
)

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
show_table(["predicted at", "loss (nats)"], [[k, f"{v:.4f}"] for k, v in by_position.items()])
print(f"{share_noise:.1%} of the loss on {list(example)} is at positions that predict no output")

# %%
accuracy_means = [statistics.fmean(r.per_token for r in results) for results in scored]
spreads = [
    statistics.stdev([r.per_token for r in results]) if len(results) > 1 else 0.0
    for results in scored
]
order = sorted(range(len(entries)), key=lambda i: accuracy_means[i])[:40]
harmless = [
    e.name
    for e, a in zip(entries, accuracy_means, strict=True)
    if e.group == "attention pattern" and a >= baseline.per_token - 0.005
]
show(
    diagrams.ranked_bars(
        [f"{entries[i].group}: {entries[i].name}" for i in order],
        [accuracy_means[i] for i in order],
        [spreads[i] for i in order],
        [entries[i].group for i in order],
        f"The {len(order)} interventions that cost most; the dashed line is the untouched model",
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
removals = ("zero", "renormalise", "mean")
tables = {removal: edge_table(model, lists, removal, mean_patterns) for removal in removals}
change = {
    removal: {edge: score.per_token - baseline.per_token for edge, score in table.items()}
    for removal, table in tables.items()
}
show_table(
    ["edge", *(f"{removal}, points per token" for removal in removals)],
    [
        [edge_label(config, edge), *(f"{100 * change[removal][edge]:+.2f}" for removal in removals)]
        for edge in tables["zero"]
    ],
)
feeding = feeding_edges(config)
show(
    figures.grouped_bars(
        [edge_label(config, edge).replace(" ", "<br>") for edge in feeding],
        {removal: [100 * change[removal][edge] for edge in feeding] for removal in removals},
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
search_lists = lists if len(lists) <= 1000 else lists[:1000]
full = score_with(model, search_lists)
level = full.per_list - (0.0 if full.per_list == 1.0 else 0.01)
exhaustive = len(feeding) <= MOST_EDGES
frontiers, circuits, greedy_gap = {}, {}, {}
for removal in removals:
    by_greed = greedy(model, search_lists, removal, mean_patterns)
    frontiers[f"{removal}, greedy"] = by_greed.frontier()
    if exhaustive:
        circuits[removal] = all_subsets(model, search_lists, removal, mean_patterns)
        frontiers[f"{removal}, all subsets"] = circuits[removal].frontier()
        greedy_gap[removal] = max(
            frontiers[f"{removal}, all subsets"][size] - value
            for size, value in by_greed.frontier().items()
        )
    else:
        circuits[removal] = by_greed
show(
    figures.lines(
        {name: (list(curve), list(curve.values())) for name, curve in frontiers.items()},
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
print(f"{searched}; {len(search_lists):,} lists; a circuit must get {level:.1%} of the lists right")
show_table(
    ["removal", "smallest circuits", "edges", "minimal circuits", "common core"],
    [
        [
            removal,
            "; ".join(in_words(c) for c in found.smallest(level)[:3]),
            len(found.smallest(level)[0]) if found.smallest(level) else "",
            len(found.minimal(level)),
            in_words(found.core(level)),
        ]
        for removal, found in circuits.items()
    ],
)

# %% [markdown]
# ## Is the circuit the same for every seed?
#
# *Hypothesis:* every trained seed has the same core of edges that no exact circuit can miss. The search goes by
# size and stops at the first exact circuit, so it finds all the smallest ones. Seeds are trained here when
# that takes at most 1,000 steps, else only those already trained are compared.

# %%
quick = config.steps <= 1000
seed_models = {config.seed: trained}
if shipped_model:
    for number in range(options.n_seeds):
        other = config.replace(seed=number)
        if number not in seed_models:
            found = (
                load_or_train(other, folder, progress="none")
                if quick
                else find_trained(other, folder)
            )
            if found is not None:
                seed_models[number] = found
exact_seeds, kept_by_seed, sizes = [], [], []
for number, found in sorted(seed_models.items()):
    if score_with(found.model, search_lists).per_list < 1.0 or not exhaustive:
        continue
    means = run_all(found.model, search_lists).patterns.mean(0)
    smallest = smallest_exact_by_size(found.model, search_lists, "zero", means).smallest()
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
pairs = list_pairs(config, most=10_000, seed=0)
untrained = make_model(config)
position_rows = range(config.prediction_positions[-1] + 1)


def follow_table(some_model, source="list"):
    """Share of pairs in which each output follows the vector put in, by layer and position."""
    residuals = pair_residuals(some_model, pairs)
    return np.array(
        [
            [
                interchange(some_model, pairs, layer, position, source, residuals=residuals).source
                for position in position_rows
            ]
            for layer in range(config.n_layers + 1)
        ]
    )


follows = follow_table(model)
placebo, untrained_follows = follow_table(model, "placebo"), follow_table(untrained)
stream_names = [f"before layer {layer}" for layer in range(config.n_layers)] + ["at the end"]
panels = {f"o{o + 1}": follows[:, :, o] for o in range(config.list_len)}
panels |= {f"o{o + 1}, random direction": placebo[:, :, o] for o in range(config.list_len)}
at_sep = follows[1, config.sep_position]
show(
    heatmaps.heatmap_panels(
        panels,
        stream_names,
        [config.labels[position] for position in position_rows],
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
own_rows = seed_rows(config, sorted(seed_models), folder, train_missing=False)
other_preset = "study" if preset == "seed" else "seed"
other_rows = shipped_rows(other_preset)


def row_cells(name, row):
    """One seed as table cells."""
    return [
        name,
        row.seed,
        f"{row.per_token:.4f}",
        "yes" if row.broke_through else "no",
        *(f"{value:.3f}" for value in row.follows_separator),
    ]


n_outputs = max([config.list_len] + [len(row.follows_separator) for row in other_rows])
show_table(
    [
        "model",
        "seed",
        "per token",
        "left the plateau",
        *(f"o{o + 1} follows SEP" for o in range(n_outputs)),
    ],
    [row_cells("this config", row) for row in own_rows]
    + [row_cells(other_preset, row) for row in other_rows],
)

# %% [markdown]
# ## Claims

# %%
with torch.no_grad():
    untouched = logits_with(model, search_lists)
    null_hooks = [
        (
            f"blocks.{layer}.attn.hook_pattern",
            replace(run_all(model, search_lists).patterns[:, layer]),
        )
        for layer in range(config.n_layers)
    ]
    null_change = (logits_with(model, search_lists, null_hooks) - untouched).abs().max().item()
    strongest = min(change["zero"], key=change["zero"].get)
    live_change = (
        (logits_with(model, search_lists, knock_out(model, [strongest], "zero")) - untouched)
        .abs()
        .max()
        .item()
    )
dead = [edge for edge in tables["zero"] if edge not in feeding]
dead_change = max(
    (abs(change[removal][edge]) for removal in removals for edge in dead), default=0.0
)
good_rows = [row for row in own_rows if row.broke_through]
lowest = [min(row.follows_separator) for row in good_rows]
routes = sum(value < 0.1 for value in lowest) / max(1, len(lowest))
composes = sum(value > 0.5 for value in lowest) / max(1, len(lowest))
print(
    f"of {len(lowest)} seeds that left the plateau, {routes:.0%} route by layer (an output follows SEP's "
    f"vector after layer 0 in under a tenth of the pairs), {composes:.0%} compose (every output in over half)"
)
other_good = [min(row.follows_separator) for row in other_rows if row.broke_through]
claims = [
    equals("logits moved by putting each pattern in its own place", null_change, 0.0),
    at_least("logits moved by removing the costliest edge", live_change, 0.1),
    equals("accuracy moved by edges that cannot reach an output", dead_change, 0.0),
    at_most("follows a random direction, largest share", placebo.max().item(), 0.3),
    at_most(
        "follows in an untrained model, largest share",
        untrained_follows.max().item(),
        0.3,
        applies=config.n_digits >= 10,
    ),
    shown("seeds compared", len(seed_models)),
    shown("seeds that left the plateau", len(good_rows)),
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
    shown(f"{other_preset} seeds that left the plateau", f"{len(other_good)} of {len(other_rows)}"),
]
if other_good:
    claims.append(
        shown(
            f"{other_preset}: least-following output, smallest and largest over seeds",
            f"{min(other_good):.3f} to {max(other_good):.3f}",
        )
    )
check_claims("03_ablation", claims)
