# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does the separator hold?
#
# **Answer.** Where the outputs can read it, the small model's separator holds the second digit alone: a linear
# probe finds that digit and not the other. The study's separator holds both, and a list and its reverse
# differ there along one direction only, that of the two position embeddings.
#
# **You need** nothing but the install; a shipped model is loaded. **It takes** about fifteen seconds.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/REPOSITORY/blob/main/notebooks/04_representation.ipynb)

# %% tags=["setup"]
import os
import sys

if "google.colab" in sys.modules:
    package = os.environ.get("LISTCOMP_PACKAGE", "git+https://github.com/OWNER/REPOSITORY")
    get_ipython().run_line_magic("pip", f"install -q {package}")
elif not os.environ.get("LISTCOMP_HEADLESS"):
    get_ipython().run_line_magic("load_ext", "autoreload")
    get_ipython().run_line_magic("autoreload", "2")

# %% nbmake={"mock": {"eval_every": 20, "permutations": 50, "steps": 40}} tags=["parameters"]
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
probe_lists: int = 3000  # lists that probes are fitted to and scored on, at most
permutations: int = 1000  # random orders of the digits for the Fourier spectrum

# %%
from listcomp_utils.notebook.parameters import artifacts_folder, is_established, read_parameters

config, options = read_parameters(globals(), probe_lists=int, permutations=int)
folder = artifacts_folder(options.artifacts_dir, options.drive_dir)
established = is_established(config) and options.checkpoint is None
print(config.slug)

# %%
import torch

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.hooks import run_all
from listcomp_utils.model import resolve_device
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_table
from listcomp_utils.plots import curves as figures
from listcomp_utils.plots import diagrams, heatmaps
from listcomp_utils.representation import (
    cosine_similarities,
    fourier_spectrum,
    principal_components,
    probe,
    reversal,
)
from listcomp_utils.task import lists_to_score

print(f"device: {resolve_device(config.device)}")
trained = load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
model = trained.model
lists = lists_to_score(config, most=10_000).unique(dim=0)
seen = run_all(model, lists)
print(f"{trained.path.name}: {len(lists):,} distinct lists of {config.n_lists:,}")

# %% [markdown]
# ## The alphabet: embedding and unembedding
#
# How are the digits laid out, going in and coming out? Shares of variance and the effective dimension (the
# participation ratio: n for n equally large components), then all cosines.

# %%
embedding = model.W_E[: config.n_digits].detach().cpu()
unembedding = model.W_U.T[: config.n_digits].detach().cpu()
alphabet = {
    "embedding": principal_components(embedding),
    "unembedding": principal_components(unembedding),
}
n_components = min(config.d_model, config.n_digits)
show(
    figures.lines(
        {
            name: (
                list(range(1, n_components + 1)),
                parts.explained.cumsum(0)[:n_components].tolist(),
            )
            for name, parts in alphabet.items()
        },
        "Effective dimension of the digits: "
        + ", ".join(f"{name} {parts.effective_dimension:.1f}" for name, parts in alphabet.items()),
        "components",
        "variance explained",
        y_range=(0, 1.03),
    ),
    alt="Cumulative share of variance against number of principal components, for the embedding and "
    "the unembedding of the digits.",
)
step = max(1, config.n_digits // 10)
digit_labels = [str(d) if d % step == 0 else "" for d in range(config.n_digits)]
cosines = {
    "embedding with itself": cosine_similarities(embedding, embedding),
    "unembedding with itself": cosine_similarities(unembedding, unembedding),
    "embedding with unembedding": cosine_similarities(embedding, unembedding),
}
alignment = cosines["embedding with unembedding"]
same_digit = alignment.diagonal().mean().item()
other_digits = ((alignment.sum() - alignment.trace()) / (alignment.numel() - len(alignment))).item()
show(
    heatmaps.heatmap_panels(
        {name: values.numpy() for name, values in cosines.items()},
        digit_labels,
        digit_labels,
        f"A digit's embedding and unembedding: cosine {same_digit:+.2f}, other digits {other_digits:+.2f}",
        "cosine",
        row_title="digit",
        column_title="digit",
        signed=True,
    ),
    alt="Cosine similarities among digit embeddings, among unembeddings, and between the two.",
)

# %%
numbers = list(range(config.n_digits))
show(
    diagrams.point_panels(
        {name: parts.scores[:, :2].numpy() for name, parts in alphabet.items()},
        {"digit": numbers},
        [str(number) for number in numbers],
        "The digits in their first two components",
        {
            name: tuple(f"PC{i + 1} ({parts.explained[i]:.0%})" for i in range(2))
            for name, parts in alphabet.items()
        },
        show_text=config.n_digits <= 100,
    ),
    alt="Digits in the first two principal components of the embedding and of the unembedding.",
)

# %% [markdown]
# ## The separator's vector, where it can be read and where it was plotted
#
# The outputs read SEP's residual stream before each later layer, so the vector that carries the list is the one
# after layer 0. The seed notebook plotted it after the last layer, where nothing but SEP's own prediction
# can read it. Both, side by side; each list is one point.

# %%
levels = {"after layer 0": 1, f"after layer {config.n_layers - 1}": config.n_layers}
separator = {name: seen.residuals[:, level, config.sep_position] for name, level in levels.items()}
components = {name: principal_components(vectors) for name, vectors in separator.items()}
texts = [" ".join(map(str, row)) for row in lists.tolist()]
colours = {"sum": lists.sum(1).tolist(), "d1": lists[:, 0].tolist()}
if config.list_len > 1:
    colours |= {
        "d2": lists[:, 1].tolist(),
        "d1 < d2": (lists[:, 0] < lists[:, 1]).int().tolist(),
    }
shown_lists = torch.arange(len(lists))
if len(lists) > 2000:
    shown_lists = torch.randperm(len(lists), generator=torch.Generator().manual_seed(0))[:1000]
    print(f"{len(shown_lists):,} of {len(lists):,} lists are drawn (seed 0); all are measured")


def drawn(values):
    """The values of the lists that are drawn."""
    return [values[i] for i in shown_lists.tolist()]


show(
    diagrams.point_panels(
        {name: parts.scores[shown_lists, :2].numpy() for name, parts in components.items()},
        {name: drawn(values) for name, values in colours.items()},
        drawn(texts),
        "The separator's vector in two components",
        {
            name: tuple(f"PC{i + 1} ({parts.explained[i]:.0%})" for i in range(2))
            for name, parts in components.items()
        },
        show_text=False,
    ),
    alt="The separator's vectors of all lists in two principal components, after layer 0 and after the "
    "last layer, coloured by sum, digits and order.",
    main=True,
)

# %%
for name, parts in components.items():
    if parts.scores.shape[1] < 3:
        continue
    show(
        diagrams.points_in_space(
            parts.scores[shown_lists, :3].numpy(),
            drawn(colours["sum"]),
            drawn(texts),
            f"SEP {name}: three components hold {parts.explained[:3].sum():.0%} of the variance",
            tuple(f"PC{i + 1} ({parts.explained[i]:.0%})" for i in range(3)),
            "sum",
        ),
        alt=f"The separator's vectors {name} in three principal components, coloured by sum.",
    )
show_table(
    ["SEP", "first three shares of variance", "effective dimension"],
    [
        [
            name,
            ", ".join(f"{v:.3f}" for v in parts.explained[:3]),
            f"{parts.effective_dimension:.1f}",
        ]
        for name, parts in components.items()
    ],
)

# %% [markdown]
# ## What a linear probe finds
#
# *Hypothesis:* the vector that the outputs read holds every digit. *It would be refuted* by a digit that a linear
# probe cannot find on lists it was not fitted to. Beside each score, the same probe fitted to shuffled labels.
# A probe may fail because there are too few lists, not because nothing is there: a low score is weak
# evidence, a high one is strong.

# %%
if len(lists) > options.probe_lists:
    probed = torch.randperm(len(lists), generator=torch.Generator().manual_seed(1))
    probed = probed[: options.probe_lists]
else:
    probed = torch.arange(len(lists))
targets = {f"d{i + 1}": (lists[:, i], False) for i in range(config.list_len)}
if config.list_len > 1:
    targets["d1 < d2"] = ((lists[:, 0] < lists[:, 1]).int(), False)
targets["sum"] = (lists.sum(1).double(), True)
probes = {
    (place, name): probe(vectors[probed], labels[probed], seed=0, numeric=numeric)
    for place, vectors in separator.items()
    for name, (labels, numeric) in targets.items()
    if len(probed) >= 10
}
show_table(
    ["SEP", "probe for", "score", "held out", "shuffled labels"],
    [
        [
            place,
            f"{name} ({result.kind})",
            f"{result.score:.3f}",
            f"{result.n_held_out:,}",
            f"{result.shuffled:.3f}",
        ]
        for (place, name), result in probes.items()
    ],
)
if probes:
    show(
        figures.grouped_bars(
            list(targets),
            {
                f"{place}{suffix}": [
                    max(0.0, getattr(probes[place, name], which)) for name in targets
                ]
                for place in separator
                for suffix, which in (("", "score"), (", shuffled", "shuffled"))
            },
            "What linear probes find at SEP on held-out lists",
            "accuracy, or R² for the sum",
        ),
        alt="Scores of linear probes at the separator after layer 0 and after the last layer, beside "
        "shuffled-label controls.",
    )

# %% [markdown]
# ## A list and its reverse
#
# Order is what tells (a, b) from (b, a). How far apart are the two vectors, against any two lists, and in how
# many directions? If the digits' sum were all that SEP held, the distance would be 0.

# %%
reversals = {}
if config.list_len > 1:
    for name, vectors in separator.items():
        reversals[name] = reversal(vectors, lists)
    positions = seen.contributions[0, 1]
    axis = torch.nn.functional.normalize(
        (positions[0] - positions[config.list_len - 1]).double(), dim=0
    )
    along = {name: (r.directions[0] @ axis).abs().item() for name, r in reversals.items()}
    show_table(
        [
            "SEP",
            "distance to its reverse",
            "distance to others",
            "share along one direction",
            "cosine of it with the position difference",
        ],
        [
            [
                name,
                f"{r.distance:.3f}",
                f"{r.distance_to_others:.3f}",
                f"{r.explained[0]:.4f}",
                f"{along[name]:.4f}",
            ]
            for name, r in reversals.items()
        ],
    )
    show(
        figures.lines(
            {
                name: (list(range(1, 11)), r.explained[:10].cumsum(0).tolist())
                for name, r in reversals.items()
            },
            "How many directions tell a list from its reverse",
            "directions",
            "share of the squared difference",
            y_range=(0, 1.03),
        ),
        alt="Cumulative share of the squared difference between a list's vector and its reverse's, by "
        "number of directions.",
    )

# %% [markdown]
# ## Are there waves over the digits?
#
# The seed notebook asked for a formula as in the grokking work, where embeddings are waves over the numbers.
# There the task is arithmetic; here digits are arbitrary symbols, and nothing asks for a wave. The test: is
# any frequency's share of the embeddings' power larger than in random orders of the same digits?

# %%
spectra = {
    name: fourier_spectrum(weights, options.permutations, seed=0)
    for name, weights in (("embedding", embedding), ("unembedding", unembedding))
}
curves = {}
for name, spectrum in spectra.items():
    frequencies = list(range(1, len(spectrum.power) + 1))
    curves[name] = (frequencies, spectrum.power.tolist())
    curves[f"{name}, random orders, 95th percentile"] = (frequencies, spectrum.upper.tolist())
verdicts = {name: f"p = {spectrum.p_value:.2f}" for name, spectrum in spectra.items()}
show(
    figures.lines(
        curves,
        "Largest wave against random orders: " + ", ".join(f"{n} {v}" for n, v in verdicts.items()),
        "frequency (cycles over the digits)",
        "share of power",
    ),
    alt="Fourier power of the digit embeddings and unembeddings by frequency, beside random orders.",
)
waves = [name for name, spectrum in spectra.items() if spectrum.p_value < 0.01]
print("waves found: " + (", ".join(waves) or "none") + f" ({options.permutations:,} random orders)")

# %% [markdown]
# ## Claims

# %%
read_at = "after layer 0"
total = {name: float(parts.explained.sum()) for name, parts in components.items()}
best_other = 1 / config.n_digits + 0.3
claims = [
    equals("shares of variance, sum", total[read_at], 1.0, within=1e-9),
    shown("effective dimension of SEP after layer 0", components[read_at].effective_dimension),
    shown("embedding with its unembedding, mean cosine", same_digit),
]
if probes:
    chance = max(r.shuffled for r in probes.values() if r.kind == "accuracy")
    claims.append(shown("largest accuracy of a probe fitted to shuffled labels", chance))
    for name in targets:
        result = probes[read_at, name]
        claims.append(shown(f"SEP after layer 0, probe for {name} ({result.kind})", result.score))
    if config.list_len == 2:
        first, second = (probes[read_at, f"d{i}"].score for i in (1, 2))
        if preset == "seed":
            claims += [
                at_least("second digit found after layer 0", second, 0.9, applies=established),
                at_most("first digit found after layer 0", first, best_other, applies=established),
            ]
        else:
            lower = min(first, second)
            claims.append(
                at_least("less well found digit after layer 0", lower, 0.5, applies=established)
            )
if reversals:
    share, cosine = reversals[read_at].explained[0].item(), along[read_at]
    name, axis_name = (
        "reversal along one direction, share",
        "its cosine with the position difference",
    )
    if preset == "seed":
        claims += [shown(name, share), shown(axis_name, cosine)]
    else:
        claims += [
            at_least(name, share, 0.95, applies=established),
            at_least(axis_name, cosine, 0.99, applies=established),
        ]
claims += [shown(f"waves in the {name}, p-value", s.p_value) for name, s in spectra.items()]
check_claims("04_representation", claims)
