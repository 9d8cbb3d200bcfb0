# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which parts are needed, and does one vector decide the whole list?
#
# **Answer.** Few parts are needed. A small model that copies two digits out of ten gets by with a handful of
# its attention edges. All its training runs share that handful: two of these edges the mask demands, the others
# are the training's choice. Some runs need up to twice as many. Attention averaged over all lists, which cannot
# depend on the digits, copies as well as the real one in nearly every run. And in this model *no* one vector
# decides the list: the separator fetches the second digit in layer 0, as the mask demands, and in nearly every
# run it fetches the first in layer 1. A larger model, with a hundred digits and a mask that leaves no such way
# around, has to pack both into one vector, and does.
#
# **You need** nothing but the install. Helpful: what the task and the mask are (01_train). **It takes** about a
# minute, most of it for training twenty models.

# %% tags=["setup"]
import os
import sys

if "google.colab" in sys.modules:
    package = os.environ.get("LISTCOMP_PACKAGE", "")
    if not package:
        raise RuntimeError("set LISTCOMP_PACKAGE to a wheel or an address that pip installs")
    get_ipython().run_line_magic("pip", f"install -q {package}")

# %% nbmake={"mock": {"draws": 2, "eval_every": 20, "n_seeds": 2, "steps": 40}} tags=["parameters"]
# Parameters: change a value here, or add any other field of Config
preset: str = "seed"  # ten digits; "study" or "ranked": a hundred. None below keeps its value
list_len: int = None  # digits in a list
n_digits: int = None  # different digits
retrain: bool = False  # train again even when a model of this very config is saved
drive_dir: str = None  # on Colab: keep models in this folder of your Drive
artifacts_dir: str = None  # keep models in this folder instead of artifacts/runs/checkpoints
checkpoint: str = None  # analyse this .safetensors or classic .pt instead of training
sample_list: list = None  # the one list that is looked at closely; None: 8, 3, ...
draws: int = 20  # draws of each random intervention
n_seeds: int = 20  # training seeds to compare; long trainings only where already done

# %%
from listcomp_utils.notebook import parameters

config, options = parameters.read_parameters(globals())
folder = parameters.artifacts_folder(options.artifacts_dir, options.drive_dir)
example = parameters.example_list(config, options.sample_list)
shipped_model = options.checkpoint is None
established = parameters.is_established(config) and shipped_model
print(config.slug)

# %%
import pandas as pd

from listcomp_utils import checkpoints, hooks, mask, task
from listcomp_utils.ablation import edges, interchange, interventions, minimal_circuits, seeds
from listcomp_utils.ablation.edges import REMOVALS
from listcomp_utils.model import make_model
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_frame
from listcomp_utils.plots import curves, diagrams, heatmaps
from listcomp_utils.sweeps.table import read_table

# %% [markdown]
# ## The model, and the words for its parts
#
# The model reads a list and a separator, and writes the list again: `d1 d2 SEP o1 o2`, where `d1` and `d2` are
# the digits, SEP the separator and `o1`, `o2` the outputs. The rule that makes the task is the *mask*: no output
# may look at a digit, so that everything the outputs know has passed through SEP.
#
# Two models run through this series. The **ten-digit model** (preset `seed`) comes from the notebook that
# started the work; it writes one output after another and sees what it has written. The **hundred-digit model**
# (preset `study`) is that of Farrell, Leask and Al Moubayed, "Order by Scale" (2025), called *the study* below. This
# page shows the ten-digit model unless you change `preset`; what the text says it sees, it sees in these two as they
# ship, and titles, tables and verdicts are of the model of your run.
#
# An **edge** is one position attending to another in one layer, by all of its heads: `L0 SEP<-d2` says that in layer 0
# SEP looks at d2. To **ablate** a part is to take it out, or to put something else in its place, and to see what breaks. What
# we count is accuracy: the share of outputs right (*per token*) and of lists right as a whole (*per list*).

# %%
trained = checkpoints.load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
model, claims = trained.model, []

# %% [markdown]
# Where some lists were kept out of training, we count on those. `claims` gathers what this page asserts; the last
# cell checks it.

# %%
# A long list has hundreds of parts, each removed in turn: fewer lists then.
most = 10_000 if config.list_len <= 5 else 500
held_out = task.split_lists(config).held_out[:most]
lists = held_out if len(held_out) else task.lists_to_score(config, most)
search_lists, exhaustive = minimal_circuits.within_reach(config, lists)
baseline = hooks.score_with(model, lists)
print(f"{len(lists):,} {'held-out lists' if len(held_out) else 'of all lists'}, right per token:")
print(f"{baseline.per_token:.4f}, per list: {baseline.per_list:.4f}, loss {baseline.loss:.4f}")

# %% [markdown]
# **First, does the knife cut only where it should?** Put every attention pattern back in its own place: nothing
# may change, not by one bit. If the logits (the model's scores for each next token) moved, everything below
# would be worthless.

# %%
patterns = hooks.run_all(model, search_lists).patterns
hook = "blocks.{}.attn.hook_pattern".format
own_patterns = [(hook(at), hooks.replace(patterns[:, at])) for at in range(config.n_layers)]


# %%
def logits_moved(edit):
    untouched = hooks.logits_with(model, search_lists)
    return (hooks.logits_with(model, search_lists, edit) - untouched).abs().max().item()


null = logits_moved(own_patterns)
print(f"largest change of a logit: {null:g}")
claims += [equals("logits moved by putting each pattern in its own place", null, 0.0)]

# %% [markdown]
# ## What should be measured?
#
# The notebook that started the work judged an ablation by the loss of one list, taken over all its positions.
# The loss is the surprise at the right token, in nats (natural units of information; 0 is no surprise). But a
# list's digits are drawn at random and cannot be foreseen. The hundred-digit model was not even trained to predict them.
# **We expect** that loss to be a poor judge of the copy: an edit that ruins the copy can even lower it. **It
# would be refuted** if no edit that leaves under half of the outputs right did so; the end of this page
# counts them. Here, look at which position holds the loss. A position is named for what is read there (in the ten-digit
# model it predicts what comes next, so that o1 is written at SEP).

# %%
by_position = interventions.loss_by_position(model, example)
predicts_outputs = [config.labels[place] for place in config.prediction_positions]
noise = 1 - by_position[predicts_outputs].sum() / by_position.sum()
show_frame(by_position.rename_axis("read at").reset_index(name="loss (nats)"))
print(f"{noise:.1%} of the loss on {list(example)} is at positions that predict no output")

# %% [markdown]
# So from here on every list counts, not one, and only the outputs do.
#
# ## Does attention have to depend on the digits?
#
# A head gives each position a *pattern*: weights that sum to one over the positions it may look at. We put
# another pattern in its place, a layer at a time or all at once: *uniform* (every allowed position alike), *random*,
# the pattern *of another list*, or the *mean over lists*. The last keeps where the model looks on average, and
# removes all that depends on the digits in front of it.
#
# **We expect** attention to follow content, as that is what attention is known for: the mean should cost
# accuracy. **It would be refuted** if the mean in all layers cost less than half a point (a *point* is one per
# cent of the outputs). In the figure, compare the bars of the mean with the dashed line, the untouched model. Thin
# lines are the spread over random draws.

# %%
entries = interventions.catalogue(model, lists, options.draws, seed=0)
scored = interventions.what_each_costs(model, lists, entries, example)
on_patterns = scored[scored.group == "attention pattern"].sort_values("per_token", kind="stable")
bars = on_patterns.set_index("intervention")
uniform, average = bars.per_token[["all layers: uniform", "all layers: mean over lists"]]

# %%
layers = [name.split(":")[0] for name in bars.index]
title = f"Average attention gets {average:.0%} of the outputs right, uniform {uniform:.0%}"
figure = diagrams.ranked_bars(
    bars.per_token, bars.per_token_sd, layers, title, "share of outputs right", baseline.per_token
)
show(figure, alt=f"Share of outputs right with other attention patterns. {title}.")

# %%
cost = 100 * (baseline.per_token - average)
harmless = on_patterns[on_patterns.per_token >= baseline.per_token - 0.005].intervention
print(f"the mean in all layers costs {cost:.2f} points: attention must follow the digits:")
print("refuted" if cost < 0.5 else "held")
print("replaced at no cost:", "; ".join(harmless) or "none")

# %% [markdown]
# Where a head looks matters much: uniform or random weights ruin the copy. For the ten-digit model it does not
# matter that it looks differently at different lists. Its attention is plumbing: fixed pipes, through which
# the digits flow. (Other training seeds are counted further down.) The hundred-digit model is the
# opposite (try `preset = "study"`), and 05_circuit shows why: its separator weighs two digits by what they are.
#
# The same was done to queries, keys, values, the residual stream (the running sum that each position carries
# from layer to layer) and the position embeddings. Of each kind, the edit that costs most; the whole list of
# edits stands at the end of this page.

# %%
worst = scored.loc[scored.groupby("group", sort=False).per_token.idxmin()]
show_frame(worst[["group", "intervention", "per_token", "per_list", "change_points"]], digits=2)

# %% [markdown]
# In the ten-digit model each kind of part has a place without which hardly a list is copied. The first three rows are
# one and the same edit: zeroed queries or keys make all scores equal, and that is uniform attention. None of this says
# much about *how* the list is copied. For this we need a finer knife.
#
# ## What is every single edge worth?
#
# An edge can be removed in three ways, which answer different questions:
#
# - **zero**: its weight is set to zero, and less flows in;
# - **renormalise**: the same, and the row's other weights are scaled up to sum to one again;
# - **mean**: its mean weight over lists stands in, so that only what varies from list to list is removed.
#
# <details><summary><b>Question.</b> Which edge would you zero to spoil the first output and leave the second
# alone? Change <code>cut</code> below: layer, position that looks, position looked at, counted from 0.</summary>
# In the ten-digit model <code>o1</code> is predicted at SEP, from what SEP holds at the end. The last digit is
# fetched in layer 0, the first in layer 1: <code>cut = (1, 2, 0)</code>, SEP looking at d1 in layer 1, spoils
# o1 alone. The default does the reverse.
# </details>

# %%
cut = (0, config.sep_position, config.sep_position - 1)
without = hooks.score_with(model, lists, edges.knock_out(model, [cut], "zero"))
print(mask.edge_label(config, cut), "zeroed; share right of each output:")
print({f"o{i}": round(share, 3) for i, share in enumerate(without.per_position, 1)})

# %% [markdown]
# Now every edge, all three ways. **We expect** few edges to carry the copy. **It would be refuted** if
# most of the edges that can reach an output cost more than a point when zeroed. Edges that the mask
# cuts off from every output serve as a control: removing them must change nothing. In the figure, look for edges with
# long bars, and for the bars of the mean.

# %%
mean_patterns = hooks.run_all(model, lists).patterns.mean(0)
edge_scores = edges.edge_table(model, lists, REMOVALS, mean_patterns)
points = 100 * edge_scores.pivot(index="edge", columns="removal", values="change")[[*REMOVALS]]
feeding = minimal_circuits.feeding_edges(config)
feeding_labels = [mask.edge_label(config, edge) for edge in feeding]
costliest = points.loc[feeding_labels].min(axis=1).nsmallest(7).index
rest = points.loc[feeding_labels].drop(index=costliest)

# %%
needed = int((points.loc[feeding_labels, "zero"] < -1).sum())
title = f"{needed} of {len(feeding)} edges cost more than a point when zeroed"
bars = curves.grouped_bars(points.loc[costliest], title, "change in points", value_range=None)
show(bars, alt=f"The costliest edges, each removed in three ways. {title}.")
if len(rest):
    print(f"the other {len(rest)} move accuracy by at most {rest.abs().max(axis=None):.2f} points")
print(f"a mean in an edge's place costs at most {max(0, -points['mean'].min()):.2f} points")
print("few edges carry the copy:", "held" if needed <= len(feeding) / 2 else "refuted")

# %% [markdown]
# Where bars of the mean are nowhere to be seen, they have no length: what varies in an attention weight is not what
# carries the digits. In the ten-digit model half of the costly edges form paths from a digit to an output. The others are a surprise: positions that
# look at themselves, such as `L0 d1<-d1`. The first digit has nothing else to look at, and what it adds to itself is part of what SEP
# reads there one layer later.
#
# Two controls remain: the costliest edge must move the logits, and the edges that no output can see must not.

# %%
dead = max(edge_scores[~edge_scores.edge.isin(feeding_labels)].change.abs(), default=0.0)
zeroed = edge_scores[edge_scores.removal == "zero"]
strongest = tuple(zeroed.loc[zeroed.change.idxmin(), ["layer", "query", "key"]])
moved = logits_moved(edges.knock_out(model, [strongest], "zero"))
claims += [
    at_least("logits moved by removing the costliest edge", moved, 0.1),
    equals("accuracy moved by edges that cannot reach an output", dead, 0.0),
]
print(f"{len(points) - len(feeding)} edges reach no output; without one accuracy moves by {dead:g}")

# %% [markdown]
# ## Which edges are enough?
#
# One edge at a time misses edges that stand in for each other. So we ask it the other way round: keep some
# edges, remove all others *together*, and count the lists that are still copied. Where they are few enough, we try
# every subset there is; a **circuit** is a subset with which the model still copies. (Where there are too many,
# a *greedy* search drops the cheapest edge again and again. Below it is held against the full search.)
#
# **We expect** a smallest circuit (zeroed) to consist of edges that cost more than a point alone. **It would be
# refuted** if it held an edge that seemed worthless.

# %%
most_tokens = minimal_circuits.EdgeSearch.most_tokens if exhaustive else 10_000_000
searches = {
    removal: minimal_circuits.EdgeSearch(model, search_lists, removal, mean_patterns, most_tokens)
    for removal in REMOVALS
}
by_greed = {removal: search.greedy() for removal, search in searches.items()}
found = {r: search.all_subsets() for r, search in searches.items()} if exhaustive else by_greed

# %% [markdown]
# Which lists must a circuit copy? All that are searched, if the whole model does; else as many as the model, less one
# in a hundred.

# %%
full = hooks.score_with(model, search_lists)
level = 1.0 if full.per_list == 1.0 else max(full.per_list - 0.01, 1 / len(search_lists))
smallest = {removal: one.smallest(level) for removal, one in found.items()}
print(f"{'all subsets' if exhaustive else 'greedy search'} on {len(search_lists):,} lists,")
print(f"of which a circuit must copy {level:.1%}")
for limit in {one.cut for one in found.values()} - {""}:
    print(f"the search was cut short: {limit}")

# %% [markdown]
# In the figure, look for the number of kept edges from which a line stays on top: so many suffice. Lines of *zero*
# and *renormalise* may lie on each other.

# %%
frontiers = {removal: one.frontier() for removal, one in found.items()}
enough = ", ".join(f"{len(c[0])} ({removal})" for removal, c in smallest.items() if c)
title = f"Edges that suffice, of {len(feeding)}: {enough or 'not even all'}"
best = {removal: ([*line.index], [*line]) for removal, line in frontiers.items()}
figure = curves.lines(best, title, "edges kept", "best share right", y_range=(-0.03, 1.05))
show(figure, alt=f"Best share of outputs right against edges kept, for three removals. {title}.")

# %% [markdown]
# And these are the edges themselves. `in every circuit` names those that no circuit of any size can miss (after a greedy
# search: that no circuit on its way did miss).


# %%
def in_words(some_edges):
    return ", ".join(mask.edge_label(config, edge) for edge in some_edges) or "no edge at all"


rows = [
    (removal, in_words(smallest[removal][0]), len(smallest[removal]), in_words(one.core(level)))
    for removal, one in found.items()
    if smallest[removal]
]
columns = ["removal", "a smallest circuit", "how many as small", "in every circuit"]
show_frame(pd.DataFrame(rows, columns=columns))

# %%
costly = {edge for edge in feeding if points.zero[mask.edge_label(config, edge)] < -1}
same = any(set(circuit) <= costly for circuit in smallest["zero"])
alone = "a smallest circuit of edges that cost more than a point alone:"
print(alone, "held" if same else "refuted")
for removal, one in by_greed.items() if exhaustive else ():
    gap = (frontiers[removal] - one.frontier()).max()
    print(f"{removal}: greed falls short of the best subset of its size by up to {gap:.3f}")

# %% [markdown]
# In the ten-digit model, with zeroed edges, the circuit reads like a recipe: one layer moves a digit into SEP, the other layer the other
# digit, and one edge hands what SEP holds to the last output. With means in place, the smallest circuit tells how
# much of the model's attention has to vary: in the ten-digit model, none. Greed loses accuracy on the way: an edge that
# is cheap to drop now can be needed later, when others are gone.
#
# ## Is the circuit the same for every training seed?
#
# A *training seed* is the number that sets the initial weights and the order of the batches. One model
# is an anecdote. **We expect** every seed to have the same core: the edges that all its smallest circuits
# share (others zeroed). **It would be refuted** if two seeds differed. Here the search goes by size and stops at the first size with
# an exact circuit. Models are trained now where that is quick, else only those already trained are
# compared. In the figure, a row that is dark from end to end is an edge that all seeds share.

# %%
models = {config.seed: trained}
if shipped_model:
    models = seeds.trained_seeds(config, trained, options.n_seeds, folder)

# %%
core = seeds.core_by_seed(models if exhaustive else {}, search_lists)
kept = core.drop(columns="edges", errors="ignore").astype(float)
universal = [e for e, on in zip(feeding, kept.all(), strict=True) if on] if len(core) > 1 else []
searched = len(core) if exhaustive else "none, as they have too many edges"
print(f"seeds: {len(models)}; searched, as they copy every list: {searched}")

# %%
if len(core) > 1:
    least, larger = core.edges.min(), int((core.edges > core.edges.min()).sum())
    title = f"All {len(core)} seeds share {len(universal)} edges; {larger} need more than {least}"
    used = kept.loc[:, kept.any()].T
    panel = {"dark: in every smallest circuit of the seed": used.to_numpy()}
    axes = dict(row_title="", column_title="training seed")
    figure = heatmaps.heatmap_panels(panel, used.index, [*map(str, used)], title, "", **axes)
    figure.update_coloraxes(showscale=False)
    show(figure, alt=f"The edges in all smallest circuits of each training seed. {title} edges.")
    most_edges = f"{core.edges.max()} edges (seed {core.edges.idxmax()})"
    print(f"smallest exact circuits: {least} to {most_edges}")
    print(f"shared by all: {in_words(universal)}")
    print("the same core in every seed:", "refuted" if kept.nunique().max() > 1 else "held")

# %%
lost = seeds.cost_of_average_attention(models, lists)
print(f"points lost to average attention, by seed: {lost[lost > 0].round(2).to_dict() or 'none'}")
size = int(core.edges.min()) if len(core) else "none is exact" if exhaustive else "not searched"
claims += [
    shown("seeds compared", len(models)),
    shown("edges in every seed's smallest circuits", in_words(universal)),
    shown("smallest exact circuit, edges (zeroed)", size),
    shown("seeds in which average attention costs outputs", f"{sum(lost > 0)} of {len(lost)}"),
]

# %% [markdown]
# As stated, the hypothesis fails where any row is broken; a weaker one can be read off the dark rows. In the ten-digit model
# the shared edges alone suffice for many seeds, and the others add some of their own. So "a handful" is right for
# the core, and too few for some seeds.
#
# Two of the shared edges no ten-digit model can do without. The last output is written at o1, and the mask leaves the
# second digit one way to it: `L0 SEP<-d2`, then `L1 o1<-SEP`. The other three the mask leaves open. That training chose
# them in every seed is the finding.
#
# The last line says in which seeds attention has to follow the digits after all. In the ten-digit model they are few, and
# in one of them it matters much. Keep that one in mind.
#
# ## Does one vector decide the whole list?
#
# All of it passes through SEP, but it need not pass *at once*. Put SEP's residual vector from another list into
# this list's run, and see which digit each output then writes. This is called *interchange*; an output
# *follows* if it writes the other list's digit. **We expect** one vector to decide the list: with SEP's vector
# after layer 0 from another list, both outputs should follow it. **It would be refuted** if one of them
# followed in fewer than half of the pairs.
#
# <details><summary><b>Question.</b> At which place would you put the other list's vector, so that the second
# output follows and the first stays? Change <code>place</code> below: how many layers are done, and the
# position.</summary>
# In the ten-digit model SEP after layer 0, <code>(1, config.sep_position)</code>: what others can fetch from it by then is the
# second digit. The second digit itself, <code>(0, 1)</code>, does so too. The first, <code>(0, 0)</code>, where the cell
# starts, does the reverse, as does SEP at the end, <code>(2, config.sep_position)</code>. No place moves both, and the figure shows
# them all. In the hundred-digit model SEP after layer 0 moves both.
# </details>

# %%
place = (0, 0)
pairs = interchange.list_pairs(config, most, seed=0)
show_frame(interchange.interchange(model, pairs, [place[0]], [place[1]]))

# %% [markdown]
# The table counts, for each output, pairs of lists whose digits differ there. Every place gets its turn in the
# figure: rows are how far the model has got, columns the position where the vector is put in. If one vector decides
# the list, one cell is dark in *all* panels.


# %%
def shares_that_follow(a_model, placebo=False):
    shares = interchange.interchange(a_model, pairs, placebo=placebo).follows_source.to_numpy()
    return shares.reshape(config.n_layers + 1, -1, config.list_len)


follows = shares_that_follow(model)
at_sep = follows[1, config.sep_position]
says = ", ".join(f"o{o}: {value:.0%}" for o, value in enumerate(at_sep, 1))

# %%
panels = {f"o{o + 1} follows": follows[:, :, o] for o in range(config.list_len)}
streams = ["before layer 0", *(f"after layer {layer}" for layer in range(config.n_layers))]
places = config.labels[: config.prediction_positions.stop]
title = f"SEP's vector after layer 0 decides {says}"
axes = dict(row_title="", column_title="position put in")
figure = heatmaps.heatmap_panels(panels, streams, places, title, "share of pairs", **axes)
alt = f"How often each output follows a vector put in at each layer and position. {title}."
show(figure, alt=alt, main=True)
print("one vector decides the list:", "held" if at_sep.min() > 0.5 else "refuted")

# %% [markdown]
# A vector that is put in is also a disturbance, and a digit may change by accident. Two controls: the
# list's own vector moved as far but in a random direction, and a model that was never trained. If either followed
# often, the figure would mean nothing.

# %%
placebo = shares_that_follow(model, placebo=True).max().item()
untrained = shares_that_follow(make_model(config)).max().item()
print(f"largest share, random direction {placebo:.3f}, untrained model {untrained:.3f}")
claims += [
    at_most("follows a random direction, largest share", placebo, 0.3, config.n_digits >= 10),
    at_most("follows in an untrained model, largest share", untrained, 0.3, config.n_digits >= 10),
]

# %% [markdown]
# The ten-digit model takes the easy way. Its mask allows SEP to look at the digits in both layers, so that one vector
# never has to serve both outputs. And it does not: o1 draws on nothing that SEP holds of the first digit after layer 0
# (04_representation finds a trace of that digit there). So it is no model of how a list is *composed* in one vector.
# The study closed this way around, and for that reason the later notebooks turn to its model.
#
# ## Do all seeds carry the list alike?
#
# Call it *routing* if some output follows SEP after layer 0 in under a tenth of the pairs, and *composing* if
# every output follows in over half. Between the two is neither. **We expect** the ten-digit model to route in at
# least nine seeds of ten. **It would be refuted** if fewer did. The hundred-digit model has no choice: its mask lets the
# outputs see nothing of the list but SEP's vector after layer 0. To put in another list's vector is to run that
# list, and the share of pairs that follow is the accuracy there. Its row only checks the method. The other preset's rows
# ship with the project (`make seeds`). A seed counts if it *left the plateau*: the stage of training at which a
# model knows which digits to write, but not their order.

# %%
own = pd.DataFrame(
    {"model": "this config", "seed": number, **seeds.seed_figures(one)}
    for number, one in models.items()
)
other_preset = "study" if preset == "seed" else "seed"
both = pd.concat([own, read_table(f"{other_preset}_seeds").assign(model=f"preset {other_preset}")])
carry = seeds.how_seeds_carry(both)
show_frame(carry, digits=3)

# %% [markdown]
# *Route* and *compose* are shares of the seeds that left the plateau, *lowest* and *highest* the share of pairs in
# which the output that follows least does, over seeds. The verdict, and any seed here that does neither:

# %%
here, other = carry.itertuples(index=False)
ten = here if preset == "seed" else other
verdict = "untested" if not ten.left_plateau else "held" if ten.route >= 0.9 else "refuted"
print(f"{ten.model} (seeds: {ten.seeds}): at least nine in ten route: {verdict}")
alike = interchange.ListPairs(*(half[pairs.base[:, 0] == pairs.source[:, 0]] for half in pairs))
least = own.filter(like="follows_").min(axis=1)
in_part = least.between(0.1, 0.5) & own["broke_through"].eq(True) & (config.list_len > 1)
for number, *shares in own[in_part].filter(regex="seed|follows").round(2).itertuples(index=False):
    one = interchange.interchange(models[number].model, alike, [1], [config.sep_position])
    print(f"seed {number} does neither: outputs follow in {shares} of the pairs,", end=" ")
    print(f"with the same first digit the last in {one.follows_source.iloc[-1]:.0%}")

# %% [markdown]
# In a seed that does neither, the outputs follow SEP's vector in part, and it still copies. How is that possible? By way of SEP
# the second digit can come in layer 0 only. But o1 has the first digit for its input, with which it can tell the digits of a mixture
# apart. So the line above also counts pairs of lists that share their first digit: in the ten-digit model's odd seed SEP's vector
# then decides the second output every time. It mixes both digits in layer 0, and o1 knows which one is wanted.
# Look back at the circuits of all seeds: is it the one that needs the most edges, and is it the one in which average
# attention costs most?

# %%
does = "route by layer" if preset == "seed" else "compose in one vector"
share = here.route if preset == "seed" else here.compose
claims += [
    shown("seeds that left the plateau", here.left_plateau),
    at_least(f"seeds that {does}, share", share, 0.9, applies=established),
    shown("least-following output at SEP after layer 0, smallest over seeds", here.lowest),
    shown("least-following output at SEP after layer 0, largest over seeds", here.highest),
    shown(f"{other_preset} seeds that left the plateau", f"{other.left_plateau} of {other.seeds}"),
]
if other.left_plateau:
    name = f"{other_preset}: least-following output, smallest and largest over seeds"
    claims += [shown(name, f"{other.lowest:.3f} to {other.highest:.3f}")]

# %% [markdown]
# ## What we know now, and what is open
#
# A few edges carry the copy, and the average of their weights is enough for the ten-digit model, in nearly every seed. It
# routes: one digit a layer. The hundred-digit model composes, and how one vector can hold two digits *and their order* is
# the subject of 04_representation (what the vector looks like) and 05_circuit (the mechanism). Open: why some training seeds
# need more edges than others, and what makes a rare seed mix both digits in layer 0.
#
# **Every edit, for looking up.** Where chance is part of it, the mean over draws and its spread (`_sd`). `loss_on_example`
# is the measure of the notebook that started the work, the loss of one list over all positions (not taken for
# edits that hold something of each list). Hardly any harmless edit moves it, and harmful ones are hard to rank by it.

# %%
show_frame(scored, digits=3)
change = scored[scored.per_token < 0.5].loss_on_example.dropna() - by_position.mean()
print(f"edits with under half right: {len(change)}; that loss falls in {sum(change < 0)} of them")
print("a ruined copy can lower that loss:", "held" if any(change < 0) else "refuted")

# %% [markdown]
# ## Claims

# %%
check_claims("03_ablation", claims)
