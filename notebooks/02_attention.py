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
# **Answer.** A small transformer reads a few digits and a separator, and then writes the digits again. Its
# mask lets the copies see the separator but never the digits, so everything they need must pass through
# that one token. With ten digits the separator looks at one digit in one layer and at the other in the
# other, and hardly cares which digits they are: attention is a fixed route. With a hundred digits and
# one-way masks it must take both digits at once, and how much of each depends on the digits' rank, an order
# that can be read off the weights without running a single list.
#
# **You need** nothing but the install; shipped models are loaded. Notebook 01 shows how they are trained.
# **It takes** about fifteen seconds to run and twenty minutes to read.

# %% tags=["setup"]
import os
import sys

if "google.colab" in sys.modules:
    package = os.environ.get("LISTCOMP_PACKAGE", "")
    if not package:
        raise RuntimeError("set LISTCOMP_PACKAGE to a wheel or an address that pip installs")
    get_ipython().run_line_magic("pip", f"install -q {package}")

# %% nbmake={"mock": {"eval_every": 20, "steps": 40}} tags=["parameters"]
# Parameters: change a value here, or add any other field of Config
preset: str = "seed"  # ten digits; "study" or "ranked": a hundred. None below keeps its value
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

from listcomp_utils import attention
from listcomp_utils.ablation.edges import edge_table
from listcomp_utils.ablation.minimal_circuits import feeding_edges
from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.order_axis import order_axis
from listcomp_utils.config import Config
from listcomp_utils.hooks import run_all, score_with
from listcomp_utils.mask import build_mask, edge_label, edges
from listcomp_utils.model import make_model
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_attention_heads, show_frame
from listcomp_utils.plots import curves, diagrams, heatmaps
from listcomp_utils.task import lists_to_score

# %% [markdown]
# ## The model and its positions
#
# The **ten-digit model** (the preset "seed") copies lists of two out of ten digits. Its input is a row of tokens,
# and we name their places: the list's digits are **d1, d2**, then comes the separator **SEP**, then the copies
# **o1, o2**. It predicts the next token, so SEP must answer with the first digit and o1 with the second.
# The **hundred-digit model** (the preset "study") follows Farrell, Leask and Al Moubayed, "Order by Scale" (2025),
# here called the study. Its copies start as MASK tokens, and each answers for itself. We meet it further down.
# What the text says it sees, it sees in these two as they ship; titles, tables and verdicts are of the model of your run.
#
# Both models have layers of attention and nothing else. In each layer every position, the *query*, looks at some
# positions, the *keys*, with weights that sum to 1, and adds what it sees there to its own vector. That
# vector, which grows from layer to layer, is called the *residual stream*. We run the model on all its lists, and
# on one of them that we shall follow by eye.

# %%
trained = load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
model = trained.model
lists = lists_to_score(config, most=10_000)
seen, close_up = run_all(model, lists), run_all(model, torch.tensor([example]))
right = score_with(model, lists).per_list
print(f"{trained.path.name}: {len(lists):,} of {config.n_lists:,} lists, {right:.1%} copied whole")

# %% [markdown]
# ## One list
#
# What we want to know first is the route. In the ten-digit model the separator has two layers in which to read two
# digits, and it must answer with the *first* digit before o1 can answer with the second.
#
# <details><summary><b>Question.</b> Which digit will SEP read in which layer? And would the list written the
# other way round be read differently? Guess, then set <code>sample_list</code> in the parameters cell to
# <code>[3, 8]</code>.</summary>
# Layer 0 must bring the second digit: o1 answers with it after layer 1, may not look at it, and finds in
# layer 1 only what SEP held before. The first digit is wanted at SEP itself and only at the end, so either layer
# would do; this model reads it in layer 1. The list turned round lights up the same cells, because the route belongs
# to the places and not to the digits.
# </details>
#
# In the figure rows are queries and columns keys. Each row of weights sums to 1, or to 0 where the mask leaves
# nothing. Look at the row SEP: which column is dark in each layer, and how much stays with SEP itself?

# %%
names = {config.sep_id: "SEP", config.mask_id: "MASK"}
tokens = [names.get(token, str(token)) for token in close_up.tokens[0].tolist()]
places = [
    label if token in names.values() else f"{label}({token})"
    for label, token in zip(config.labels, tokens, strict=True)
]

# %%
layers_heads = [(at, head) for at in range(config.n_layers) for head in range(config.n_heads)]
head_names = [
    f"layer {at}" + (f", head {head}" if config.n_heads > 1 else "") for at, head in layers_heads
]

# %%
patterns = close_up.patterns[0].flatten(0, 1).numpy()
digits = close_up.patterns[0, :, :, config.sep_position, : config.list_len].mean(1)
read = [config.labels[place] for place in digits.argmax(-1).tolist()]
title = "SEP's favourite digit: " + ", ".join(f"{d} in layer {at}" for at, d in enumerate(read))
panels = dict(zip(head_names, patterns, strict=True))
show(
    heatmaps.heatmap_panels(panels, places, places, title, "attention"),
    alt=f"Attention patterns of every layer and head for the sample list. {title}.",
)

# %% [markdown]
# The title says which digit SEP prefers in each layer; the dark cells in the rows of the outputs show them
# looking at SEP. The same patterns can be played with, token by token:

# %%
show_attention_heads(patterns, places, head_names, name="02_attention-heads")

# %% [markdown]
# ## All lists
#
# One list may mislead. *Hypothesis:* attention follows the content, so that SEP's weights vary from list to list.
# It *would be refuted* by weights that stay the same: say, if no weight from SEP to a digit has a standard deviation
# (std) over lists above 0.1. Weights lie between 0 and 1, and tossing a coin between the ends would give 0.5.
#
# An **edge** is one query looking at one key in one layer, written `L0 SEP<-d2`: in layer 0, SEP attends to d2. (Where
# a layer has several heads, its weight is the mean of theirs, and what one head varies another may hide.) We
# keep to the edges that can reach an answer and that have a choice: an edge alone in its row always has weight 1.

# %%
allowed = build_mask(config)
weights = {edge: seen.patterns[:, edge[0], :, edge[1], edge[2]].mean(1) for edge in edges(allowed)}
has_choice = [edge for edge in feeding_edges(config) if allowed[edge[0], edge[1]].sum() > 1]
free = {edge_label(config, edge): weights[edge].numpy() for edge in has_choice}
into_sep = [edge for edge in has_choice if edge[1] == config.sep_position > edge[2]]
sep_spread = max((weights[edge].std().item() for edge in into_sep), default=0.0)
spread = pd.DataFrame(free).agg(["mean", "std", "min", "max"]).T
show_frame(spread.rename_axis("edge").reset_index(), digits=3)

# %% [markdown]
# The same as a picture. Every row is an edge and its lists are sorted into narrow bins: a single dark cell means
# that all lists get the same weight, a smear that lists differ. Look at the rows that start with SEP.

# %%
title = f"SEP's attention to a digit varies little: std at most {sep_spread:.3f}"
if sep_spread > 0.1:
    title = f"SEP's attention to a digit varies over lists: std up to {sep_spread:.3f}"
show(
    heatmaps.density_rows(free, title),
    alt=f"For each edge that has a choice, the distribution of its weight over lists. {title}.",
)

# %%
verdict = "held" if sep_spread > 0.1 else "refuted"
fresh = run_all(make_model(config), lists).patterns.mean(2)
at_start = max((fresh[:, at, q, k].std().item() for at, q, k in into_sep), default=0.0)
print(f"attention follows the content: {verdict} (largest std at SEP {sep_spread:.3f})")
print(f"before training that was {at_start:.3f}")

# %% [markdown]
# In the ten-digit model, training *made* the route a fixed one: the random weights that it began with moved attention more.
# Is a small spread still a pattern? We take the edge into SEP that varies most. For lists of two digits its weight
# is a map, first digit down and second digit across; for longer lists we show its mean by the digit at each
# place. Look for rows or columns that stand out, and at how far the numbers are from each other.

# %%
widest = max(into_sep, key=lambda edge: weights[edge].std(), default=has_choice[0])
weight, label = weights[widest], edge_label(config, widest)
title = f"{label} varies most into SEP: from {weight.min():.2f} to {weight.max():.2f}"
if config.list_len == 2 and len(lists) == config.n_lists:
    by_digits = {label: weight.reshape(config.n_digits, -1).numpy()}
    figure = heatmaps.list_maps(by_digits, title, "attention")
else:
    at = range(config.n_digits)
    means = {
        f"digit at d{place + 1}": (at, [weight[lists[:, place] == d].mean().item() for d in at])
        for place in range(config.list_len)
    }
    figure = curves.lines(means, title, "digit", "mean attention", (0, 1), points=list(means))
show(figure, f"Weight of one edge by the list's digits. {title}.", interactive=len(lists) < 1000)

# %% [markdown]
# In the ten-digit model, whatever the digits are, the route stays. What little the weight moves has some structure by
# digit, but it is far from deciding what SEP reads.
#
# ## From weights to scores
#
# Why does SEP look where it looks? A weight comes from a *score*, the product of a query and a key divided by
# $\sqrt{d_{head}}$ (the head's width); a softmax turns a row of scores into weights. Query and key are themselves
# sums: of the token's embedding, of its position's embedding, of what earlier layers added, and of constants
# ("bias"). So every score splits into products of one part of the query and one part of the key. They are
# recomputed from the weights, with each list's own LayerNorm scale where the model has LayerNorm, and must add up to
# the scores exactly.
#
# *Expectation:* a product that does not move over lists cannot tell them apart; if the route is fixed, the key's *token* may
# move SEP's layer-0 scores only a little, beside what the *place* sets. *Refuted* if the digits move a score by more
# than the two places differ. The table shows each product's std over lists.

# %%
term_errors, spreads, raw = [], {}, attention.scores(model, seen)
for layer in range(config.n_layers):
    terms = attention.score_terms(model, seen, layer)
    term_errors.append((sum(terms.values()) - raw[:, layer]).abs().max().item())
    for key in config.digit_positions:
        spreads[edge_label(config, (layer, config.sep_position, key))] = {
            f"{mine} × {theirs}": term[:, :, config.sep_position, key].std(0).mean().item()
            for (mine, theirs), term in terms.items()
        }
print(f"largest difference between the sum of the terms and the scores: {max(term_errors):.1e}")
spreads = pd.DataFrame(spreads).fillna(0.0).rename_axis("query part × key part")
largest = spreads.max(axis=1).sort_values(ascending=False, kind="stable").index[:8]
show_frame(spreads.loc[largest].reset_index(), digits=3)

# %%
at_sep = raw[:, 0, :, config.sep_position, : config.list_len].mean(1)
by_place, by_digit = at_sep.mean(0), (at_sep.amax(0) - at_sep.amin(0)).max().item()
apart = (by_place.max() - by_place.min()).item()
print("layer 0, mean score of each place:", [round(score, 3) for score in by_place.tolist()])
print(f"places differ by {apart:.3f}, a place's score over lists by {by_digit:.3f} at most")
print("the place outweighs the digit:", "held" if apart > by_digit else "refuted")

# %% [markdown]
# In layer 1 of the ten-digit model everything moves more, because SEP's own vector now holds what it read: the products with "layer 0 output" lead
# the table. They partly cancel, though, and the first digit leads the others by several times what is left: after the softmax the
# weights hardly change, as we saw above.
#
# ## A hundred digits
#
# In the hundred-digit model masks are one-way: no position but the first may look at itself, and outputs see
# nothing in layer 0. That leaves SEP one layer to read in, as the list of its edges that can reach an answer shows.
# *Expectation:* a mixture of two digits, half and half, cannot say which came first, and no other fixed mixture is enough for the outputs
# either (08_construction proves it), so here attention must depend on the digits. *Refuted* by a std below 0.1 again. As attention
# may depend on the digits before any training, the same number stands beside for random weights.

# %%
hundred = Config.preset("study")
large = load_or_train(hundred, folder).model
pairs = lists_to_score(hundred, most=10_000)
runs = run_all(large, pairs)
reads = [edge for edge in feeding_edges(hundred) if edge[1] == hundred.sep_position]
to_d1 = runs.patterns[:, 0, 0, hundred.sep_position, 0].reshape(hundred.n_digits, -1)
print("SEP reads by", ", ".join(edge_label(hundred, edge) for edge in reads))
starts = [order_axis(weights_of(make_model(hundred.replace(seed=s)))) for s in range(8)]
print(f"attention to d1: {to_d1.min():.2f} to {to_d1.max():.2f}, std {to_d1.std():.3f}")
print(f"the same before training: std {starts[0].attention(*pairs.T).std():.3f}")
print("attention follows the content:", "held" if to_d1.std() > 0.1 else "refuted")

# %% [markdown]
# So it does, as random weights do: here training kept attention free to follow the digits, where the ten-digit model's training fixed it.
#
# On what does it depend? Without LayerNorm the score of a digit is a fixed number, read off the weights: the query
# of SEP (its token and its place) times the key of the digit's token. Call it $s_t$ for digit $t$. The two places add
# numbers of their own, which differ by c, and SEP's attention to the first of two digits a, b is the sigmoid of $s_a - s_b + c$. Sorted by $s_t$ the map must be
# smooth, whatever the weights. What may fail is that c be small beside the scores, so that
# the digit of larger $s_t$ gets more than half whether it stands first or second.
#
# <details><summary><b>Question.</b> What does the map look like when the digits stand in their usual order? Replace
# <code>rank.argsort()</code> by <code>torch.arange(hundred.n_digits)</code> and guess first.</summary>
# Stripes without order: each digit has its own row and column, pale or dark, but neighbours in value are strangers to
# each other. The model knows digits as mere names, so the order by which it sorts them is its own, made in training: the last number
# printed below says how little of it was there in the weights it began with.
# </details>
#
# Each cell is a list: d1 down, d2 across, both in the order of $s_t$. Look at how the colour changes along a row, and at
# the diagonal, where the two digits are the same.

# %%
axis = order_axis(weights_of(large))
rank = axis.scores
order = rank.argsort()
first, second = pairs[pairs[:, 0] != pairs[:, 1]].T


def more_to_the_higher(scored):
    """In how many of the lists the digit of larger score gets more than half."""
    more = scored.attention(first, second) > 0.5
    return (more == (scored.scores[first] > scored.scores[second])).float().mean().item()


agree, agreed = more_to_the_higher(axis), [more_to_the_higher(one) for one in starts]
print(f"the places differ by c = {abs(axis.offset):.3f}, the digits by a std of {rank.std():.3f}")
print(f"attention to d1 where both digits are the same: {to_d1.diagonal().mean():.3f}")
alike = pd.Series(rank).corr(pd.Series(starts[0].scores), method="spearman")
print(f"before training, eight seeds: in {min(agreed):.0%} to {max(agreed):.0%} of the lists")
print(f"this seed's order of the scores before training correlates by {alike:.2f}")

# %%
title = f"The higher-ranked digit gets more than half of SEP's attention, in {agree:.1%} of lists"
figure = heatmaps.list_maps({"SEP's attention to d1": to_d1[order][:, order]}, title, "attention")
figure.update_xaxes(title_text="d2, by rank").update_yaxes(title_text="d1, by rank")
alt = f"SEP's attention to d1 for all lists: a smooth slope from low to high rank of d1. {title}."
show(figure, alt=alt, interactive=False)

# %% [markdown]
# The map is a smooth slope: what SEP gives to d1 grows with the rank of d1 and falls with the rank of d2, and on the
# diagonal, where only the place is left to decide, it stays near one half. Here the digits outweigh the places, the
# reverse of the ten-digit model; in random weights it is a matter of luck, as the range over eight of them says. Training makes the places alike, and an order of the digits of its own. So a digit has nearly the same share in a list and in its reverse; what changes with the
# order is the share of each *place*, whose embedding SEP takes in together with the digit's. 04_representation measures this, and how the outputs
# make digits of it is the subject of 05_circuit; we go on with the model chosen at the top.
#
# ## What each position would say
#
# The **logit lens** applies the unembedding, which turns the last vectors into a score for each token (*logits*), to
# the residual stream before the last layer too. *Hypothesis:* what SEP has read, it says: after layer 0 the lens at SEP should favour a
# digit of the list. *Refuted* if no digit of the list gets twice its chance, which is one out of all digits. How often each is
# the *least* probable of all stands beside.

# %%
lens = attention.logit_lens(model, seen)
lens_error = (lens[:, -1] - seen.logits).abs().max().item()
lens_at_sep = lens[:, 1, config.sep_position]
said = lens_at_sep.softmax(-1).gather(1, lists).mean(0)
least = (lens_at_sep[:, : config.n_digits].argmin(1, keepdim=True) == lists).float().mean(0)
print("SEP after layer 0, mean probability of each digit:", [round(p, 4) for p in said.tolist()])
print("the least probable of all in so many of the lists:", [round(p, 3) for p in least.tolist()])
print("it says what it read:", "held" if said.max() > 2 / config.n_digits else "refuted")
print(f"after the last layer the lens differs from the logits by {lens_error:.1e}")

# %% [markdown]
# The next figure asks the same of each position that predicts an output, at each level: how probable is the right
# digit? Look for the level where the colour appears.

# %%
predicting = list(config.prediction_positions)
sure = lens[:, :, predicting].softmax(-1)
right_by_layer = sure.take_along_dim(lists[:, None, :, None], dim=-1)[..., 0].mean(0)
early = right_by_layer[:-1].max().item()
levels = ["embedding", *(f"after layer {layer}" for layer in range(config.n_layers))]
asked = [f"{config.labels[p]} for o{o + 1}" for o, p in enumerate(predicting)]
panel = {"probability of the right digit": right_by_layer.numpy()}
axes = dict(row_title="residual stream", column_title="position and the output it predicts")
title = f"Before the last layer the right digit has at most {early:.3f}"
figure = heatmaps.heatmap_panels(panel, levels, asked, title, "probability", **axes)
show(figure, alt=f"Mean logit-lens probability of the right digit at each level. {title}.")

# %% [markdown]
# In the ten-digit model the answer appears in the last layer only. Until then the lens does not say what SEP has read, it rules it out: the second
# digit is the least probable of all in every list. (That is this seed's way. In others it is so in a part of the lists, in some no oftener than by chance.) SEP holds it in a code that layer 1 turns; notebook 04
# looks at that vector.
#
# ## Which paths write the answer?
#
# The lens says when, not who. The logits are a sum too: *direct logit attribution* splits the logit of the right digit,
# less the mean over all digits, by what wrote it into the residual stream: the embeddings ("token", "position"), the
# constants, and each layer's attention from each source, so that "L1 from d1" is what layer 1 fetched from d1.
# *Expectation:* one path for each output; *refuted* by a longest path with less than nine tenths of what helps. Look for the longest bar of each colour.

# %%
path_names, attribution = attention.logit_attribution(model, seen)
outputs = [f"o{o + 1}" for o in range(config.list_len)]
means = pd.DataFrame(attribution.mean(0).numpy(), index=path_names, columns=outputs)
sizes = means.abs().max(axis=1)
helps = means.clip(lower=0).sum()
share = (means.max() / helps).where(helps > 0.01 * helps.max())  # nan: nothing helps this output
longest = means[share.dropna().index].idxmax()
paths = (f"{path} {share[output]:.0%} for {output}" for output, path in longest.items())
title = "Of what helps the right digit: " + ", ".join(paths)
bars = means[sizes > 0.02 * sizes.max()]
show(
    curves.grouped_bars(
        bars, title, "added to the logit of the right digit, mean", value_range=None
    ),
    alt=f"Mean direct contribution of each path to the logit of the right digit. {title}.",
)

# %%
print("share of the longest path in all that helps:", share.round(3).to_dict())
print("one path for each output:", "held" if (share > 0.9).all() else "refuted")

# %%
at_places = seen.logits[:, predicting]
right_logit = at_places.take_along_dim(lists[..., None], dim=-1)[..., 0]
above_mean = right_logit - at_places[..., : config.n_digits].mean(-1)
attribution_error = (attribution.sum(1) - above_mean).abs().max().item()
print(f"largest difference between the sum of the paths and the logits: {attribution_error:.1e}")

# %% [markdown]
# ## The whole flow
#
# Attention says what a position looks at, not whether that matters. So we remove edges one at a time (the weight is
# set to zero and the rest of the row left as it is) and count the outputs that are still right over all lists. A **point**
# is one hundredth of them. *Expectation:* the route found above carries the list and most other edges are idle;
# *refuted* if, of the edges that can reach an answer, half or more cost half a point each.
#
# Arrows run from the position attended to, one layer up, to the position that attends. Width is attention on the
# sample list; number and colour are the points lost without the edge, over all lists (a few points still look grey).
# A circle holds a digit as soon as the lens reads the right answer there. In a model that predicts the next token
# an answer stands one place *before* its output: SEP's circle holds the first digit, o1's the second. Look for a wide
# grey arrow (watched, but idle) and a thin coloured one (hardly watched, but needed).

# %%
without = edge_table(model, lists, ["zero"])
circles = attention.right_so_far(model, torch.tensor([example]))
watched = close_up.patterns[0].mean(1)
arrows = without.assign(weight=watched[allowed].numpy(), cost=-without.change)

# %%
costly, able = (arrows.cost >= 0.005).sum(), len(feeding_edges(config))
title = f"{costly} of the {able} edges that can reach an output carry the list"
show(
    diagrams.attention_flow(arrows, circles, places, title),
    alt=f"Attention flow through the layers for the sample list: {title}, and are marked with the "
    "accuracy lost without them.",
    main=True,
)
print("most edges are idle:", "held" if costly < able / 2 else "refuted")

# %% [markdown]
# In the ten-digit model the numbered arrows from d2 by way of SEP to o1, and from d1 to SEP, are the route. Other numbered ones are a position's look at
# itself: they bring no digit anywhere, but without them the vector that is fetched from there is another one.
# Width is a poor guide: the arrow from d2 to SEP is thin, and needed.
#
# <details><summary><b>Question.</b> Which edge would you cut to lose the second output and keep the first? Change
# <code>cut</code> below: layer, query, key, with places counted from 0, so that SEP is
# <code>config.sep_position</code>.</summary>
# In the ten-digit model <code>(0, config.sep_position, 1)</code>: layer 0 brings d2 to SEP, where o1 fetches it in layer 1. The edge
# has a small weight, and all of the second output hangs on it. Cutting SEP's view of d1 in layer 1 does the opposite.
# </details>

# %%
cut = (1, config.sep_position, 0) if config.n_layers > 1 else (0, config.sep_position, 0)
lost = without[without.edge == edge_label(config, cut)]
show_frame(lost[["edge", "per_token", *outputs]], digits=3)

# %% [markdown]
# ## What we know now
#
# In the ten-digit model the two layers take turns, and the digits' places decide; in the hundred-digit model, with one layer to read in,
# the mixture of both digits depends on their rank. **Open** is what stays after several edges are cut together,
# whether other random seeds find the same route (03_ablation), in which code SEP holds what it read
# (04_representation), and how an uneven mixture becomes two digits in the right order (05_circuit).
#
# ## Claims
#
# The numbers above, checked. Four hold for any weights: no output looks at a digit, and three sums are exact. One differs between
# the presets: a single route for every list with ten digits, one that depends on the list with a hundred.

# %%
leak = seen.patterns[..., config.output_positions, :][..., config.digit_positions].abs().max()
largest = seen.logits.abs().max().item()
near = 1e-3 if largest < 1e3 else 1e-4 * largest  # float32 carries no more of large logits
what = "sum of the score terms against the scores, largest difference"
claims = [
    equals("attention of an output to a digit, largest", leak.item(), 0.0),
    equals(what, max(term_errors), 0, within=1e-3),
    equals("logit lens after the last layer against the logits", lens_error, 0, within=near),
    equals("sum of the paths against the logits", attribution_error, 0, within=near),
    shown("edges whose removal costs half a point or more", int(costly)),
    shown("digit probability before the last layer, largest mean", early),
]

# %%
applies = established and options.checkpoint is None
expected = at_most if preset == "seed" else at_least
claims += [expected("spread of SEP's attention to a digit (std)", sep_spread, 0.1, applies=applies)]
for edge in into_sep:
    claims.append(shown(f"mean attention {edge_label(config, edge)}", weights[edge].mean().item()))
check_claims("02_attention", claims)
