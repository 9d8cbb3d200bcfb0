# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where does each position look, and why?
#
# **Answer.** With ten digits the separator looks at one digit in one layer and at the other in the
# other, and hardly cares which digits they are: attention is a fixed route. With a hundred digits and
# one-way masks it must take both digits at once, and how much of each depends on the digits' rank.
#
# **You need** nothing but the install; a shipped model is loaded. **It takes** about fifteen seconds.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/REPOSITORY/blob/main/notebooks/02_attention.ipynb)

# %% tags=["setup"]
import os
import sys

if "google.colab" in sys.modules:
    package = os.environ.get("LISTCOMP_PACKAGE", "git+https://github.com/OWNER/REPOSITORY")
    get_ipython().run_line_magic("pip", f"install -q {package}")
elif not os.environ.get("LISTCOMP_HEADLESS"):
    get_ipython().run_line_magic("load_ext", "autoreload")
    get_ipython().run_line_magic("autoreload", "2")

# %% nbmake={"mock": {"eval_every": 20, "steps": 40}} tags=["parameters"]
# Parameters: change a value here, or add any other field of Config
preset: str = "seed"  # starting point, "seed" or "study"; None below keeps its value
list_len: int = None  # digits in a list
n_digits: int = None  # different digits
n_heads: int = None  # heads a layer; must divide d_model
seed: int = None  # weights and order of the batches
retrain: bool = False  # train again even when a model of this very config is saved
drive_dir: str = None  # on Colab: keep models in this folder of your Drive
artifacts_dir: str = None  # keep models in this folder instead of artifacts/runs/checkpoints
checkpoint: str = None  # analyse this .safetensors or classic .pt instead of training
sample_list: list = None  # the list to look at closely; None: 8, 3, ...


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
established = is_established(config)
print(config.slug, "list", *example)

# %%
import pandas as pd
import torch

from listcomp_utils.ablation.edges import edge_table
from listcomp_utils.ablation.minimal_circuits import feeding_edges
from listcomp_utils.attention import (
    logit_attribution,
    logit_lens,
    score_terms,
    scores,
    weight_tables,
)
from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.hooks import run_all, score_with
from listcomp_utils.mask import build_mask, edge_label, edges
from listcomp_utils.model import resolve_device
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_attention_heads, show_frame
from listcomp_utils.plots import curves as figures
from listcomp_utils.plots import diagrams, heatmaps
from listcomp_utils.task import lists_to_score

print(f"device: {resolve_device(config.device)}")
trained = load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
model = trained.model
lists = lists_to_score(config, most=10_000)
seen = run_all(model, lists)
baseline = score_with(model, lists)
allowed = build_mask(config)
print(
    f"{trained.path.name}: {len(lists):,} of {config.n_lists:,} lists, "
    f"{baseline.per_list:.1%} copied whole"
)

# %% [markdown]
# ## One list
#
# Rows are queries, columns the keys they attend to; each row of weights sums to 1, or to 0 where the
# mask leaves nothing.

# %%
close_up = run_all(model, torch.tensor([example]))
names = {config.sep_id: "SEP", config.mask_id: "MASK"}
token_names = [names.get(token, str(token)) for token in close_up.tokens[0].tolist()]
places = [
    label if token in ("SEP", "MASK") else f"{label}({token})"
    for label, token in zip(config.labels, token_names, strict=True)
]
head_names = [
    f"layer {layer}" + (f", head {head}" if config.n_heads > 1 else "")
    for layer in range(config.n_layers)
    for head in range(config.n_heads)
]
patterns = close_up.patterns[0].flatten(0, 1).numpy()
show(
    heatmaps.heatmap_panels(
        dict(zip(head_names, patterns, strict=True)),
        places,
        places,
        "Attention on one list",
        "attention",
    ),
    alt="Attention patterns of every layer and head for the sample list.",
)

# %%
show_attention_heads(patterns, places, head_names, name="02_attention-heads")

# %% [markdown]
# ## All lists
#
# *Hypothesis:* attention follows the content, so its weights vary from list to list. *It would be
# refuted* by weights that stay the same. The picture keeps to edges that can reach an output and that
# have a choice: an edge that is alone in its row has the weight 1 always.

# %%
weights = {edge: seen.patterns[:, edge[0], :, edge[1], edge[2]].mean(1) for edge in edges(allowed)}
feeding = feeding_edges(config)
free = {
    edge: weight
    for edge, weight in weights.items()
    if edge in feeding and int(allowed[edge[0], edge[1]].sum()) > 1
}
by_edge = pd.DataFrame({edge_label(config, edge): w.numpy() for edge, w in weights.items()})
spread = by_edge.agg(["mean", "std", "min", "max"]).T
show_frame(spread.rename_axis("edge").reset_index(), digits=3)

# %%
widest = max(free, key=lambda edge: free[edge].std())
show(
    heatmaps.density_rows(
        {edge_label(config, edge): weight.numpy() for edge, weight in free.items()},
        f"{edge_label(config, widest)} varies most over lists: std {free[widest].std():.3f}",
    ),
    alt="For each allowed edge that has a choice, the distribution of its attention weight over lists.",
)

# %% [markdown]
# Which lists get how much? For lists of two digits the weight of an edge is a map over (d1, d2); the
# four edges into SEP and the outputs that vary most are shown. For other lengths, the mean weight by the
# digit at each place.

# %%
chosen = sorted(
    (edge for edge in free if edge[1] >= config.sep_position),
    key=lambda edge: -free[edge].std(),
)[:4]
if config.list_len == 2 and len(lists) == config.n_lists:
    size = (config.n_digits, config.n_digits)
    show(
        heatmaps.list_maps(
            {edge_label(config, edge): free[edge].reshape(size).numpy() for edge in chosen},
            "The weights of the edges that vary most, list by list",
            "attention",
        ),
        alt="Maps of attention weight over the first and second digit for the edges that vary most.",
    )
elif chosen:
    digits = range(config.n_digits)
    edge = chosen[0]
    show(
        figures.lines(
            {
                f"digit at d{place + 1}": (
                    list(digits),
                    [free[edge][lists[:, place] == digit].mean().item() for digit in digits],
                )
                for place in range(config.list_len)
            },
            f"Mean weight of {edge_label(config, edge)} by the digit at each place",
            "digit",
            "attention",
        ),
        alt="Mean attention weight of the edge that varies most, by digit and place.",
    )

# %% [markdown]
# ## From weights to scores
#
# A score is a query times a key over sqrt(d_head), and each of them is a sum: the token embedding, the
# position embedding, what earlier layers added, and constants. So every score splits into products of
# one part of the query and one part of the key. They are recomputed from the weights, with each list's
# own LayerNorm scale where there is LayerNorm, and must add up to the scores exactly. Below, how much
# each product moves over lists at SEP: a part that does not move cannot tell lists apart.

# %%
raw = scores(seen)
errors, spreads = [], []
for layer in range(config.n_layers):
    terms = score_terms(model, seen, layer)
    errors.append((sum(terms.values()) - raw[:, layer]).abs().max().item())
    for key in config.digit_positions:
        if allowed[layer, config.sep_position, key]:
            edge = edge_label(config, (layer, config.sep_position, key))
            spreads += [
                {
                    "query part × key part": f"{query_part} × {key_part}",
                    "edge": edge,
                    "std": term[:, :, config.sep_position, key].std(0).mean().item(),
                }
                for (query_part, key_part), term in terms.items()
            ]
print(f"largest difference between the sum of the terms and the scores: {max(errors):.1e}")
spreads = pd.DataFrame(spreads)
spreads = spreads.pivot(index="query part × key part", columns="edge", values="std").fillna(0.0)
largest = spreads.max(axis=1).sort_values(ascending=False, kind="stable").index[:10]
show_frame(spreads.loc[largest].reset_index(), digits=3)

# %% [markdown]
# The same without any list: layer 0's weight tables, tokens and positions against each other. With
# LayerNorm the values still have to be divided by the scales of query and key.

# %%
if config.positions == "rotary":
    print("with rotary positions a score depends on the distance too: there is no one table")
else:
    tables = weight_tables(model, layer=0)
    vocabulary = [names.get(token, str(token)) for token in range(config.d_vocab)]
    step = max(1, config.d_vocab // 10)
    ticks = [
        name if token % step == 0 and (step == 1 or token < config.n_digits) else ""
        for token, name in enumerate(vocabulary)
    ]
    show(
        heatmaps.heatmap_panels(
            {"query token by key token": tables["token by token"].numpy()},
            ticks,
            ticks,
            "What tokens make of each other in layer 0",
            "score part",
            signed=True,
        ),
        alt="Token by token part of the attention scores of layer 0.",
    )
    sep_row = {
        "SEP by key token": tables["token by token"][config.sep_id, : config.n_digits],
        "SEP's place by key token": tables["position by token"][
            config.sep_position, : config.n_digits
        ],
    }
    show(
        figures.lines(
            {name: (list(range(config.n_digits)), row.tolist()) for name, row in sep_row.items()},
            "What makes SEP look at a digit, by the digit",
            "digit",
            "score part",
        ),
        alt="The parts of SEP's score that depend on the digit attended to, for each digit.",
    )

# %% [markdown]
# ## What each position would say
#
# The logit lens unembeds the residual stream early. *Hypothesis:* SEP says the first digit as soon as it has
# read it. The number is the mean probability of the right next digit at each position that predicts one.

# %%
lens = logit_lens(model, seen)
predicting = list(config.prediction_positions)
at_predicting = lens[:, :, predicting].softmax(-1)
right_by_layer = at_predicting.take_along_dim(lists[:, None, :, None], dim=-1)[..., 0].mean(0)
levels = ["embedding", *(f"after layer {layer}" for layer in range(config.n_layers))]
show(
    heatmaps.heatmap_panels(
        {"probability of the right digit": right_by_layer.numpy()},
        levels,
        [f"{config.labels[p]} for o{o + 1}" for o, p in enumerate(predicting)],
        f"Before the last layer the right digit has at most {right_by_layer[:-1].max():.3f}",
        "probability",
        row_title="residual stream",
        column_title="position and the output it predicts",
    ),
    alt="Mean logit-lens probability of the right digit at each level of the residual stream.",
)

# %% [markdown]
# ## Which paths write the answer?
#
# Direct logit attribution: the logit of the right digit, less the mean over digits, split by what wrote
# it into the residual stream: embeddings, and each layer's attention from each source position.

# %%
path_names, attribution = logit_attribution(model, seen)
outputs = [f"o{o + 1}" for o in range(config.list_len)]
means = pd.DataFrame(attribution.mean(0).numpy(), index=path_names, columns=outputs)
sizes = means.abs().max(axis=1)
large = means[sizes > 0.02 * sizes.max()]
show(
    figures.grouped_bars(
        large,
        "Written by: " + ", ".join(f"{o}: {path}" for o, path in means.idxmax().items()),
        "logit of the right digit",
        value_range=None,
    ),
    alt="Mean direct contribution of each path to the logit of the right digit, for each output.",
)

# %% [markdown]
# ## The whole flow
#
# Arrows run from the position attended to, one layer up to the position that attends. Width is attention on
# the sample list, colour and number the change in accuracy per token, in points, over all lists when the
# edge is removed (zeroed, the rest of the row left as it is). Circles hold what the logit lens reads there.

# %%
without = edge_table(model, lists, ["zero"])
close_lens = logit_lens(model, close_up)[0].argmax(-1).tolist()
node_tokens = [[names.get(token, str(token)) for token in row] for row in close_lens]
arrows = [
    diagrams.Arrow(
        row.layer,
        row.query,
        row.key,
        weight=close_up.patterns[0, row.layer, :, row.query, row.key].mean().item(),
        cost=-row.change,
    )
    for row in without.itertuples()
]
costly = [arrow for arrow in arrows if arrow.cost >= 0.005]
show(
    diagrams.attention_flow(
        arrows, node_tokens, places, f"{len(costly)} of {len(arrows)} edges carry the list"
    ),
    alt="Attention flow through the layers for the sample list; arrows that matter are marked "
    "with the accuracy lost without them.",
    main=True,
)

# %% [markdown]
# ## Claims

# %%
outputs, digits = config.output_positions, config.digit_positions
leak = seen.patterns[..., outputs, :][..., digits].abs().max().item()
lens_error = (lens[:, -1] - seen.logits).abs().max().item()
at_places = seen.logits[:, predicting]
right_logit = at_places.take_along_dim(lists[..., None], dim=-1)[..., 0]
above_mean = right_logit - at_places[..., : config.n_digits].mean(-1)
attribution_error = (attribution.sum(1) - above_mean).abs().max().item()
into_sep = [edge for edge in free if edge[1] == config.sep_position and edge[2] < config.list_len]
sep_spread = max((free[edge].std().item() for edge in into_sep), default=0.0)
claims = [
    equals("attention of an output to a digit, largest", leak, 0.0),
    equals(
        "sum of the score terms against the scores, largest difference", max(errors), 0, within=1e-3
    ),
    equals("logit lens after the last layer against the logits", lens_error, 0, within=1e-3),
    equals("sum of the paths against the logits", attribution_error, 0, within=1e-3),
    shown("edges whose removal costs half a point or more", len(costly)),
    shown(
        "digit probability before the last layer, largest mean", right_by_layer[:-1].max().item()
    ),
]
# One route for every list under the seed preset, one that depends on the list under the study's.
spread_claim = at_most if preset == "seed" else at_least
claims += [
    spread_claim(
        "spread of SEP's attention to a digit (std)",
        sep_spread,
        0.1,
        applies=established and options.checkpoint is None,
    )
]
claims += [
    shown(f"mean attention {edge_label(config, edge)}", weights[edge].mean().item())
    for edge in into_sep
]
check_claims("02_attention", claims)
