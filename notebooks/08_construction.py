# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Can this architecture copy every list, and why does training stop short?
#
# **Answer.** It can. Weights set by hand, two numbers wide, copy every list of two digits out of a hundred;
# with one number more a digit they copy lists of three, four, five and more, in two layers, and an
# error bound proves it for lists too many to run. So neither width nor depth nor the number of digits is what
# stops a trained model. Training is: it stops at near ties, lists whose two digits look nearly alike to the
# separator. Most of those held out are wrong, nearly always at the second output. Started instead from the code's wiring
# and a readout with the digits in random order, with small random weights around them (in the unembedding the usual ones), the same architecture learns to
# copy the lists it never saw.
#
# **What that start knows.** How the code works: a line, a place on it for each digit, how an output looks away
# from the separator. **What it does not know.** Which digits are in the data, which lists are trained on, and
# constants good enough to copy: before the first step it copies hardly more lists than chance would.
#
# **You need** to have seen what the separator's attention does (05_circuit). **It takes** about a minute.

# %% tags=["setup"]
import os
import sys

if "google.colab" in sys.modules:
    package = os.environ.get("LISTCOMP_PACKAGE", "")
    if not package:
        raise RuntimeError("set LISTCOMP_PACKAGE to a wheel or an address that pip installs")
    get_ipython().run_line_magic("pip", f"install -q {package}")

# %% nbmake={"mock": {"d_model": 16, "eval_every": 20, "live_steps": 20, "n_digits": 8, "steps": 40}} tags=["parameters"]
# Parameters: change a value here, or add any other field of Config
preset: str = "study"  # a hundred digits, "ranked" from another start; None below keeps its value
n_digits: int = None  # different digits
seed: int = None  # weights and order of the batches
retrain: bool = False  # train again even when a model of this very config is saved
drive_dir: str = None  # on Colab: keep models in this folder of your Drive
artifacts_dir: str = None  # keep models in this folder instead of artifacts/runs/checkpoints
checkpoint: str = None  # analyse this .safetensors or classic .pt instead of training
live_steps: int = 600  # steps of the small training that runs here

# %%
from listcomp_utils.circuit.subject import subject_of
from listcomp_utils.config import Config
from listcomp_utils.notebook import parameters

config, options = parameters.read_parameters(globals())
folder = parameters.artifacts_folder(options.artifacts_dir, options.drive_dir)
subject = subject_of(config, options.checkpoint)
config = subject.config
established = parameters.is_established(config) and options.checkpoint is None
print(*filter(None, [subject.because, f"trained, here: {config.slug}"]), sep="\n")

# %%
import numpy as np
import pandas as pd
import torch

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.construction import content_and_order, fixed_attention, lemmas, tables
from listcomp_utils.construction.proof import hand_built, proof
from listcomp_utils.construction.weights import Constants, assemble
from listcomp_utils.explorer.page import show_explorer
from listcomp_utils.features import latents, sae, separator
from listcomp_utils.generation import accuracy, generate
from listcomp_utils.hooks import run_all
from listcomp_utils.model import make_model
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_frame
from listcomp_utils.plots.curves import lines
from listcomp_utils.sweeps.table import read_table, summarise
from listcomp_utils.training.loop import train

# %% [markdown]
# ## A transformer computed by hand
#
# The smallest model that copies lists of two: a residual stream of **two numbers**, ten digits. Call the two
# numbers *value* and *constant*. Digit $t$ stands for the number $x_t = t - 4.5$, so that the ten digits lie
# evenly around zero. Two constants are chosen, a small *step* $s$ = 1/128 and a large *lever* $w$ = 256. Here is what
# its five positions hold at first, on the list 8, 3:

# %%
digits, step, lever = (8, 3), 1 / 128, 256.0
ten = Config.preset("study", n_digits=10, d_model=2, device="cpu")
small = assemble(ten, Constants(step, lever), torch.float64)
w = weights_of(small, torch.float64)
E, P, U, (compare, turn) = (part.numpy() for part in (w.token, w.position, w.unembed, w.query_key))
vectors = np.concatenate([E[list(digits)] + P[:2], P[2:]])
inputs = pd.DataFrame(vectors, columns=["value", "constant"])
inputs.insert(0, "input", [f"d1 = {digits[0]}", f"d2 = {digits[1]}", "SEP", "o1", "o2"])
show_frame(inputs, digits=3)

# %% [markdown]
# A digit's *value* is $x_t$ and its place: $+1/s$ in the first place, $-1/s$ in the second. Layer 0 moves the
# two digits into the separator. SEP scores a digit by $s\,x_t$ (the places' parts cancel against *constant*), so
# that its two attention weights differ by about $s\,(x_1 - x_2)/2$: a tiny difference, which the places multiply
# by $1/s$. Watch *value* at SEP: it should come out as $x_1$, less the lever.

# %%
d1, d2, sep, o1, o2 = vectors
scores = np.array([sep @ compare @ d1, sep @ compare @ d2])
alpha_1, alpha_2 = np.exp(scores) / np.exp(scores).sum()
sep_after = sep + alpha_1 * d1 + alpha_2 * d2
print(f"scores {scores.round(4)}, attention {alpha_1:.5f} and {alpha_2:.5f}")
print(f"SEP after layer 0: value {sep_after[0]:.3f}, constant {sep_after[1]:.5f}")
print(f"value + lever = {sep_after[0] + lever:.3f}, and x_1 = {digits[0] - 4.5}")

# %% [markdown]
# Layer 1. The first output may look at SEP alone, adds its lever back and holds $x_1$. The second output divides
# its attention between SEP, which holds $-w$, and o1, which holds $+w$. By looking a little less at SEP it moves
# its *value* by a multiple of $w$, and how much less is in SEP's *constant*: $\alpha_1 - \alpha_2$, the digits'
# difference. What is left is half of $x_2$.

# %%
z = o2 @ turn @ sep_after - o2 @ turn @ o1
beta = 1 / (1 + np.exp(-z))
o1_after = o1 + sep_after
o2_after = o2 + beta * sep_after + (1 - beta) * o1
for name, (value, constant) in {"o1": o1_after, "o2": o2_after}.items():
    print(f"{name}: value {value:.3f}, constant {constant:.4f}, reads {value / constant:.3f}")
print(f"o2 attends to SEP by {beta:.5f}; x is {digits[0] - 4.5} and {digits[1] - 4.5}")

# %% [markdown]
# The unembedding turns a number into a digit. Digit $t$ has the logit $2 x_t\,$value $- x_t^2\,$constant, a
# parabola in $x_t$ that is largest where $x_t$ is nearest to value / constant. No digit in between can win and a
# doubled digit needs no case of its own. The logits of all ten, and what the model itself makes of the list:

# %%
by_hand = np.stack([o1_after, o2_after]) @ U[:, :10]
logits = pd.DataFrame(by_hand, columns=[str(t) for t in range(10)])
show_frame(logits.assign(writes=by_hand.argmax(1)), digits=1)
by_model = run_all(small, torch.tensor([digits])).logits[0, 3:, :10].numpy()
off = float(np.abs(by_model - by_hand).max() / np.abs(by_hand).max())
print(f"the model writes {generate(small, [digits])[0].tolist()}; logits differ by {off:.1e}")
print(f"all lists of two out of ten digits: {accuracy(small).per_list:.4f} right")
claims = [
    equals("ten digits by hand, lists right", accuracy(small).per_list, 1.0),
    at_most("ten digits by hand against the model, of the largest logit", off, 1e-12),
]

# %% [markdown]
# <details><summary><b>Question.</b> What happens to the copies when the lever is 8 instead of 256? Change
# <code>lever</code> in the first cell of this section and guess before you run it.</summary>
# About seven lists in ten come out wrong, all at o2: o1 does not care. o2's reading errs by about
# $x_1 (x_1 - x_2) / 2w$, with $w = 8$ up to two and a half digits, and the weights take the middle of that, more than
# a digit, off *every* list. So lists whose two digits are near, which hardly err, are wrong most often: of the ten
# doubled digits only 0 0 is right, as no digit lies below it.
# </details>
#
# ## Every list, and how we know
#
# The same code for any list length: one more number for each output's turn, or one more each for clean axes.
# `hand_built` chooses the step and the lever by itself. For as many lists as can be run, we run them.

# %%
sizes = [(100, 2, 2), (100, 2, 64), (100, 3, 3), (100, 3, 8), (100, 5, 12), (10, 6, 14)]
if not established:
    sizes = [(config.n_digits, 2, 2), (min(config.n_digits, 10), 3, 3)]
ran = tables.copied(sizes)
show_frame(ran)
claims += [equals("hand-built, lists right, least of the sizes", float(ran.right.min()), 1.0)]

# %% [markdown]
# Two numbers suffice for lists of two, and one number cannot do it for three digits or more: with one number
# every logit is a multiple of it, so that only the digits with the largest and the least unembedding are ever
# written. For lists of $L$ digits the construction needs $L$ numbers; whether fewer suffice is open.
#
# **The proof.** Taylor's theorem says what the small step and the large lever leave out. To second order, and up to a
# constant that the weights take away,
#
# $$\mathrm{o}_j \text{ reads } x_j + \tfrac{s}{2}\left[(x_j - \bar x)^2 + \operatorname{var}(x)\right]
# + \frac{x_1 (x_1 - x_j)}{2 w} ,$$
#
# and the rest is bounded by third derivatives. (In fewer than $L + 2$ numbers, where axes are shared, there is one term more.)
# All terms have a largest and a least value over *all* lists, in closed form; the constant is the middle between them. If what
# is left, and what rounding adds, stays below 1/2, half of what lies between two digits, then every list is right. Nothing has
# to be run, so that the million million lists of six digits out of a hundred are covered:

# %%
six = Config.preset("study", list_len=6, device="cpu")
bounds = proof(six)
show_frame(bounds)
print(f"all {six.n_lists:,} lists of {six.list_len} digits proven: {bounds.proven.all()}")
what = "all lists of six digits out of a hundred proven"
claims += [equals(what, bool(bounds.proven.all()), True)]

# %% [markdown]
# Is the bound close to the truth, or is it only safe? Run all lists of the hand-built model in float64, where
# rounding is nothing, and hold the largest error of what each output reads against the exact part of the bound.

# %%
wide = Config.preset("study", n_digits=min(config.n_digits, 100), d_model=4, device="cpu")
errors = tables.largest_errors(wide, Constants(2.0**-16, 2.0**15))
show_frame(errors, digits=5)
tight = float((errors.largest_error / errors.exact_high).min())
claims += [at_least("largest error, of the exact bound", tight, 0.9, applies=established)]

# %% [markdown]
# **The frontier.** A smaller step needs more exact attention weights, so that the precision decides how many
# digits fit: about its rounding to the power -1/2. *Proven* by the bound; *carried*, which `hand_built` makes,
# by the bound or, of at most 100,000 lists, because every one was run; *copied*, the most digits with
# which all lists (or, of more than 100,000, the 40,000 hardest) are still right, found to within 3%:

# %%
frontier = read_table("construction_frontier").eval("ratio = copied / carried")
show_frame(frontier.drop(columns="seconds"), digits=2)
most = frontier.groupby("dtype").ratio.max()
claims += [at_most("float32: most digits copied over most proven, largest", most["float32"], 1.5)]
claims += [at_most("bfloat16: most copied over most carried, largest", most["bfloat16"], 1.5)]

# %% [markdown]
# In float64 the bound allows more digits than a model here may have. In bfloat16, which keeps eight binary digits, a
# bound that counts every rounding at its worst proves next to nothing; with so few lists we run them all instead.
#
# <details><summary><b>Question.</b> Lists of two out of a thousand digits: does the hand-built model copy them? Give
# <code>sizes</code> above one entry more, <code>(1000, 2, 4)</code>.</summary>
# It is refused, and the message names the most digits that float32 is proven to carry. The weights exist, but their attention
# would have to be more exact than a float32 is. In float64 (<code>hand_built(config, torch.float64)</code>) they work.
# </details>
#
# ## What any weights must do
#
# The hand-built model shows what is possible. Five lemmas say what is *necessary*, whatever the weights. For a pair
# of digits $a, b$ let $w = U_a - U_b$, $v$ and $v'$ what SEP holds on $(a, b)$ and $(b, a)$, $\beta$ and $\beta'$
# how much o2 attends to SEP on them, $p$ and $q$ what $w$ reads off the inputs at o1 and o2. A *margin* is the logit of
# an output's own digit, less that of the list's other digit.
#
# Lemmas 1 to 4 are tested on three kinds of weights: trained, set by hand, and random. What the text says of the trained ones
# it says of the study preset as it ships; tables are of the model that the parameters chose.

# %%
trained = load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
built = hand_built(Config.preset("study", n_digits=config.n_digits, d_model=4, device="cpu"))
random = make_model(config.replace(seed=config.seed + 1, start="random", device="cpu"))
kinds = {
    "trained": weights_of(trained.model, torch.float64),
    "by hand": weights_of(built, torch.float64),
    "random": weights_of(random, torch.float64),
}
print(f"trained: {trained.path.name}")

# %% [markdown]
# **Lemma 1: o2 must look away in turn.** Both outputs right in both orders needs $w v > -p > w v'$ at o1, and at o2
# $q + p + \beta (w v - p) < 0 < q + p + \beta' (w v' - p)$. *Proof that $\beta$ must differ.* If o2 pays SEP the same
# attention in both orders, $p$ and $q$ cancel from the second condition and leave $w v < w v'$, the opposite of the
# first. So at most one order of each pair can be right, and with the doubled digits that is $(n + 1) / 2n$ of all
# lists. The same holds if SEP's vector ignores the order. We expect no pair to survive either edit (random weights have
# hardly any to lose):

# %%
edits = {name: lemmas.order_is_needed(kind) for name, kind in kinds.items()}
edits = pd.concat(edits, names=["weights"])
show_frame(edits.reset_index())
both = float(edits.drop(index="nothing", level="edit").both_orders.max())
claims += [at_most("lemma 1: pairs copied in both orders after an edit", both, 0.0)]

# %% [markdown]
# **Lemma 2: the readout follows the score.** With $d = s_a - s_b$ the difference of the two scores, $c$ what the two
# places add to it, $\delta_t = U_t (P_1 - P_2)$ and $\Gamma = w (E_a - E_b)$, the margins of both orders at o1 add up to
#
# $$\frac{\sinh(d)\,(\delta_a - \delta_b) + \sinh(c)\,\Gamma}{\cosh d + \cosh c} .$$
#
# *Proof.* $v - v' = (\alpha + \alpha' - 1)(E_a - E_b) + (\alpha - \alpha')(P_1 - P_2)$, and both $\alpha$ are sigmoids of
# $c \pm d$. With $c = 0$ only the order's part is left: both orders can be right only if the unembedding orders the digits
# along $P_1 - P_2$ as the scores do. That is why 05 found the two so alike.
#
# **Lemma 3: an upper certificate.** A list is right at an output only if its own digit beats the list's other digit. If
# the two orders' margins add up to 0 or less, one of them is 0 or less, and that list is wrong, whatever the other
# digits do. Counting such pairs bounds the accuracy from above without running one list.
#
# **Lemma 4: near ties cost quadratically.** With $c = 0$ and a readout linear in the score, the sum is
# $\text{slope} \cdot d \tanh(d / 2)$, about $\text{slope} \cdot d^2 / 2$: half the distance leaves a quarter to share.
# The last two columns are of the order's part alone, as if $c = 0$. Random weights have no readout that follows the
# score, so that the lemma does not speak of them: there we expect the exponent 1, that of $\tanh(d / 2)$.

# %%
beside = tables.side_by_side(kinds).set_index("weights")
show_frame(beside.reset_index(), digits=5)
exponent, off = beside["exponent of order"]["trained"], beside["off, of the largest"].max()
claims += [
    at_most("lemma 2: largest difference from the formula", float(off), 1e-10),
    equals("lemma 4: exponent, trained", float(exponent), 2.0, established, within=0.15),
]

# %% [markdown]
# **Lemma 5: fixed attention copies no pair in full.** Suppose SEP's two attention weights were the same on all lists. *Then of
# the four lists of two digits, (b,b), (b,a), (a,b), (a,a), at least one is wrong, at any width.* Proof: on these four SEP's
# vectors lie on a line, at 0, $1 - \alpha$, $\alpha$, 1. Along a line o2's score $z$ is affine, and what decides o2, divided by
# $\beta$, is an affine function plus a multiple of $1 + e^{-z}$: convex or concave, with at most two changes of sign. Above 1/2
# o2 needs three. Below 1/2 the middle two change places, and o1, which is affine, would need three. At $1/2$ two of the lists
# are one vector. So at most $1 - (n - 1)/n^2$ of all lists are right, and at $1/2$ at most $(n + 1)/2n$, one order of each pair
# and the doubled digits. That holds below 1/2 too, by a longer argument that stands at `fixed_attention_bound`. The proof
# for four lists only needs them to share $\alpha$: *of two digits with the same score at least one of the four lists is wrong.* It
# may be a doubled one. Trained with frozen attention and, as a control, with attention that learns, two digits (a pair is
# *copied* if all four lists are right):

# %%
frozen = tables.fixed_attention_runs([0.3, 0.5, 0.7, None])
show_frame(frozen)
copied = float(frozen["pairs copied"][frozen.attention != "learned"].max())
claims += [at_most("lemma 5: pairs copied with fixed attention", copied, 0.0)]
above, below = (fixed_attention.fixed_attention_bound(100, alpha) for alpha in (0.7, 0.5))
print(f"the bound at 100 digits: {above:.4f} above 1/2, {below:.4f} at 1/2 and below")

# %% [markdown]
# ## The accuracy, from both sides
#
# How much of a model's accuracy can be *proven* from its weights, at less cost than running every list? A list is wrong
# as soon as one token beats its own: one logit is a proof. Being right needs a bound on all tokens. `sandwich` sorts the
# lists into cells in which the logits of a token, which are linear in three numbers of a list, are largest at a corner; each
# digit ranks the tokens by that, and tokens that neither of a list's digits names stay below a threshold. Undecided cells are
# halved.

# %%
both = tables.both_bounds(kinds)
show_frame(both)
seeds = read_table("construction_study")
gap = float((seeds.proven_at_most - seeds.proven_right).max())
print(f"over {len(seeds)} seeds of the study preset the two differ by at most {gap:.1e},")
print(f"at {seeds.share_of_operations.mean():.2f} of the operations of every logit")
claims += [
    at_most("bounds from both sides, largest gap over seeds", gap, 0.0),
    equals("hand-built, proven right", float(both["at least"][1]), 1.0),
]

# %% [markdown]
# The two meet on every model tried, and so both are the accuracy itself. What is gained is cost: running every logit grows as the cube
# of the digits; for few digits the bounds cost more. The hand-built models are the hardest, as nothing can be refused on them:

# %%
spent = tables.costs([25, 50, 100, 200])
show_frame(spent, digits=2)
logs = np.log(spent[["digits", "operations", "of every logit"]].to_numpy(float))
powers = np.polyfit(logs[:, 0], logs[:, 1:], 1)[0]
print(f"as a power of the digits: bounds' cost {powers[0]:.2f}, all logits' {powers[1]:.2f}")
claims += [at_most("bounds from both sides, power of the cost in the digits", powers[0], 2.6)]

# %% [markdown]
# ## Why training stops
#
# **Hypothesis.** The trained model tells digits apart by *content*: their embeddings differ in many directions. Order is one
# direction among them, and where two digits have nearly the same score it is drowned. At o1 the margin of a list is exactly
#
# $$(\alpha_1 - \alpha_2)\,\frac{\delta_a - \delta_b}{2} + (\alpha_1 - \alpha_2)\,\frac{\Gamma}{2} + \text{bias} .$$
#
# The first term, *order*, is shared by both orders of a pair. The second, *content*, speaks for the digit that SEP attends to
# more, wherever it stands. **It would be refuted** if near ties (scores closer than 0.1) failed no more often than others, or if
# lists in which order is the smaller were right all the same where scores are far apart. Each row of the first table but its last
# is a share, over the seeds of the study preset. The second, of the models above, has the control:

# %%
show_frame(tables.over_seeds(seeds, content_and_order.OF_NEAR_TIES), digits=3)
lowest, highest = seeds.min(numeric_only=True), seeds.max(numeric_only=True)
weighed = tables.weighed(kinds).set_index("weights")
show_frame(weighed.reset_index(), digits=3)
far = float(weighed["these others, right"]["trained"])
claims += [
    shown("study preset, held-out lists right, mean of seeds", float(seeds.per_list.mean())),
    at_least("others right though order is smaller, trained", far, 0.99, established),
    at_least("near ties right at o1, lowest seed", lowest.near_at_o1, 0.95),
    at_most("held-out near ties right, highest seed", highest.held_out_near, 0.3),
]

# %% [markdown]
# Half of it holds, in every seed: near ties are where lists fail, and those trained on fail less than those held out. The other
# half is *refuted*. Order is the smaller in *all* near ties, but also in two thirds of the other lists, and nearly all of these are
# right. That it is so in near ties follows mostly from their being near: with $c = 0$ order falls there as $d^2$ (lemma 4),
# content only as $d$. Nor does o1 fail: it is right in nearly all near ties, as its bias cancels content, pair by pair. The
# failures are at **o2**. The two places add a little to the scores (the offset $c$), so that SEP prefers the first digit of the
# nearest pairs in both orders, and content becomes a margin for o1 *in both*. o2 reads what o1 holds with the opposite sign: it pays. If that
# is so, lemma 3 should name the lists that fail, from closed forms, without a single fit, and without o1's content it should
# name none:

# %%
show_frame(tables.over_seeds(seeds, content_and_order.OF_FORETELLING), digits=3)
claims += [
    at_least("failing held-out lists named, precision, lowest seed", lowest.precision, 0.85),
    at_least("the same, recall, lowest seed", lowest.recall, 0.7),
]

# %% [markdown]
# So training stops at near ties. Lemma 3 names the failing lists, but so does closeness alone, about as well (the last line but
# one). What speaks for o1's content is that hardly any pair is refused without it. Which order of a refused pair loses seems to
# be learned by heart: near ties trained on are mostly right, held-out ones mostly wrong. Nor is it mended by an edit: weigh
# both contents alike, and fewer lists are right; set $c$ to 0, and about as many near ties are right as before (the last two
# columns of the control). So what stands is *where* training stops: at near ties, at o2. Why it does not make order
# larger or the offset smaller is not shown; perhaps what helps these few lists costs all the others.
#
# **Would larger logits do?** Scale the unembedding, so that the largest logit has a given size, and look at the loss:

# %%
sizes = [3e2, 1e3, 3e3, 3e4, 3e5]
losses = {name: content_and_order.at_logit_size(kind, sizes) for name, kind in kinds.items()}
losses = {name: rows.set_index("largest_logit").loss for name, rows in losses.items()}
show_frame(pd.concat(losses, axis=1).reset_index())
end = weights_of(hand_built(config.replace(device="cpu")), torch.float64)
show_frame(content_and_order.along_path(kinds["trained"], end, [0, 0.01, 0.5, 0.99, 1]))

# %% [markdown]
# For the trained weights the loss has its least near their own size: larger logits only make what is wrong more wrong. For the
# hand-built ones it falls without end, and is *larger* than the trained model's as long as logits are small. So training, which
# starts with small logits, has no reason to go there. Nor is there a straight way (the last table: shares of the way from the
# trained to the hand-built weights, digits renamed to have the same order): nothing between its ends copies. That says little,
# as the hand-built axes have sizes and directions of their own, and two good models whose axes differ need no good line between
# them.
#
# %% [markdown]
# ## A start from which training gets there
#
# The usual start knows nothing of the code. So begin with a sketch of it. The preset `ranked` is the study's
# model and split, unchanged: two layers, one head, 64 wide, the same 8,000 lists to train on. Its initial weights differ, and
# its recipe. The weights hold a rough sketch of the code above: every digit has a place on the line, *dealt by the seed*, step
# and lever are coarse. Random weights lie on top: all of the library's own in the unembedding, a fiftieth of them elsewhere. The
# code's three constants follow from the number of digits: scores up to $3/n$, a lever of $0.6\,n$, logits of $3 n^2$.
#
# Its rate and its number of steps were chosen on an *inner* split: four in five of the 8,000 lists to train on, the others to
# judge by, with two seeds of their own; each row is their mean. For the rate and the steps nothing was looked at of the lists held out. The
# constants and the fiftieth come from a prototype that was judged on the usual split: the row of `split_seed` 7 below is the check.

# %%
by, figures = ["list_len", "lr", "steps"], ["inner_per_list", "train_per_list"]
show_frame(summarise(read_table("ranked_tuning"), by, figures)[[*by, *figures]])

# %% [markdown]
# Pairs are learned at any of these rates; lists of three want the small one, and steps enough for it. The preset takes 3,000
# steps at $10^{-4}$. We expect it to copy nothing at first, and to learn. It would be refuted if held-out lists stayed behind.

# %%
ranked = read_table("ranked")
sizes = ["list_len", "n_digits", "d_model", "steps", "split_seed"]
learned = summarise(ranked, sizes, ["per_list", "train_per_list"])
figures = ["seeds", "per_list", "per_list_min", "train_per_list"]
show_frame(learned[[*sizes, *figures]])
usual, span = seeds.per_list.mean(), f"{lowest.per_list:.4f} to {highest.per_list:.4f}"
print(f"held-out lists right from the usual start, {len(seeds)} seeds: {usual:.4f} ({span})")

# %% [markdown]
# The preset's steps were chosen for a hundred digits. Two hundred have four times as many lists, and are not done after them; twice the
# steps (the row of 6,000) leave few that are wrong.

# %%
least = ranked.groupby(["list_len", "n_digits", "d_model"])[["per_list", "per_token"]].min()
own = ranked[(ranked.list_len == 2) & (ranked.n_digits == 100) & (ranked.d_model == 64)]
good = float((own.per_list >= 0.999).mean())
print(f"of {len(own)} seeds on two splits, {good:.0%} have .999 or more of held-out lists right")
claims += [at_least("ranked: seeds with .999 of held-out lists right, share", good, 0.95)]
sizes = {"width 8": (2, 100, 8), "three of 100 digits": (3, 100, 64)}
sizes |= {"four of 30 digits": (4, 30, 64), "five of 30 digits": (5, 30, 64)}
for what, size in sizes.items():
    name = f"ranked: {what}, held-out lists right, lowest seed"
    claims += [at_least(name, float(least.per_list[size]), 0.99 if size[:2] == (3, 100) else 0.999)]

# %% [markdown]
# Lists of three, four and five in two layers: 07 found that, for most seeds to copy in 1,500 steps, the usual start needs a layer
# more for lists of three than for pairs, and that no depth tried was enough for four. Lists themselves do not need that depth.
#
# The same, here and now, with fewer digits and steps (few for the usual start, which also has another recipe in the study preset):

# %%
live = Config.preset("ranked", n_digits=min(config.n_digits, 20), steps=options.live_steps)
live = live.replace(warmup_steps=live.steps // 5, lr=1e-3, eval_every=max(1, live.steps // 20))
starts = {"ranked": "ranks", "usual": "random"}
runs = {name: train(live.replace(start=kind), "none").history for name, kind in starts.items()}
points = {
    f"{name} start": np.array([(one.step, one.held_out.per_list) for one in run.evaluations]).T
    for name, run in runs.items()
}
ends = {name: run.best.held_out.per_list for name, run in runs.items()}
title = f"Ranked start: {ends['ranked']:.0%} of held-out lists; usual start: {ends['usual']:.0%}"
figure = lines(points, title, "optimiser steps", "held-out lists right", y_range=(0, 1.03))
show(figure, alt=f"Share of held-out lists right in the course of training. {title}.", main=True)

# %%
name = "here and now: {} start, held-out lists right"
claims.append(at_least(name.format("ranked"), ends["ranked"], 0.9, established))
claims.append(at_most(name.format("usual"), ends["usual"], 0.6, established))

# %% [markdown]
# ## What of it is needed
#
# Take the sketch away part by part (two seeds of no table above; 5,000 steps at $3 \cdot 10^{-4}$, from the usual start by the
# study preset's recipe). *Values* and *scores* are the digits' places where SEP adds them up and where it compares them, *places*
# the multiple $1/s$ in the first place and at SEP, *constants* the 1/2 at SEP and o1 that the parabola is multiplied by, *lever* the $w$ at
# the same two, *turns* what wires o2's attention to the order, *line* and *parabola* the two parts of the unembedding.

# %%
figures = ["start_per_list", "train_per_list", "per_list"]
show_frame(tables.by_attempt("ranked_parts", figures))

# %% [markdown]
# Three lessons. *The digits' embeddings need no places to start from*: without values, scores and constants, every digit's
# embedding and SEP's comparison start at random, as a fiftieth of the library's weights, and nothing is lost. It is enough
# that the readout orders them. What is needed is the rest, each
# piece of it: the wiring by which o2 looks away (*turns*, *lever*), the multiple $1/s$, and an unembedding that reads one
# number off a line. Half of the unembedding is worse than none: with neither line nor parabola the usual unembedding is
# learned, and copies most lists. *And outside the unembedding the random weights around it must be small*: with all of them instead of a fiftieth the
# whole code copies hardly any list, by either recipe (*noise 1 on all parts*, *usual start with all parts*). *None of the pieces
# helps the usual start alone*: it ends where it ended, or worse. As the whole does not help it either, that says nothing of what
# a piece is worth among small weights. Nor do
# larger positions, a larger unembedding or smaller embeddings, a penalty on the weights' sizes (*pulled to 0*), or the two
# penalties that the explanation above calls for (*in the loss*): on *content*, what an evenly mixed separator says of a pair,
# and on the *offset* $c$ between the places. The largest of the latter ends a little higher, by less than its two seeds differ.
# Of rates of their own for each group of weights (*times as fast*) only faster positions gain a little.
#
# ## From the hand-built weights
#
# Does training keep the exact code, and find it again when it is disturbed? All weights, or one group alone (the others frozen
# by hand), with noise in units of the usual initial weights.

# %%
figures = ["start_per_list", "end_per_list", "train_per_list"]
show_frame(tables.by_attempt("ranked_near", figures))

# %% [markdown]
# With everything free, training does not even keep the exact code: from the exact weights, without noise, it ends
# (`end_per_list`) with hardly a list right. (`train_per_list` is of the weights of the lowest training loss: here the exact ones,
# before any step.) The step is so small and the lever so large that the optimiser's smallest steps, which
# have the size of its rate whatever the gradient is, move every reading by many digits, and it finds no way back from any
# noise. One group alone is another matter. Positions are found again, embeddings nearly, the unembedding does not notice; query
# and key are lost, as it is they that must be exact. So at this rate the code has to be *coarse* to be learned: fine constants
# are for copying, not for learning.
#
# **How the constants decide.** One changed at a time, on lists of three of a hundred digits, where nothing is easy. The rule was
# set on seed 101 before any other was trained; these are that seed and another.

# %%
show_frame(tables.by_attempt("ranked_rule", ["train_per_list", "per_list"]))

# %% [markdown]
# The lever matters most, either way. Then come the learning rate, as the tuning above found on other seeds, and more noise. Smaller
# scores cost a little, the size of the logits hardly anything.
#
# ## Is it the same code?
#
# The ranked model has one order axis as the trained one does: scores and readout agree. But they do so before any training too,
# but for the sign (second table): most of it is given, not learned. Its scores lie so close that every list is a near tie (no others to
# count), so what compares is *all* lists. Order is the smaller in hardly any of them (first row below), in the trained model in
# most (*all*, in the control above):

# %%
show_frame(tables.over_seeds(own, content_and_order.OF_NEAR_TIES), digits=3)
show_frame(tables.before_training(range(3)), digits=5)

# %% [markdown]
# But it is not the same code. Two directions hold nearly all of the separator's variance. Do they hold the code?
# And does a sparse autoencoder, which found the trained model's digits one by one (06), see that?

# %%
of_run = f"this run's, {config.n_digits} digits, start {config.start}"
codes = {of_run: trained.model, "ranked": load_or_train(Config.preset("ranked")).model}
settings = sae.SAEConfig(d_sae=128, k=3, steps=max(20, 2 * options.live_steps))
rows = []
for name, model in codes.items():
    held = separator.separator_of(model)
    found, _ = sae.train_sae(held.vectors, settings)
    kept = separator.quality(held, found.decode(found.encode(held.vectors)))
    plane = content_and_order.through_directions(weights_of(model, torch.float64), 2)
    kinds_found = latents.match_latents(held, found).frame.kind.value_counts()
    rows.append((name, *plane, kept.explained, kept.per_list, kinds_found.get("digit", 0)))
names = ["model", "variance in two directions", "lists right through them", "explained by the SAE"]
show_frame(pd.DataFrame(rows, columns=[*names, "lists right through it", "digit latents"]))

# %% [markdown]
# Neither does. Through the two directions half of the lists are lost: the code is not two numbers, as the hand-built one can be.
# The autoencoder explains as much of the variance and loses nearly as many lists, and of its 128 latents hardly any is a digit's.
# What is left of the variance is small, but it decides many lists.

# %% [markdown]
# ## What it corrects
#
# With thanks to the study, without which none of this would have been asked. Its words, and what the same
# architecture does here:

# %%
same = "the same, ranked start, held-out outputs, lowest seed"
measured = {f"width {d}": (same, float(least.per_token[2, 100, d])) for d in (64, 32, 8)}
measured |= {f"width {d}, best": measured[f"width {d}"] for d in (64, 8)}
lists = {"length 3": (3, 100, 64), "length 4": (4, 30, 64)}
for what, size in lists.items():
    words = f"two layers, {size[1]} digits, ranked start, lists, lowest seed"
    measured[what] = (words, float(least.per_list[size]))
show_frame(tables.corrections(measured))

# %% [markdown]
# ## See it for yourself
#
# The page below computes three models as you touch it: the study's trained model, the one from the ranked start, and the
# hand-built one of two numbers. Choose a list, swap it, move SEP along the order axis, cut an edge. Three things to try. Go through the
# failing lists of the trained model: the digits of nearly all of them are near in SEP's order. Freeze o2's attention, in any of
# the models: lemma 1 says that at least one order of each pair is lost, and the map shows it. Then take the hand-built model and see how
# little its two attention weights differ, by less than a thousandth: that is all the order there is, and it is enough.

# %%
show_explorer()

# %% [markdown]
# ## What we know now, and what is open
#
# The architecture copies every list. From the usual start training stops at near ties, at o2. The wiring, the readout and small
# weights around them are enough of a start. Open:
#
# - why training stops there: order smaller than content is not the reason by itself, as most such lists are right;
# - the least width for lists of three and more: $L$ numbers suffice, one does not;
# - the seed notebook's decoding, where an output reads what was written before it and looks at itself: this code is not tried there
#   (o1 holds the first digit itself, so that a simpler one may do);
# - LayerNorm, which divides by the size of the residual and would need a constant axis to undo it; rotary positions, which give
#   the two digits no vectors of their own to multiply the difference by (07: with one head and no LayerNorm, no two-layer model with
#   them copies both orders of a pair);
# - for fixed attention above 1/2, how close to $1 - (n - 1)/n^2$ weights can get;
# - whether a start without any sketch gets there: none of the attempts above did.
#
# %% [markdown]
# ## Claims

# %%
check_claims("08_construction", claims)
