# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does a sparse autoencoder find when the truth is known?
#
# **Answer.** Given as many active latents as the vectors have parts, it finds the true ones: a latent for nearly
# every digit, and one or two for order, along the difference of the position embeddings. The latents are graded:
# how active a digit's latent is says how strongly its digit was attended to. With more active latents the outputs
# are as right, and the clean digits are gone; with fewer, the variance explained hides that order is lost. Scaling
# an order latent cannot reverse the lists on which it is off, whose order the digit latents hold; adding its
# direction can.
#
# **You need** nothing but the install; a shipped model and shipped autoencoders are loaded. **It takes** about
# forty seconds.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/REPOSITORY/blob/main/notebooks/06_features.ipynb)

# %% tags=["setup"]
import os
import sys

if "google.colab" in sys.modules:
    package = os.environ.get("LISTCOMP_PACKAGE", "git+https://github.com/OWNER/REPOSITORY")
    get_ipython().run_line_magic("pip", f"install -q {package}")
elif not os.environ.get("LISTCOMP_HEADLESS"):
    get_ipython().run_line_magic("load_ext", "autoreload")
    get_ipython().run_line_magic("autoreload", "2")

# %% nbmake={"mock": {"d_model": 16, "d_sae": 16, "eval_every": 20, "n_digits": 8, "sae_steps": 30, "steer_lists": 20, "steps": 40}} tags=["parameters"]
# Parameters: change a value here, or add any other field of Config
preset: str = "study"  # starting point: "seed", "study", "ranked"; None below keeps its value
retrain: bool = False  # train again even when a model of this very config is saved
drive_dir: str = None  # on Colab: keep models in this folder of your Drive
artifacts_dir: str = None  # keep models in this folder instead of artifacts/runs/checkpoints
checkpoint: str = None  # analyse this .safetensors or classic .pt instead of training
d_sae: int = 128  # latents of the autoencoders looked at closely
k: int = 3  # their mean number of active latents
n_seeds: int = 3  # their random seeds, from 0
sae_steps: int = 3000  # their optimiser steps
steer_lists: int = 1000  # lists that every latent is steered on, at most
sae_file: str = None  # look at this SAE instead: .safetensors, or a .pt of the study's follow-up

# %%
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.features.sae import SAEConfig
from listcomp_utils.notebook.parameters import artifacts_folder, is_established, read_parameters

config, options = read_parameters(globals())
folder = artifacts_folder(options.artifacts_dir, options.drive_dir)
sae_config = SAEConfig(d_sae=options.d_sae, k=options.k, steps=options.sae_steps)

from listcomp_utils.circuit.order_axis import check_pairs
from listcomp_utils.features.sae_files import load_or_train_sae, open_sae

checkpoint, as_asked = options.checkpoint, True
try:
    check_pairs(config)
except ConfigError as error:
    print(
        f"The parameters ask for {config.slug}. {error}. What follows is about the study preset's model instead, "
        "and no claim is checked" + (f"; {checkpoint} is not read." if checkpoint else ".")
    )
    config, checkpoint, as_asked = Config.preset("study", device=config.device), None, False
given = open_sae(options.sae_file, config.d_model) if options.sae_file else None
same_sae = given is None and sae_config == SAEConfig(d_sae=128, k=3) and options.n_seeds >= 3
established = as_asked and is_established(config) and checkpoint is None and same_sae
print(f"The model here: {checkpoint or config.slug}")

# %%
import numpy as np
import pandas as pd
import torch
from torch.nn.functional import adaptive_max_pool2d

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.features.grid import KS, score_sae, shipped_tables
from listcomp_utils.features.latents import (
    KINDS,
    binary,
    live_directions,
    match_latents,
    matched_cosines,
)
from listcomp_utils.features.separator import (
    cluster_means,
    order_held,
    principal_part,
    quality,
    refitted,
    separator_of,
    true_vectors,
    written,
)
from listcomp_utils.features.steering import (
    FACTORS,
    PAIR_FACTORS,
    share,
    steering_table,
    swappable,
    swapped_by_adding,
    swapped_by_scaling,
)
from listcomp_utils.generation import accuracy, score
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_frame
from listcomp_utils.plots import curves as figures
from listcomp_utils.plots import diagrams, heatmaps
from listcomp_utils.sweeps.table import read_table

trained = load_or_train(config, folder, options.retrain, checkpoint=checkpoint)
separator = separator_of(trained.model)
configs = [sae_config.replace(seed=seed) for seed in range(options.n_seeds)]
saes = [given] if given else [load_or_train_sae(separator, one, folder) for one in configs]
d_sae, k = saes[0].d_sae, saes[0].k
matches = [match_latents(separator, sae) for sae in saes]
print(
    f"{trained.path.name}: {len(separator.lists):,} lists, {int(separator.held_out.sum()):,} of them held out"
)


def spread(values, digits=3):
    """The mean of a figure over seeds, and its range."""
    values = [float(value) for value in values]
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def correlation(some, others):
    """Pearson's; nan for fewer than two pairs."""
    return np.corrcoef(some, others)[0, 1].item() if len(some) > 1 else float("nan")


def bars(frame):
    """What a bar for each column shows: its name, mean, and half the range over seeds."""
    return list(frame), frame.mean().tolist(), ((frame.max() - frame.min()) / 2).tolist()


# %% [markdown]
# ## The truth
#
# The outputs read one vector, the separator's after layer 0. In this architecture it is a sum of known terms:
# a constant, α1 times the first digit's embedding, α2 times the second's, and (α1 - α2)/2 times the difference
# of the two position embeddings. Put in the vector's place, that sum must change nothing; nor must the vector
# itself.

# %%
own = quality(separator, separator.vectors)
truth = true_vectors(separator)
largest = (truth - separator.vectors).abs().max().item()
model_own = accuracy(trained.model)
splice_change = own.per_token - model_own.per_token
truth_change = quality(separator, truth).per_token - model_own.per_token
print(
    f"the known sum against the vector: {largest:.1e} at most; accuracy changed by {truth_change:g}"
)
print(
    f"the model: {own.held_out_per_token:.4f} of held-out outputs right, {own.held_out_per_list:.4f} of lists; "
    f"on all lists {own.per_token:.4f} and {own.per_list:.4f}"
)

# %% [markdown]
# ## How many active latents does it take?
#
# *Hypothesis:* three, two digits and order. It would be refuted if two did as well, or if three lost much.
# Beside the autoencoders: as many principal components as active latents; on-off codes made by hand (the
# digits in the list; the digits at their places; clusters of lists); and the two graded digits without the
# order axis.

# %%
table, stable = shipped_tables(separator)
full = table[table.steps == options.sae_steps]
grid = full[full.d_sae == d_sae]
if grid.empty:
    print("No table ships for this model, width and steps: one autoencoder is trained for each k.")
    sizes = [sae_config.replace(d_sae=d_sae, k=one) for one in KS if one <= d_sae]
    found = [load_or_train_sae(separator, one, folder) for one in sizes]
    grid = pd.DataFrame([{**sae.config.to_dict(), **score_sae(separator, sae)} for sae in found])
full = grid if full.empty else full
ks = sorted(grid.k.unique().tolist())
over_seeds = grid.groupby("k")

codes = {
    "digits in the list (on-off)": (2, refitted(separator, separator.digits_at.sum(1))),
    "digits at places (on-off)": (2, refitted(separator, separator.digits_at.flatten(1))),
    f"{d_sae} clusters of lists (on-off)": (1, cluster_means(separator, d_sae)),
    "two graded digits, no order": (2, true_vectors(separator, order=False)),
}
ranks = {f"principal components, rank {k}": (k, principal_part(separator, k)) for k in ks}
by_hand = pd.DataFrame(
    {
        name: {"l0": active, **quality(separator, vectors)}
        for name, (active, vectors) in {**codes, **ranks}.items()
    }
).T
figure = figures.lines(
    {
        "the model": (ks, [own.held_out_per_token] * len(ks)),
        f"autoencoders, {d_sae} latents": (ks, over_seeds.held_out_per_token.mean().tolist()),
        "principal components": (ks, by_hand.held_out_per_token[list(ranks)].tolist()),
        **{name: by_hand.loc[[name], ["l0", "held_out_per_token"]].values.T for name in codes},
    },
    "What the outputs still get right (held-out lists, mean over seeds)",
    "active latents a list (principal components: rank)",
    "outputs right",
    y_range=(0, 1.03),
    points=list(codes),
)
figure.update_xaxes(tickvals=ks)
show(
    figure,
    alt="Share of held-out outputs right against the number of active latents, for sparse autoencoders, "
    "principal components and codes made by hand, beside the model's own.",
    main=True,
)
names = {
    "l0": "active (L0)",
    "dead": "dead",
    "mse": "MSE",
    "explained": "variance explained",
    "held_out_per_token": "held-out outputs right",
    "per_token": "outputs right, all lists",
    "per_list": "lists right, all lists",
}
by_k = over_seeds.agg({name: "mean" if name in ("l0", "dead") else spread for name in names})
by_k.index = [f"autoencoders, k = {one}" for one in ks]
model_row = pd.DataFrame([own], index=["the model's own vector"])
rows = pd.concat([model_row, by_k, by_hand])[list(names)].rename(columns=names)
print(f"{d_sae} latents, {over_seeds.size().min()} seeds for each k; range over seeds in brackets")
show_frame(rows.rename_axis("the separator's vector from").reset_index(), digits=3)

means = over_seeds.held_out_per_token.mean()
if {2, 3, 5} <= set(ks):
    print(
        f"The third active latent adds {means[3] - means[2]:.3f} of the held-out outputs, the fourth and fifth together "
        f"{means[5] - means[3]:.3f}; {own.held_out_per_token - means[5]:.3f} are missing to the model's own."
    )

# %% [markdown]
# Are more active latents better? Accuracy and what the latents are need not agree. (When a digit counts as having
# one clean latent is said below.)

# %%
of_size = full[full.k.isin(ks)].groupby(["k", "d_sae"])
right = of_size.held_out_per_token
panels = {
    "held-out outputs right": right.mean(),
    "the same, range over seeds": right.max() - right.min(),
    "digits with one clean latent": of_size.clean_digits.mean() / config.n_digits,
}
panels = {name: panel.unstack().dropna(axis=1) for name, panel in panels.items()}
grid_widths = panels["held-out outputs right"].columns
if len(grid_widths) > 1:
    show(
        heatmaps.heatmap_panels(
            {name: panel.to_numpy() for name, panel in panels.items()},
            [f"k = {one}" for one in ks],
            [str(width) for width in grid_widths],
            "Autoencoders over active latents and width",
            "share",
            row_title="active latents",
            column_title="latents",
        ),
        alt="Held-out outputs right, their range over seeds, and the share of digits with one clean latent, by "
        "number of active latents and of latents.",
    )
for one, found in over_seeds:
    print(
        f"k = {one}, {d_sae} latents: {spread(found.held_out_per_token)} of held-out outputs right, "
        f"{spread(found.clean_digits, 0)} of {config.n_digits} digits with one clean latent"
    )

# %% [markdown]
# Does explained variance say how well the outputs do? Here a hand-made code and an autoencoder can be compared
# at the same number of active units.

# %%
places = by_hand.loc["digits at places (on-off)"]
no_order = by_hand.loc["two graded digits, no order"]
twos = pd.concat([table, grid], ignore_index=True).query("k == 2")
places_gain = float("nan")
if len(twos):
    best_two = twos.loc[twos.per_token.idxmax()]
    places_gain = float(places.per_token - best_two.per_token)
    print(
        f"With two active units, the best autoencoder of any width and number of steps ({best_two.d_sae:.0f} latents, "
        f"{best_two.steps:,.0f} steps) explains {best_two.explained:.3f} of the variance and gets "
        f"{best_two.per_token:.3f} of the outputs right; the on-off code of digits at places explains "
        f"{places.explained:.3f} and gets {places.per_token:.3f} right."
    )
print(
    f"Without the order axis {no_order.explained:.3f} of the variance is explained and "
    f"{no_order.per_token:.3f} of the outputs are right."
)
for (one, width, steps), found in table.groupby(["k", "d_sae", "steps"]):
    short = full[(full.k == one) & (full.d_sae == width)]
    if steps > options.sae_steps and len(short):
        print(
            f"k = {one}, {width} latents, {steps:,} steps instead of {options.sae_steps:,}: outputs right "
            f"{spread(found.per_token)} instead of {spread(short.per_token)}, clean digits "
            f"{spread(found.clean_digits, 0)} instead of {spread(short.clean_digits, 0)}"
        )

# %% [markdown]
# ## The follow-up's figures
#
# The study's follow-up trained hundreds of autoencoders on its released model and gives the best at each k, of all
# lists and of held-out ones, in places with the number of latents. Beside them ours on that same model, at the
# same number of latents where it is given and of all numbers where it is not, and ours on the model here.

# %%
reported = [  # k, latents (None: not given), which lists, outputs right
    (1, 50, "held_out_per_token", 0.30),
    (2, None, "held_out_per_token", 0.61),
    (3, None, "held_out_per_token", 0.87),
    (4, 100, "held_out_per_token", 0.8885),
    (1, None, "per_token", 0.416),
    (2, None, "per_token", 0.794),
    (3, 256, "per_token", 0.939),
    (4, None, "per_token", 0.938),
    (5, 512, "per_token", 0.941),
]
sources = {"same model": read_table("features_released"), "model here": table}
rows = []
for one, width, name, figure_there in reported:
    lists = "held out" if name.startswith("held") else "all"
    row = {"k": one, "latents": width or "not given", "lists": lists, "follow-up": figure_there}
    for source, frame in sources.items():
        reached = frame[(frame.k == one) & ((frame.d_sae == width) | (width is None))][name]
        figures_here = {"best": reached.max(), "mean": reached.mean(), "number": len(reached)}
        row |= {f"ours, {source}: {what}": figure for what, figure in figures_here.items()}
    rows.append(row)
rows = pd.DataFrame(rows)
show_frame(rows)
behind = rows["follow-up"] - rows["ours, same model: best"]
missed = [
    f"k = {row.k}, {row.lists} ({gap:.3f} below)"
    for row, gap in zip(rows.itertuples(), behind, strict=True)
    if gap > 0
]
print(
    f"Our best reach the follow-up's figure in {len(behind) - len(missed)} of {len(behind)} rows"
    + (f"; not at {', '.join(missed)}." if missed else ".")
)

# %% [markdown]
# ## What each latent is
#
# *Hypothesis:* latents are digits and order, not lists. Each decoder direction is compared with every digit's
# embedding and with P1 - P2. A digit's embedding can be shifted by a vector common to all digits without changing
# the sum, so the mean of the digits and the order axis are taken out first. A digit is clean when exactly
# one latent is active on its lists (nine in ten or more) and hardly on others. The control: random directions.

# %%
noise = torch.randn(saes[0].decoder.shape, generator=torch.Generator().manual_seed(2**30 + 1))
random_match = matched_cosines(noise, separator.embeddings - separator.embeddings.mean(0)).mean()
clean = [len(m.clean_digits) for m in matches]
show_frame(
    pd.DataFrame(
        {
            "seed": seed,
            **m.frame.kind.value_counts().reindex(KINDS, fill_value=0),
            "clean digits": f"{len(m.clean_digits)} of {config.n_digits}",
            "mean cosine of digit latents": m.frame.digit_cosine[m.digits].mean(),
            "cosine of order latents with P1 - P2": ", ".join(
                f"{cosine:+.3f}" for cosine in m.frame.order_cosine[m.order]
            ),
        }
        for seed, m in enumerate(matches)
    ),
    digits=3,
)
print(
    f"{spread(clean, 0)} of {config.n_digits} digits have one clean latent; random directions reach a mean cosine of {random_match:.2f}"
)

# %%
first = matches[0]
kinds = ["order", "digit", "digit and order", "mixture"]
alive = first.frame[first.frame.kind != "dead"]
alive = alive.assign(kind=pd.Categorical(alive.kind, kinds)).sort_values(["kind", "digit"])
if len(alive):
    maps = first.latents[:, alive.index.tolist()].T.reshape(-1, config.n_digits, config.n_digits)
    pooled = adaptive_max_pool2d(maps, min(10, config.n_digits))
    side = -(-config.n_digits // pooled.shape[1])
    labels = {"order": "order", "mixture": "mixed"}
    show(
        heatmaps.map_gallery(
            (pooled / pooled.amax((1, 2), keepdim=True).clamp_min(1e-9)).numpy().round(2),
            [labels.get(row.kind, str(row.digit)) for row in alive.itertuples()],
            f"Where each latent is active: d1 down, d2 across (seed 0, largest of each {side} by {side} lists)",
            "share of its largest activation",
        ),
        alt="Small maps over first and second digit of every live latent's activation: most are crosses at one "
        "digit, the order latents are active over much of the plane.",
        interactive=False,
    )

# %% [markdown]
# ## The order latents
#
# The separator attends to the digit with the larger score, so α1 - α2 is a smooth function of two digits,
# when digits are sorted by how strongly they are attended to. If the order latents stand for it, their maps are
# its positive and its negative part. Beside them, how closely they follow.

# %%
liking = separator.attention[:, 0].reshape(config.n_digits, -1).mean(1)
kept = liking.argsort()[:: max(1, config.n_digits // 14)]
order_maps = {"α1 - α2": separator.order}
for i in first.order[:2]:
    cosine = first.frame.order_cosine[i]
    order_maps[f"latent {i}, cosine {cosine:+.2f}"] = first.latents[:, i] * np.sign(cosine)
blank = [""] * len(kept)
show(
    heatmaps.heatmap_panels(
        {
            name: (one / one.abs().max())
            .reshape(config.n_digits, -1)[kept][:, kept]
            .numpy()
            .round(2)
            for name, one in order_maps.items()
        },
        blank,
        blank,
        "Order in the attention and in the order latents (each over its largest)",
        "share of the largest",
        row_title="first digit, by attention it draws",
        column_title="second digit, by attention it draws",
        signed=True,
    ),
    alt="Three maps over first and second digit sorted by attention: alpha1 minus alpha2, and the activations "
    "of the order latents, which are its positive and negative parts.",
)
order_on = [m.order_on for m in matches]
on_share = [share(on) for on in order_on]
signed = [
    m.latents[:, m.order] @ torch.tensor(m.frame.order_cosine[m.order].values) for m in matches
]
order_r = [
    correlation(one, separator.order) if on.any() else 0.0
    for one, on in zip(signed, order_on, strict=True)
]
print(f"correlation of the order latents (signed, added) with α1 - α2: {spread(order_r)}")
print(f"share of lists with an order latent on: {spread(on_share)}")

# %% [markdown]
# What holds the order of a list on which no order latent is on? *Hypothesis:* off means "near the middle". *It
# would be refuted* if α1 - α2 varied there as it does elsewhere. Beside it: the α1 - α2 that the rest of the
# reconstruction stands for, the digit latents and the constant without any order latent.

# %%
rest = [
    order_held(separator, m.sae.decode(m.latents.index_fill(1, torch.tensor(m.order).long(), 0.0)))
    for m in matches
]
off_spread = [separator.order[~on].std().item() for on in order_on]
rest_off, rest_on = (
    [correlation(one[rows], separator.order[rows]) for one, rows in zip(rest, chosen, strict=True)]
    for chosen in ([~on for on in order_on], order_on)
)
groups = {"no order latent on": ~order_on[0], "one on": order_on[0]}
few = {
    name: rows.nonzero().flatten()[:: max(1, int(rows.sum()) // 120)]
    for name, rows in groups.items()
    if rows.any()
}
show(
    figures.lines(
        {
            name: (separator.order[rows].tolist(), rest[0][rows].tolist())
            for name, rows in few.items()
        },
        "The order that is held without order latents (seed 0)",
        "α1 - α2 of the list",
        "α1 - α2 held by digit latents and constant",
        points=list(few),
    ),
    alt="Order held by the reconstruction without its order latents against the list's own: on the diagonal where "
    "no order latent is on, off it elsewhere.",
)
print(
    f"standard deviation of α1 - α2 where none is on: {spread(off_spread)}; over all lists {separator.order.std():.3f}"
)
print(
    f"correlation of the order held by the rest with the list's own: {spread(rest_off)} where no order latent is on, "
    f"{spread(rest_on)} where one is"
)

# %% [markdown]
# The digit latents know nothing of places, so they hold nearly the same for a list and its reverse. They could stand
# for one of the two orders, and the order latent for the change to the other. *It would be refuted* if lists that
# differ much from their reverse had an order latent on in neither of the two.

# %%
turned = torch.arange(config.n_lists).reshape(config.n_digits, -1).T.flatten()
unequal = turned != torch.arange(config.n_lists)
same_rest = [correlation(one[unequal], one[turned][unequal]) for one in rest]
reverse_on = [share(on[turned][~on & unequal]) for on in order_on]
far = unequal & (separator.order.abs() > separator.order.abs().median())
far_reverse_on = [share(on[turned][~on & far]) for on in order_on]
on_at_all = [share(on[far]) for on in order_on]
print(
    f"order held by the rest, correlation of a list with its reverse: {spread(same_rest)} (α1 - α2 itself: "
    f"{correlation(separator.order[unequal], separator.order[turned][unequal]):.3f})"
)
print(
    f"of the lists with no order latent on, {spread(reverse_on)} have a reverse with one on; of those with |α1 - α2| "
    f"above its median {spread(far_reverse_on)}, against {spread(on_at_all)} of all such lists"
)

# %% [markdown]
# ## Graded, not binary
#
# *Hypothesis:* a digit latent's activation is the attention its digit got. *It would be refuted* by activations that
# are the same on all its lists. The slope is in lengths of the embedding: 1 for a copy. The null: every
# active latent set to its own mean, all of them or one kind only; and, so that the null is a fair one, the
# best linear readout of which latents are on.

# %%
correlations, slopes = (
    [float(m.frame[name][m.digits].quantile(0.5, interpolation="lower")) for m in matches]
    for name in ("correlation", "slope")
)
points = {}
for i in [i for i in first.digits if first.frame.digit[i] in first.clean_digits][:3]:
    digit, activation = first.frame.digit[i], first.latents[:, i]
    held = separator.digit_weights[:, digit]
    counted = ((held > 0) & (activation > 0)).nonzero().flatten()[::3]
    points[f"digit {digit}"] = (held[counted].tolist(), activation[counted].tolist())
if points:
    show(
        figures.lines(
            points,
            f"A latent's activation against its digit's attention, r = {correlations[0]:.2f}, slope {slopes[0]:.2f} (medians, seed 0)",
            "attention of the separator to the digit",
            "activation of its latent",
            points=list(points),
        ),
        alt="Activation of three digit latents against the separator's attention to their digits: rising bands.",
    )
decoded = [
    {
        "as they are": m.sae.decode(m.latents),
        "order latents binary": m.sae.decode(binary(m.latents, m.order)),
        "digit latents binary": m.sae.decode(binary(m.latents, m.digits)),
        "all binary": m.sae.decode(binary(m.latents)),
        "which are on, best readout": refitted(separator, (m.latents > 0).float()),
        "digits at places, by hand": codes["digits at places (on-off)"][1],
    }
    for m in matches
]
qualities = [{name: quality(separator, one) for name, one in row.items()} for row in decoded]
right = pd.DataFrame([{name: q.per_token for name, q in row.items()} for row in qualities])
show(
    diagrams.ranked_bars(
        *bars(right),
        [*["autoencoder"] * 5, "made by hand"],
        "Outputs right when activations are made binary (all lists; bars: mean, half the range over seeds)",
        "outputs right",
        reference=own.per_token,
    ),
    alt="Share of outputs right with latents as they are, with order or digit latents or all of them made binary, "
    "with the best readout of the on-off pattern, and with a hand-made on-off code.",
)
lost = (right["as they are"] - right["all binary"]).tolist()
print(f"correlation, median over digit latents: {spread(correlations)}; slope: {spread(slopes)}")
print(f"outputs lost when all activations are made binary: {spread(lost)}")
print(
    f"Being graded is how these latents hold order, not the only way to: an on-off code with {2 * config.n_digits} units, "
    f"two of them on, gets {places.per_token:.3f} of the outputs right."
)

# %% [markdown]
# ## Steering
#
# Which edit makes the model write (b, a) for (a, b)? Scaling a latent by anything from -10 to 10; adding
# its direction, or P1 - P2, in amounts up to the length of P1 - P2 either way; adding a random direction of that
# length. An edit counts for a list when some amount swaps its outputs exactly. Every edit starts from the
# reconstruction, so the baseline is the model with that put in.

# %%
every_row = swappable(separator)
some_rows = swappable(separator, options.steer_lists)
coarse = torch.linspace(-1, 1, 21).tolist()
steering = [steering_table(separator, m.sae, some_rows, coarse) for m in matches]
for one, m in zip(steering, matches, strict=True):
    one["is_order"] = one.latent.isin(m.order)
    one["cosine"] = m.frame.order_cosine[one.latent].abs().values
generator = torch.Generator().manual_seed(2**30 + 2)
random_directions = torch.randn(5, config.d_model, generator=generator)


def edits(m, steered):
    """The share of the lists that each kind of edit swaps, through one autoencoder."""
    start = m.sae.decode(m.latents)
    here, others = m.order_on[every_row], steered[~steered.is_order]
    scaled = [swapped_by_scaling(separator, m.sae, every_row, i) for i in m.order]
    either = torch.stack([torch.zeros_like(here), *scaled]).any(0)
    added = swapped_by_adding(separator, start[every_row], every_row, separator.order_axis)
    unedited = swapped_by_adding(
        separator, start[some_rows], some_rows, separator.order_axis, [0.0]
    )
    random = [
        share(swapped_by_adding(separator, start[some_rows], some_rows, one, coarse))
        for one in random_directions
    ]
    return {
        "no edit": share(unedited),
        "scale the best order latent": max(map(share, scaled), default=0.0),
        "scale any order latent": share(either),
        "  where one is on": share(either[here]),
        "  where none is on": share(either[~here]),
        "add P1 - P2": share(added),
        "  where no order latent is on": share(added[~here]),
        "add an order latent's direction": steered.added[steered.is_order].max(),
        "scale another latent, mean": others.scaled.mean(),
        "scale another latent, best": others.scaled.max(),
        "add another latent's direction, mean": others.added.mean(),
        "add a random direction, mean of 5": np.mean(random),
    }


shares = pd.DataFrame([edits(*one) for one in zip(matches, steering, strict=True)])
show(
    diagrams.ranked_bars(
        *bars(shares.fillna(0.0)),
        ["baseline", *["order latents"] * 4, *["order axis"] * 3, *["controls"] * 4],
        "Lists written reversed by some amount of an edit (bars: mean, half the range over seeds)",
        "share of the lists with two different digits",
    ),
    alt="Share of lists swapped by scaling order latents, by adding the order axis, and by controls.",
)
print(
    f"scaling an order latent swaps {spread(shares['scale any order latent'])} of the lists, adding P1 - P2 {spread(shares['add P1 - P2'])}"
)
print(
    f"the best single order latent, scaled: {spread(shares['scale the best order latent'])} (the follow-up, on its "
    "model: 0.606)"
)
print(
    f"no order latent is on, and scaling cannot do anything, on {spread([1 - one for one in on_share])} of the lists; "
    f"adding swaps {spread(shares['  where no order latent is on'])} of these"
)

# %% [markdown]
# Why are the other latents alike? Each is on in a few lists only, so a table of accuracies after editing one of
# them shows the same number again and again: that of the reconstruction without any edit, which lies below the
# model's own. Beside it, what adding each direction does against its cosine with the order axis: is an order
# latent special, or only its direction?


# %%
def outputs_right(vectors):
    """The share of outputs that are right on the steered lists with these vectors, one a list."""
    return score(written(separator, vectors[some_rows]), separator.lists[some_rows]).per_token


sides = {"other latents": ~steering[0].is_order, "order latents": steering[0].is_order}
show(
    figures.lines(
        {
            name: (steering[0].cosine[rows].tolist(), steering[0].added[rows].tolist())
            for name, rows in sides.items()
        },
        "Lists swapped by adding a latent's direction, by its angle to the order axis (seed 0)",
        "cosine with P1 - P2 (absolute)",
        "share of lists swapped",
        y_range=(-0.02, 1),
        points=list(sides),
    ),
    alt="Share of lists that adding a latent's decoder direction swaps, against the direction's absolute cosine "
    "with the order axis: it rises with the cosine.",
)
unedited = [outputs_right(m.sae.decode(m.latents)) for m in matches]
costs = [right - one.without for right, one in zip(unedited, steering, strict=True)]
others = [one[~one.is_order] for one in steering]
distance = [
    float(cost[~one.is_order].abs().max()) for cost, one in zip(costs, steering, strict=True)
]
order_costs = [float(cost[one.is_order].max()) for cost, one in zip(costs, steering, strict=True)]
print(
    f"outputs right on these lists with the reconstruction, unedited: {spread(unedited)}; "
    f"with the model's own vector {outputs_right(separator.vectors):.3f}"
)
print(
    f"other latents are on in {spread([one.active.mean() for one in others])} of the lists; setting one to 0 moves "
    f"accuracy by at most {spread(distance)}"
)
print(f"setting the busier order latent to 0 costs {spread(order_costs)}")
print(
    "share swapped by adding against the cosine, correlation among the other latents alone: "
    f"{spread([correlation(one.cosine, one.added) for one in others])}"
)

# %% [markdown]
# Can two latents do better than one? For each list, its most active order latent and its two most active digit
# latents, alone and in pairs: every factor of the order latent with each of some of the digit latent. A pair has
# more tries, so one latent is also given as many factors in the same range.

# %%
pair_rows = some_rows[::2]
many = torch.linspace(min(FACTORS), max(FACTORS), len(FACTORS) * len(PAIR_FACTORS)).tolist()
rows = []
for m in matches:
    if not m.order or len(m.digits) < 2:
        continue
    values = m.latents[pair_rows]
    one = torch.tensor(m.order)[values[:, m.order].topk(1).indices]
    two = torch.tensor(m.digits)[values[:, m.digits].topk(2).indices]
    choices = {
        "order latent": (one, FACTORS),
        "order latent, as many factors as a pair": (one, many),
        "stronger digit": (two[:, :1], FACTORS),
        "order latent and stronger digit": (torch.cat([two[:, :1], one], 1), FACTORS),
        "order latent and weaker digit": (torch.cat([two[:, 1:], one], 1), FACTORS),
        "both digits": (two, FACTORS),
    }
    done = {
        name: swapped_by_scaling(separator, m.sae, pair_rows, *choice)
        for name, choice in choices.items()
    }
    done["either the order latent or both digits"] = done["order latent"] | done["both digits"]
    start = m.sae.decode(values)
    done["(adding P1 - P2)"] = swapped_by_adding(separator, start, pair_rows, separator.order_axis)
    off = values.gather(1, one)[:, 0] == 0
    rows += [(name, share(swapped), share(swapped[off])) for name, swapped in done.items()]
columns = ["scaled", "lists swapped", "where the order latent is off"]
pairs = pd.DataFrame(rows, columns=columns).groupby("scaled", sort=False)
show_frame(pairs.agg(spread).reset_index())
if rows:
    mean = pairs["lists swapped"].mean()
    where_off = pairs["where the order latent is off"].mean()
    alone = mean["order latent, as many factors as a pair"]
    pair = max(mean["order latent and stronger digit"], mean["order latent and weaker digit"])
    print(
        f"A digit latent beside it adds {pair - alone:+.3f} to the order latent's {alone:.3f}; where that is off, "
        f"both digits together swap {where_off['both digits']:.3f}, adding P1 - P2 {where_off['(adding P1 - P2)']:.3f}."
    )

# %% [markdown]
# ## Does every seed find the same?
#
# Directions of two autoencoders are paired one to one so that the cosines add up to most. The control is random
# directions, as many and as wide.

# %%
directions = [live_directions(sae, separator.vectors) for sae in saes]
cosines = np.array([[matched_cosines(a, b).mean() for b in directions] for a in directions])
between = cosines[np.triu_indices(len(saes), 1)].tolist()
random_pair = [torch.randn(one.shape, generator=generator) for one in directions[:1] * 2]
random_cosine = float(matched_cosines(*random_pair).mean())
if len(stable):
    steady, same = (
        stable.pivot(index="k", columns="d_sae", values=name) for name in ("cosine", "same")
    )
    show(
        heatmaps.heatmap_panels(
            {"mean cosine": steady.to_numpy(), "share at 0.9 or more": same.to_numpy()},
            [f"k = {one}" for one in steady.index],
            [str(width) for width in steady],
            "How alike are autoencoders of different seeds? Directions of live latents, matched",
            "cosine, or share",
            row_title="active latents",
            column_title="latents",
        ),
        alt="Mean matched cosine between seeds, share of matched directions above 0.9, by "
        "number of active latents and of latents.",
    )
    widest = steady.columns[-1]
    print(
        f"mean cosine at {widest} latents: "
        + ", ".join(f"{cosine:.2f} for k = {one}" for one, cosine in steady[widest].items())
        + f"; random directions at most {stable.random.max():.2f}"
    )
if between:
    print(
        f"{d_sae} latents, k = {k}: mean matched cosine between seeds {spread(between)}; random directions {random_cosine:.3f}"
    )

# %% [markdown]
# ## When is the true dictionary found?
#
# Vectors made like the separator's, from random digits and a random order axis, with one thing varied at a time:
# the number of digits (and with it of lists), the width, the share of lists. Every autoencoder has k = 3 and twice
# as many latents as digits and is trained for 2,000 steps. A digit counts as found when a latent is within a cosine
# of 0.9.

# %%
recovery = read_table("features_recovery")
varied = {"n_digits": "digits", "d_model": "width", "share": "share of lists"}
cases = recovery.groupby(list(varied))
rows = cases.agg(
    **{"digits found": ("digits_found", spread), "order axis found": ("order_found", "mean")}
)
show_frame(rows.reset_index().rename(columns=varied), digits=2)
found = cases.digits_found.mean().reset_index()
largest_case = found.loc[found.index[-1], list(varied)]
for column, name in varied.items():
    others = [one for one in varied if one != column]
    line = found[(found[others] == largest_case[others]).all(axis=1)]
    (start, low), (end, high) = line[[column, "digits_found"]].iloc[[0, -1]].values
    print(f"{name} from {start:g} to {end:g}: digits found from {low:.2f} to {high:.2f}")

# %% [markdown]
# ## Claims

# %%
at_k = [qualities_of["as they are"] for qualities_of in qualities]
live = [m.frame[m.frame.kind != "dead"] for m in matches]
clean_digits = over_seeds.clean_digits
claims = [
    equals("known sum against the vector, largest difference", largest, 0.0, within=1e-3),
    equals("outputs right changed by splicing in the vector itself", splice_change, 0.0),
    equals("outputs right changed by the known sum", truth_change, 0.0, within=1e-3),
    shown("outputs right, held out, the model", own.held_out_per_token),
    at_least(
        f"the same through an autoencoder, k = {k}, lowest seed",
        min(q.held_out_per_token for q in at_k),
        own.held_out_per_token - 0.05,
        applies=established,
    ),
    shown("variance explained, lowest seed", min(q.explained for q in at_k)),
    at_most(
        f"outputs right through {k} principal components, held out",
        quality(separator, principal_part(separator, k)).held_out_per_token,
        0.3,
        applies=established,
    ),
    at_least(
        "on-off code of digits at places above the best k = 2 autoencoder",
        places_gain,
        0.1,
        applies=established,
    ),
    at_least("digits with one clean latent, lowest seed", min(clean), 80, applies=established),
    *(
        [
            at_least(
                "clean digits at k = 3 beyond those at k = 5, lowest seed against highest",
                int(clean_digits.min()[3] - clean_digits.max()[5]),
                40,
                applies=established,
            )
        ]
        if {3, 5} <= set(ks)
        else []
    ),
    at_least(
        "a latent along P1 - P2, absolute cosine, lowest seed",
        min(float(frame.order_cosine.abs().max()) for frame in live),
        0.98,
        applies=established,
    ),
    at_least(
        "activation with attention, median correlation, lowest seed",
        min(correlations),
        0.9,
        applies=established,
    ),
    at_least(
        "activation for attention, median slope, lowest seed", min(slopes), 0.9, applies=established
    ),
    at_most(
        "activation for attention, median slope, highest seed",
        max(slopes),
        1.1,
        applies=established,
    ),
    at_least(
        "outputs lost when activations are binary, lowest seed",
        min(lost),
        0.1,
        applies=established,
    ),
    shown("lists with no order latent on", spread([1 - one for one in on_share])),
    at_least(
        "order held by the rest there, correlation, lowest seed",
        min(rest_off),
        0.9,
        applies=established,
    ),
    shown("the same where an order latent is on", spread(rest_on)),
    at_least(
        "the rest's order, correlation of a list with its reverse, lowest seed",
        min(same_rest),
        0.95,
        applies=established,
    ),
    at_least(
        "far from their reverse, none on: the reverse has one on, lowest seed",
        min(far_reverse_on),
        0.9,
        applies=established,
    ),
    shown("lists swapped by scaling an order latent", spread(shares["scale any order latent"])),
    at_least(
        "the same where one is on, lowest seed",
        float(shares["  where one is on"].min()),
        0.8,
        applies=established,
    ),
    at_most(
        "the same where none is on, highest seed",
        float(shares["  where none is on"].max()),
        0.1,
        applies=established,
    ),
    at_least(
        "lists swapped by adding P1 - P2, lowest seed",
        float(shares["add P1 - P2"].min()),
        0.85,
        applies=established,
    ),
    at_most(
        "lists swapped by adding a random direction, highest seed",
        float(shares["add a random direction, mean of 5"].max()),
        0.3,
        applies=established,
    ),
    at_most(
        "lists swapped by scaling another latent, best of all seeds",
        float(shares["scale another latent, best"].max()),
        0.1,
        applies=established,
    ),
    at_most(
        "accuracy moved by removing another latent, most", max(distance), 0.1, applies=established
    ),
    at_least(
        "setting the busier order latent to 0 costs, lowest seed",
        min(order_costs),
        0.2,
        applies=established,
    ),
    *(
        [
            at_most(
                "lists swapped that a digit latent adds to the order latent",
                float(pair - alone),
                0.1,
                applies=established,
            )
        ]
        if len(pairs)
        else []
    ),
    *(
        [
            at_least(
                "matched cosine between seeds, lowest pair", min(between), 0.85, applies=established
            )
        ]
        if between
        else []
    ),
    shown("matched cosine of random directions", random_cosine),
    *(
        [
            at_most(
                f"seconds to train one autoencoder for {options.sae_steps:,} steps, longest of any width",
                float(full.seconds.max()),
                60.0,
                applies=established,
            )
        ]
        if "seconds" in full
        else []
    ),
    at_least(
        "planted digits found with all lists and the full width, lowest seed",
        float(recovery.set_index(list(varied)).digits_found[tuple(largest_case)].min()),
        0.9,
        applies=as_asked,
    ),
    at_most(
        "planted digits found in 1% of the lists, highest seed",
        float(recovery.digits_found[recovery.share == recovery.share.min()].max()),
        0.2,
        applies=as_asked,
    ),
    at_most(
        "follow-up's figures above our best on the same model, most",
        float(behind.max()),
        0.03,
        applies=as_asked,
    ),
]
if not as_asked:
    claims = [shown(claim.name, claim.value) for claim in claims]
check_claims("06_features", claims)
