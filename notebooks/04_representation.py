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
# **Answer.** A small transformer copies a list of digits, and all that it may know of the list passes through
# one token, the separator. What is in that token's vector depends on what it has to deliver. The ten-digit model
# writes its first digit at the separator itself, and its vector is nearly all second digit: of the first it holds a
# faint trace, which a probe can read although no output does. The hundred-digit model has to deliver both, and does: its
# vector holds both digits, and a list and its reverse differ in it along one direction, the
# difference of the two position embeddings, but for lists of two digits that score alike. Neither model lays its digits out in waves.
#
# **You need** nothing but the install; shipped models are loaded. It helps to have seen the mask
# (01_train). **It takes** about fifteen seconds.

# %% tags=["setup"]
import os
import sys

if "google.colab" in sys.modules:
    package = os.environ.get("LISTCOMP_PACKAGE", "")
    if not package:
        raise RuntimeError("set LISTCOMP_PACKAGE to a wheel or an address that pip installs")
    get_ipython().run_line_magic("pip", f"install -q {package}")

# %% nbmake={"mock": {"eval_every": 20, "permutations": 50, "steps": 40}} tags=["parameters"]
# Parameters: change a value here, or add any other field of Config
preset: str = "seed"  # ten digits; "study" or "ranked": a hundred. None below keeps its value
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
import sklearn.linear_model
import sklearn.metrics.pairwise
import torch

from listcomp_utils import representation
from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.config import Config
from listcomp_utils.hooks import run_all
from listcomp_utils.model import make_model
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_frame
from listcomp_utils.plots import curves, diagrams, heatmaps
from listcomp_utils.task import lists_to_score

# %% [markdown]
# ## Two models, one token
#
# The input is a list of digits, a separator and room for the copy: `d1 d2 SEP o1 o2`, where d1, d2 are the
# digits' positions, SEP is the separator and o1, o2 are the outputs. A mask forbids the outputs to look at the digits.
# At each position the model keeps a vector, the *residual stream*: the token's embedding plus the position's,
# to which each layer of attention adds what it brings from other positions. Layers are counted from 0.
#
# Two models are looked at side by side.
#
# - **The ten-digit model** (preset `seed`) writes one token after the other, *autoregressively*: each position
#   predicts the next token. So the copy's first digit is predicted *at SEP*, the second at o1.
# - **The hundred-digit model** (preset `study`) is that of Farrell, Leask and Al Moubayed, "Order by Scale" (2025). It
#   predicts both outputs at once, at their own positions, from blank tokens. SEP itself predicts nothing.
#
# The model that the parameters ask for is analysed in full; the other preset stands beside it where the two
# answers differ. What the text says it sees, it sees in the two presets as they ship; titles, tables and verdicts are of
# the model of your run. Every list is run once, and its reverse with it.

# %%
trained = load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
model, claims = trained.model, []
lists = lists_to_score(config, most=10_000)
lists = torch.cat([lists, lists.flip(1)]).unique(dim=0)  # each with its reverse
seen = run_all(model, lists)
print(f"{trained.path.name}: {len(lists):,} distinct lists of {config.n_lists:,}")

# %%
beside = Config.preset("study" if preset == "seed" else "seed")
its_model = load_or_train(beside, folder).model
its_lists = lists_to_score(beside, most=10_000)
its_seen = run_all(its_model, its_lists)
this, other = f"{config.n_digits} digits", f"beside it, {beside.n_digits} digits"
print(f"this model: {this}, {config.decoding}; {other}, {beside.decoding}")

# %% [markdown]
# ## The alphabet: how digits go in and come out
#
# Before asking what SEP holds *of the digits*, we should know what a digit is to the model. It goes in as its
# *embedding*, a row of the matrix $W_E$, and comes out as its *unembedding*, a column of $W_U$: the logit of a
# digit is the product of its unembedding with the output's vector.
#
# First, how many directions do the digits use? *Principal components* are the directions along which vectors vary
# most, each with its share of the variance. The *effective dimension* sums the shares up in one number, one over the sum
# of their squares: n for n equally large components.


# %%
def alphabet(model, n_digits):
    """Embedding and unembedding of each digit, a row a digit."""
    weights = {"embedding": model.W_E, "unembedding": model.W_U.T}
    return {name: weight[:n_digits].detach().cpu() for name, weight in weights.items()}


# %%
digits = alphabet(model, config.n_digits)
parts = {name: representation.principal_components(rows) for name, rows in digits.items()}
dimensions = {name: one.effective_dimension for name, one in parts.items()}

# %% [markdown]
# Look at how fast the curves rise: a curve that is at the top after a few components says that the digits share
# a few directions; a slow one, that each digit has a direction of its own.


# %%
def cumulative(shares):
    """One, two, three ... directions, and what so many hold together."""
    return range(1, len(shares) + 1), shares.cumsum(0).tolist()


curve = {name: cumulative(one.explained) for name, one in parts.items()}
said = ", ".join(f"{name} {size:.1f}" for name, size in dimensions.items())
title = f"Effective dimension of the {config.n_digits} digits: {said}"
alt = f"The share of variance grows with the number of components to one. {title}."
show(curves.lines(curve, title, "components", "variance explained", (0, 1.03)), alt=alt)

# %% [markdown]
# **Hypothesis 1.** A digit comes out along the direction it went in. That would be the simplest copier: attention
# moves an embedding to the output, and the unembedding recognises it. *It would be refuted* if, for most digits, the
# unembedding that lies nearest to a digit's embedding (by the cosine of their angle) were another digit's.


# %%
def recognised(weights):
    """Cosines of all embeddings with all unembeddings, and what they say of the hypothesis."""
    cosines = sklearn.metrics.pairwise.cosine_similarity(*weights.values())
    same = float(cosines.diagonal().mean())
    others = (cosines.sum() - cosines.trace()) / (cosines.size - len(cosines))
    nearest = float((cosines.argmax(1) == range(len(cosines))).mean())
    return cosines, {"same digit": same, "other digits": others, "own is nearest": nearest}


# %%
cosines, says = recognised(digits)
_, other_says = recognised(alphabet(its_model, beside.n_digits))
show_frame(pd.DataFrame([{"model": this, **says}, {"model": other, **other_says}]))
claims.append(shown("embedding with its unembedding, mean cosine", says["same digit"]))

# %% [markdown]
# In the map, the hypothesis would be a blue diagonal on a pale ground.

# %%
step = max(1, config.n_digits // 10)
labels = [str(d) if d % step == 0 else "" for d in range(config.n_digits)]
means = f"cosine {says['same digit']:+.2f}, other digits {says['other digits']:+.2f}"
title = f"A digit's embedding with its unembedding: {means}"
axes = dict(row_title="embedding of digit", column_title="unembedding of digit", signed=True)
figure = heatmaps.heatmap_panels({"": cosines}, labels, labels, title, "cosine", **axes)
show(figure, alt=f"Cosines of each digit's embedding with each unembedding: same digit, {means}.")

# %%
for name, row in ((this, says), (other, other_says)):
    verdict = "held" if row["own is nearest"] > 0.5 else "refuted"
    print(f"Hypothesis 1, {name}: {verdict}, {row['own is nearest']:.0%} of digits recognised")

# %% [markdown]
# The two models part ways here. The hundred-digit model has its values and outputs fixed (attention moves vectors
# as they are), so that its unembedding reads the embeddings themselves, and this one recognises each by its own. Even so
# that is a choice of its training: the same architecture from another start, which a question below asks for, copies every list
# and recognises hardly a digit in this sense. The ten-digit model has a matrix in each layer that
# turns what is moved, and LayerNorm before it: it is free to write digits in one code and read them in another.
# A digit's embedding says little about how the same digit looks at SEP, so that from here on we ask SEP itself.
#
# ## The separator's vector, where it can be read and where it cannot
#
# With two layers, layer 1 is where the outputs read SEP, and they read it as it stands *after layer 0*. After the last layer it
# can be read by nothing but SEP's own prediction. The authors' first notebook plotted it there. We look at both.

# %%
separator = representation.separator_vectors(config, seen)
read_at = "after layer 0"
components = {p: representation.principal_components(v) for p, v in separator.items()}
total = components[read_at].explained.sum().item()
dimension = components[read_at].effective_dimension  # 0 where SEP is the same for every list
claims += [
    equals("shares of variance, sum", total, 1.0, applies=dimension > 0, within=1e-9),
    shown("effective dimension of SEP after layer 0", dimension),
]
print(f"effective dimension of SEP {read_at}: {dimension:.2f}")
if config.n_layers > 2:
    print(f"outputs read SEP in {config.n_layers - 1} layers; what follows is of the first reading")

# %% [markdown]
# How much of the vector does one digit determine? Put the lists into groups by their first digit and replace each
# vector by the mean of its group: the variance that is left, as a share of all, is what d1 alone explains. It is 1 if
# the vector is a function of d1, and 0 if d1 makes no difference on average. What do you expect for d1
# and for d2, in each model?


# %%
def explained_by(vectors, labels):
    """Share of the vectors' variance that lies between groups of equal labels."""
    table = pd.DataFrame(vectors.double().numpy())
    return table.groupby(labels.numpy()).transform("mean").var().sum() / table.var().sum()


def explained(vectors, lists):
    """That share for each digit of the lists."""
    return {f"d{i}": explained_by(vectors, digit) for i, digit in enumerate(lists.T, start=1)}


# %%
its_separator = representation.separator_vectors(beside, its_seen)
rows = [{"model": this, "SEP": p} | explained(v, lists) for p, v in separator.items()]
rows += [{"model": other, "SEP": p} | explained(v, its_lists) for p, v in its_separator.items()]
show_frame(pd.DataFrame(rows), digits=3)

# %% [markdown]
# Read the rows *after layer 0* first. In the ten-digit model they name one digit, the second; in the hundred-digit
# model the two digits share the vector. Now the same in a picture. Each point is one list, placed by SEP's first
# two principal components. Look for panels in which a colour stays together: there the digit decides the place.

# %%
drawn = torch.arange(len(lists))
if len(lists) > 2000:
    drawn = torch.randperm(len(lists), generator=torch.Generator().manual_seed(0))[:1000]
    print(f"{len(drawn):,} of {len(lists):,} lists are drawn, at random; all are measured")
planes = {place: one.coordinates(2).iloc[drawn] for place, one in components.items()}
colours = {f"d{i + 1}": lists[drawn, i].tolist() for i in range(config.list_len)}
texts = [" ".join(map(str, row)) for row in lists[drawn].tolist()]

# %%
told = ", ".join(f"{name} {share:.0%}" for name, share in list(rows[0].items())[2:])
title = f"How much of SEP's vector after layer 0 each digit explains: {told}"
alt = (
    "SEP's vectors in two principal components, after layer 0 and after the last layer, in panels "
    f"coloured by one digit each. {title}."
)
show(diagrams.point_panels(planes, colours, texts, title), alt=alt, main=True)

# %% [markdown]
# In the ten-digit model the lists fall into clumps after layer 0, one for each second digit; the first digit moves them
# a little within each clump. (That little differs between training seeds; in one of twenty, of which 03_ablation tells, it is half.) After the last layer it is the other way round: SEP has looked at d1 to predict it.
# Other positions read the left column only. The right one is SEP's own prediction, o1; whoever looks at it alone mistakes that for what
# the separator carries. The hundred-digit model shows the same trap in the table: its SEP predicts nothing, nothing
# reads it at the end, and yet d1 explains most of it there.
#
# ## What a linear probe finds
#
# Averages can hide what is small, and two components are not the whole vector. A *linear probe* is a sharper question:
# fit a linear classifier from SEP's vectors to a digit on some lists, and score it on lists that it was not fitted to. Ours
# is *linear discriminant analysis*, which first scales every direction by how much it varies within a label, so that
# a faint trace counts as much as a strong one. For
# the sum of the digits it is a regression, scored by R² (1 is perfect, 0 no better than the mean, negative worse).
# Beside each score stand two *controls*: the same probe fitted to shuffled labels, and to the vectors of the same model before
# any training.
#
# **Hypothesis 2.** The vector that the outputs read holds every digit, however faintly. *It would be refuted* by a digit that the
# probe finds no more often than by guessing, within three standard errors. A probe may fail because there are too few lists or because of how it
# is fitted, not because nothing is there: a low score is weak evidence, a high one is strong.

# %%
probed = torch.arange(len(lists))
if len(lists) > options.probe_lists:
    probed = torch.randperm(len(lists), generator=torch.Generator().manual_seed(1))
    probed = probed[: options.probe_lists]
fresh = representation.separator_vectors(config, run_all(make_model(config), lists))[read_at]
at_separator = {place: vectors[probed] for place, vectors in separator.items()}
at_separator["untrained, after layer 0"] = fresh[probed]
targets = {f"d{i + 1}": lists[probed, i] for i in range(config.list_len)}
if config.list_len > 1:
    targets["d1 < d2"] = (lists[probed, 0] < lists[probed, 1]).int()
targets["sum"] = lists[probed].sum(1).double()

# %%
fewest = max(representation.FEWEST_PROBED, 2 * config.n_digits)
can_probe = len(probed) >= fewest and dimension > 0
if can_probe:
    probes = representation.probe_table(at_separator, targets, seed=0)
    show_frame(probes, digits=3)
else:
    print(f"{len(probed)} lists: a probe needs {fewest}, and vectors that differ")

# %% [markdown]
# In the bars, compare the places for each target, and the trained with the untrained. A bar to the left of zero is an R² below zero.

# %%
if can_probe:
    found = probes[probes["place"] == read_at]
    chance = float(probes.loc[probes["kind"] == "accuracy", "shuffled"].max())
    scores = ", ".join(f"{row.target} {row.score:.2f}" for row in found.itertuples())
    title = f"Found by probes after layer 0: {scores} (shuffled labels: at most {chance:.2f})"
    bars = probes.pivot(index="target", columns="place", values="score")
    bars = bars.loc[list(targets), list(at_separator)]
    alt = f"A bar for SEP after layer 0, after the last layer, and untrained, a target. {title}."
    show(curves.grouped_bars(bars, title, "accuracy, or R² for the sum", None), alt=alt)

# %%
if can_probe:
    guess = 1 / config.n_digits
    enough = guess + 3 * (guess * (1 - guess) / found["held_out"].iloc[0]) ** 0.5
    missing = found[found["target"].str.fullmatch(r"d\d+") & (found["score"] <= enough)]
    print("Hypothesis 2:", "refuted, not found:" if len(missing) else "held", *missing["target"])

# %%
if can_probe:
    claims.append(shown("largest accuracy of a probe fitted to shuffled labels", chance))
    claims += [
        shown(f"SEP after layer 0, probe for {row.target} ({row.kind})", row.score)
        for row in found.itertuples()
    ]

# %% [markdown]
# The hypothesis holds for both models, and says less than it seems to. In the ten-digit model both digits can be read off without
# an error, yet d1 explains under 1% of the variance there, and nothing uses it: put another list's vector in this place
# and o1 does not follow (03_ablation does so). SEP has hardly looked at d1 yet; it fetches it in layer 1. What a
# probe finds is *there*. Whether it is *used* is another question, and the size of a trace is a better hint than a probe's score: even
# random weights mix both digits into SEP so that the probe finds them, as the untrained bars show.
#
# The sum and the order of size say less still. The untrained vectors of the ten-digit model give the sum away better than the trained ones,
# and that d1 is smaller than d2 can be guessed from d2 alone in three lists of four. In the hundred-digit model the probe for d1 < d2 does
# no better than a coin. What the model has to know is not which digit is smaller but which came first, and that is the next section's.
#
# <details><summary><b>Question.</b> Would the usual probe, logistic regression, have found the first digit of the ten-digit model? Try it: in the call of
# <code>probe_table</code> replace <code>seed=0</code> by <code>seed=0, classifier=sklearn.linear_model.LogisticRegression(max_iter=2000)</code>.</summary>
# It finds d2 and never d1. Its penalty on large weights makes it look at large directions first, and d1's are faint: one would have
# written that SEP does not hold the first digit. That it does even worse than guessing comes from how the lists are split. Every list
# occurs once: for a held-out list, those with the same d2 that the probe was fitted to have every first digit
# <i>but</i> the one asked for, so that a probe that sees d2 alone guesses among the wrong ones.
# </details>

# %%
if can_probe and config.list_len == 2:
    d1_found, d2_found = found["score"].tolist()[:2]
    lower, enough = min(d1_found, d2_found), 0.9 if preset == "seed" else 0.5
    name = "less well found digit after layer 0"
    claims.append(at_least(name, lower, enough, applies=established))
    if preset == "seed":
        name, trace = "variance that the first digit explains after layer 0", rows[0]["d1"]
        claims.append(at_most(name, trace, 0.02, applies=established and config.seed == 0))

# %% [markdown]
# ## A list and its reverse
#
# A model that holds both digits must also hold their order: (a, b) and (b, a) have the same digits. Whatever tells them
# apart is in the difference of SEP's two vectors. How long is it, and does it point the same way for all lists?
#
# For the hundred-digit model it can be derived. Attention there moves vectors as they are. Write $E_t$ for the embedding
# of digit t, $P_1, P_2$ for the embeddings of the two positions, $\alpha$ for SEP's attention to the first digit (the
# second gets $1 - \alpha$), and $\alpha'$ for the same on the reversed list. Then the vectors differ by
#
# $$(\alpha + \alpha' - 1)(E_a - E_b) + (\alpha - \alpha')(P_1 - P_2) .$$
#
# If attention follows the digit and not its place, then $\alpha' = 1 - \alpha$, the first term is gone, and one
# direction is left.
#
# **Hypothesis 3.** After layer 0, a list and its reverse differ along one direction, $P_1 - P_2$. *It would be refuted* if the
# largest direction held less than 0.95 of the squared differences, or had a cosine below 0.99 with $P_1 - P_2$. The derivation
# says nothing about the ten-digit model, whose values are turned on the way: we expect it to fail. And it asks for no training: any weights
# of the hundred-digit architecture whose places add nothing to the scores of their own will do. So the same number stands beside for four untrained ones.

# %%
reversals = {}
if config.list_len > 1:
    own = representation.order_at_separator(config, seen, lists)
    reversals |= {f"{this}, SEP {place}": one for place, one in own.items()}
at_other = representation.order_at_separator(beside, its_seen, its_lists)
reversals |= {f"{other}, SEP {place}": one for place, one in at_other.items()}
share = {name: one.components.explained[0].item() for name, one in reversals.items()}

# %%
columns = {
    "to its reverse": {name: one.distance for name, one in reversals.items()},
    "to other lists": {name: one.distance_to_others for name, one in reversals.items()},
    "share of one direction": share,
    "its cosine with P1 - P2": {name: one.cosine for name, one in reversals.items()},
    "share, median, copied": {name: one.along_copied for name, one in reversals.items()},
    "share, median, failed": {name: one.along_failed for name, one in reversals.items()},
}
show_frame(pd.DataFrame(columns).rename_axis("distance of a list").reset_index())

# %% [markdown]
# Look where the curves start: one that starts at the top needs a single direction to tell all lists from
# their reverses. One that climbs needs many.

# %%
first = {name: one for name, one in reversals.items() if name.endswith(read_at)}
curve = {name: cumulative(one.components.explained[:10]) for name, one in first.items()}
told = "; ".join(f"{name.split(', SEP')[0]}: {share[name]:.1%}" for name in first)
title = f"What one direction holds of the difference between a list and its reverse: {told}"
axes = "directions", "share of the squared difference", (0, 1.03)
alt = f"Share of the squared difference by number of directions, up to ten. {title}."
show(curves.lines(curve, title, *axes), alt=alt)

# %%
for name, one in first.items():
    held = share[name] >= 0.95 and (one.cosine or 0) >= 0.99
    cosine = "no axis" if one.cosine is None else f"cosine {one.cosine:.4f}"
    print(f"Hypothesis 3, {name}: {'held' if held else 'refuted'} ({share[name]:.4f}, {cosine})")

# %%
untrained = representation.untrained_reversals(Config.preset("study"), range(4))
print("share of one direction in four untrained models:", [round(one, 2) for one in untrained])

# %% [markdown]
# In the hundred-digit model the order of a list is one number, along an axis that can be named without looking at any list: the
# next notebooks read it (05) and turn it (05, 06). The architecture allows this and does not ensure it: of the untrained models above one
# has it as well as the trained one, by the luck of its draw, and the others fall short. What it says of a model is that attention follows the digits and hardly the places, so that the first term is nearly gone.
#
# Nearly, and not everywhere. The share is one of summed squares, to which long differences count most. The last two columns
# take each pair of a list and its reverse by itself: in the median pair that the hundred-digit model copies the axis holds all but a trace of the difference, in the
# median pair of which one fails less than half. There the scores of the two digits nearly agree, what remains along $P_1 - P_2$ is small,
# and the first term is most of it. In the ten-digit model a list is as far from its reverse as from any other list,
# in as many directions as digits need, because the reverse simply has another second digit.
#
# <details><summary><b>Question.</b> Is the one direction an accident of this training? Put
# <code>Config.preset("ranked")</code> in the line of <code>beside</code>: the same architecture from another start, which copies
# every list. Guess its two numbers, then run from there.</summary>
# Both are as good as 1 again. The formula does not ask how the model was trained: with these fixed values and outputs,
# attention that follows the digits leaves $P_1 - P_2$ alone.
# </details>


# %%
def of_the_study(name, value, bound):
    """Expected of the hundred-digit model, only shown for the ten-digit one."""
    if preset == "seed":
        return shown(name, value)
    return at_least(name, value, bound, applies=established)


# %%
if config.list_len > 1:
    name = f"{this}, SEP {read_at}"
    claims.append(of_the_study("reversal along one direction, share", share[name], 0.95))
    if (cosine := reversals[name].cosine) is not None:
        claims.append(of_the_study("its cosine with the position difference", cosine, 0.99))

# %% [markdown]
# ## Are there waves over the digits?
#
# Models that learn to *add* numbers embed them as waves: the number's sine and cosine at a few frequencies (Nanda and
# others, "Progress measures for grokking", 2023). The authors' first notebook asked for such a formula here. But the
# task here is copying; digits are arbitrary symbols, and nothing asks for a wave.
#
# **Hypothesis 4.** There are none. The test takes the embeddings' power at each frequency and asks whether the largest
# share is larger than in random orders of the same digits; p is the share of random orders that do as well. *It
# would be refuted* by a p below 0.01. In the figure, a wave would be a peak far above the dashed line of its colour, the
# 95th percentile of random orders at that frequency. By chance about one point in twenty reaches its line, so that p
# compares the largest share with the largest share of each random order.

# %%
orders = options.permutations
spectra = {
    name: representation.fourier_spectrum(rows, orders, seed=0) for name, rows in digits.items()
}
claims += [shown(f"waves in the {name}, p-value", one.p_value) for name, one in spectra.items()]
waves = [name for name, one in spectra.items() if one.p_value < 0.01]
tested = ", ".join(f"{name} p = {one.p_value:.2f}" for name, one in spectra.items())
for name, rows in alphabet(its_model, beside.n_digits).items():
    p_value = representation.fourier_spectrum(rows, orders, seed=0).p_value
    print(f"{other}, {name}: p = {p_value:.2f}")

# %%
power = {}
for name, one in spectra.items():
    frequencies = range(1, len(one.power) + 1)
    power[name] = (frequencies, one.power.tolist())
    power[f"{name}, random orders"] = (frequencies, one.upper.tolist())

# %%
title = f"Waves found: {', '.join(waves) or 'none'} ({tested})"
figure = curves.lines(power, title, "frequency (cycles over the digits)", "share of power")
figure.update_xaxes(dtick=max(1, config.n_digits // 20)).update_yaxes(rangemode="tozero")
for real, usual in zip(figure.data[::2], figure.data[1::2], strict=True):
    usual.update(line_dash="dash", marker_color=real.marker.color)
alt = f"Fourier power by frequency, beside the 95th percentile of random orders. {title}."
show(figure, alt=alt)
verdict = "held" if min(config.n_digits / 7, orders / 100) >= 1 else "untested"
print("Hypothesis 4:", "refuted" if waves else verdict, f"({orders:,} random orders)")

# %% [markdown]
# <details><summary><b>Question.</b> Would this test notice a wave? Plant one: replace <code>rows</code> in the call of
# <code>fourier_spectrum</code> by <code>torch.sin(6 * torch.pi * torch.arange(config.n_digits) / config.n_digits)[:, None]</code>, three cycles over the digits.</summary>
# It does: hardly any random order of a sine is as regular, so that p falls to nearly the smallest value that so many orders
# allow. Finding nothing in the model's own embeddings is therefore more than blindness, though a weak wave among ten digits
# could still be missed.
# </details>
#
# ## What we know now
#
# SEP's vector holds mostly what other positions will fetch from it. In the ten-digit model that is the second digit, and where
# one looks for it matters: after the last layer the same token shows the first. In the hundred-digit model it is both
# digits, one of them weighing more, and which came first is one number along $P_1 - P_2$.
#
# *Open:* a probe says what can be read, not what the model reads: here it found a digit that nothing reads. Exchanging one list's
# vector for another's (03_ablation) tests that, and 05_circuit goes on from here: how attention makes that number, and how the outputs use it.
#
# ## Claims

# %%
check_claims("04_representation", claims)
