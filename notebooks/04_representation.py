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
# Parameters: change a value here, or add any other field of Config
preset: str = "seed"  # starting point, "seed" or "study"; None below keeps its value
list_len: int = None  # digits in a list
n_digits: int = None  # different digits
seed: int = None  # weights and order of the batches
retrain: bool = False  # train again even when a model of this very config is saved
drive_dir: str = None  # on Colab: keep models in this folder of your Drive
artifacts_dir: str = None  # keep models in this folder instead of artifacts/runs/checkpoints
checkpoint: str = None  # analyse this .safetensors or classic .pt instead of training
probe_lists: int = 3000  # lists that probes are fitted to and scored on, at most
permutations: int = 1000  # random orders of the digits for the Fourier spectrum

# %%
from listcomp_utils.notebook.parameters import artifacts_folder, is_established, read_parameters

config, options = read_parameters(globals())
folder = artifacts_folder(options.artifacts_dir, options.drive_dir)
established = is_established(config) and options.checkpoint is None
print(config.slug)

# %%
import pandas as pd
import torch
from sklearn.metrics.pairwise import cosine_similarity

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.hooks import run_all
from listcomp_utils.model import resolve_device
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_frame
from listcomp_utils.plots import curves as figures
from listcomp_utils.plots import diagrams, heatmaps
from listcomp_utils.representation import (
    FEWEST_PROBED,
    fourier_spectrum,
    principal_components,
    probe_table,
    reversal,
)
from listcomp_utils.task import lists_to_score

print(f"device: {resolve_device(config.device)}")
trained = load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
model = trained.model
lists = lists_to_score(config, most=10_000)
lists = torch.cat([lists, lists.flip(1)]).unique(dim=0)  # each with its reverse
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
show(
    figures.lines(
        {
            name: (
                list(range(1, len(parts.explained) + 1)),
                parts.explained.cumsum(0).tolist(),
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
    "embedding with itself": cosine_similarity(embedding),
    "unembedding with itself": cosine_similarity(unembedding),
    "embedding with unembedding": cosine_similarity(embedding, unembedding),
}
alignment = cosines["embedding with unembedding"]
same_digit = float(alignment.diagonal().mean())
other_digits = (alignment.sum() - alignment.trace()) / (alignment.size - len(alignment))
show(
    heatmaps.heatmap_panels(
        cosines,
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
planes = {name: parts.coordinates(2) for name, parts in alphabet.items()}
show(
    diagrams.point_panels(
        planes,
        {"digit": numbers},
        [str(number) for number in numbers],
        "The digits in their first two components",
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


planes = {name: parts.coordinates(2) for name, parts in components.items()}
show(
    diagrams.point_panels(
        {name: plane.iloc[shown_lists] for name, plane in planes.items()},
        {name: drawn(values) for name, values in colours.items()},
        drawn(texts),
        "The separator's vector in two components",
        show_text=False,
    ),
    alt="The separator's vectors of all lists in two principal components, after layer 0 and after the "
    "last layer, coloured by sum, digits and order.",
    main=True,
)

# %%
for name, parts in components.items():
    if len(parts.explained) < 3:
        print(f"SEP {name} has {len(parts.explained)} components: no picture in three")
        continue
    space = parts.coordinates(3)
    show(
        diagrams.points_in_space(
            space.iloc[shown_lists],
            drawn(colours["sum"]),
            drawn(texts),
            f"SEP {name}: three components hold {parts.explained[:3].sum():.0%} of the variance",
            "sum",
        ),
        alt=f"The separator's vectors {name} in three principal components, coloured by sum.",
    )
show_frame(
    pd.DataFrame(
        {
            "SEP": name,
            **{f"variance on PC{i}": s for i, s in enumerate(parts.explained[:3].tolist(), 1)},
            "effective dimension": parts.effective_dimension,
        }
        for name, parts in components.items()
    ),
    digits=3,
)

# %% [markdown]
# ## What a linear probe finds
#
# *Hypothesis:* the vector that the outputs read holds every digit. *It would be refuted* by a digit that a linear
# probe cannot find on lists it was not fitted to. Beside each score, the same probe fitted to shuffled labels.
# A probe may fail because there are too few lists, not because nothing is there: a low score is weak
# evidence, a high one is strong.

# %%
probed = torch.arange(len(lists))
if len(lists) > options.probe_lists:
    probed = torch.randperm(len(lists), generator=torch.Generator().manual_seed(1))
    probed = probed[: options.probe_lists]
targets = {f"d{i + 1}": lists[probed, i] for i in range(config.list_len)}
if config.list_len > 1:
    targets["d1 < d2"] = (lists[probed, 0] < lists[probed, 1]).int()
targets["sum"] = lists[probed].sum(1).double()
can_probe = len(probed) >= FEWEST_PROBED
if can_probe:
    at_separator = {place: vectors[probed] for place, vectors in separator.items()}
    probes = probe_table(at_separator, targets, seed=0)
    show_frame(probes, digits=3)
    show(
        figures.grouped_bars(
            pd.DataFrame(
                {
                    f"{place}{suffix}": rows[which].clip(lower=0).tolist()
                    for place, rows in probes.groupby("place", sort=False)
                    for suffix, which in (("", "score"), (", shuffled", "shuffled"))
                },
                list(targets),
            ),
            "What linear probes find at SEP on held-out lists",
            "accuracy, or R² for the sum",
        ),
        alt="Scores of linear probes at the separator after layer 0 and after the last layer, beside "
        "shuffled-label controls.",
    )
else:
    print(f"{len(probed)} lists are too few: a probe needs {FEWEST_PROBED}")

# %% [markdown]
# ## A list and its reverse
#
# Order is what tells (a, b) from (b, a). How far apart are the two vectors, against any two lists, and in how
# many directions? If the digits' sum were all that SEP held, the distance would be 0.

# %%
reversals, along = {}, {}
if config.list_len > 1:
    reversals = {name: reversal(vectors, lists) for name, vectors in separator.items()}
    if config.positions == "learned":
        positions = seen.contributions[0, 1].double()
        axis = positions[0] - positions[config.list_len - 1]
        along = {
            name: torch.cosine_similarity(r.components.directions[0], axis, dim=0).abs().item()
            for name, r in reversals.items()
        }
    show_frame(
        pd.DataFrame(
            {
                "SEP": name,
                "distance to its reverse": r.distance,
                "distance to others": r.distance_to_others,
                "share along one direction": r.components.explained[0].item(),
                "cosine of it with the position difference": along.get(name),
            }
            for name, r in reversals.items()
        )
    )
    shares = {name: r.components.explained[:10].cumsum(0) for name, r in reversals.items()}
    show(
        figures.lines(
            {name: (list(range(1, len(s) + 1)), s.tolist()) for name, s in shares.items()},
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
total = components[read_at].explained.sum().item()
dimension = components[read_at].effective_dimension  # 0 where SEP is the same for every list
best_other = 1 / config.n_digits + 0.3
claims = [
    equals("shares of variance, sum", total, 1.0, applies=dimension > 0, within=1e-9),
    shown("effective dimension of SEP after layer 0", dimension),
    shown("embedding with its unembedding, mean cosine", same_digit),
]
if can_probe:
    chance = float(probes.loc[probes["kind"] == "accuracy", "shuffled"].max())
    claims.append(shown("largest accuracy of a probe fitted to shuffled labels", chance))
    found = probes[probes["place"] == read_at]
    claims += [
        shown(f"SEP after layer 0, probe for {row.target} ({row.kind})", row.score)
        for row in found.itertuples()
    ]
    if config.list_len == 2:
        first, second = found["score"].tolist()[:2]
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


def study_claim(name, value, bound):
    """Expected of the study's model, only shown for the seed's."""
    if preset == "seed":
        return shown(name, value)
    return at_least(name, value, bound, applies=established)


if reversals:
    share = reversals[read_at].components.explained[0].item()
    claims.append(study_claim("reversal along one direction, share", share, 0.95))
if along:
    claims.append(study_claim("its cosine with the position difference", along[read_at], 0.99))
claims += [shown(f"waves in the {name}, p-value", s.p_value) for name, s in spectra.items()]
check_claims("04_representation", claims)
