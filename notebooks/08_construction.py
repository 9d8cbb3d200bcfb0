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
# stops a trained model. Training is: it tells digits apart by their content, and where two digits look alike
# to the separator, content drowns their order. Started from a rough sketch of the code, with the digits in
# random order, the same architecture learns to copy the lists it never saw.
#
# **What that start knows.** How the code works: a line, a place on it for each digit, how an output looks away
# from the separator. **What it does not know.** Which digits are in the data, which lists are trained on, and
# constants good enough to copy: before the first step it copies about one list in two thousand.
#
# **You need** to have seen what the separator's attention does (05_circuit). **It takes** about a minute.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/REPOSITORY/blob/main/notebooks/08_construction.ipynb)

# %% tags=["setup"]
import os
import sys

if "google.colab" in sys.modules:
    package = os.environ.get("LISTCOMP_PACKAGE", "git+https://github.com/OWNER/REPOSITORY")
    get_ipython().run_line_magic("pip", f"install -q {package}")
elif not os.environ.get("LISTCOMP_HEADLESS"):
    get_ipython().run_line_magic("load_ext", "autoreload")
    get_ipython().run_line_magic("autoreload", "2")

# %% nbmake={"mock": {"d_model": 16, "eval_every": 20, "live_steps": 20, "n_digits": 8, "steps": 40}} tags=["parameters"]
# Parameters: change a value here, or add any other field of Config
preset: str = "study"  # starting point, "seed", "study" or "ranked"; None below keeps its value
n_digits: int = None  # different digits
seed: int = None  # weights and order of the batches
retrain: bool = False  # train again even when a model of this very config is saved
drive_dir: str = None  # on Colab: keep models in this folder of your Drive
artifacts_dir: str = None  # keep models in this folder instead of artifacts/runs/checkpoints
checkpoint: str = None  # analyse this .safetensors or classic .pt instead of training
sample_list: list = None  # the list to compute by hand, two of ten digits; None is 8, 3
live_steps: int = 600  # steps of the small training that runs here

# %%
from listcomp_utils.circuit.subject import subject_of
from listcomp_utils.config import Config
from listcomp_utils.notebook.parameters import (
    artifacts_folder,
    example_list,
    is_established,
    read_parameters,
)

config, options = read_parameters(globals())
folder = artifacts_folder(options.artifacts_dir, options.drive_dir)
ten = Config.preset("study", n_digits=10, d_model=2, device="cpu")
digits = example_list(ten, options.sample_list)
subject = subject_of(config, options.checkpoint)
config = subject.config
established = is_established(config) and options.checkpoint is None
if subject.because:
    print(f"{subject.because}.\nThe trained model analysed here is {config.slug}")

# %%
import numpy as np
import pandas as pd
import torch

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.construction.content_and_order import along_path, at_logit_size
from listcomp_utils.construction.fixed_attention import fixed_attention_bound, train_fixed_attention
from listcomp_utils.construction.lemmas import (
    near_ties,
    order_is_needed,
    pair_margins,
    predicted_sums,
    upper_certificate,
)
from listcomp_utils.construction.published import corrections
from listcomp_utils.construction.sandwich import sandwich
from listcomp_utils.construction.weights import (
    Constants,
    assemble,
    digit_values,
    hand_built,
    proof,
)
from listcomp_utils.features.latents import match_latents
from listcomp_utils.features.sae import SAEConfig, train_sae
from listcomp_utils.features.separator import quality, separator_of
from listcomp_utils.generation import accuracy, generate
from listcomp_utils.hooks import run_all
from listcomp_utils.model import make_model
from listcomp_utils.notebook.claims import at_least, at_most, check_claims, equals, shown
from listcomp_utils.notebook.show import show, show_frame
from listcomp_utils.plots import curves as figures
from listcomp_utils.representation import principal_components
from listcomp_utils.sweeps.table import read_table, summarise
from listcomp_utils.task import lists_to_score
from listcomp_utils.training.loop import train

# %% [markdown]
# ## A transformer computed by hand
#
# The smallest model that copies lists of two: a residual stream of **two numbers**, ten digits. Call the two
# numbers *value* and *constant*. Digit $t$ stands for the number $x_t = t - 4.5$, so that the ten digits lie
# evenly around zero. These are all of its weights that are not zero (two constants are chosen, a small *step*
# $s$ = 1/128 and a large *lever* $w$ = 256):

# %%
step, lever = 1 / 128, 256.0
small = assemble(ten, Constants(step, lever), torch.float64)
w = weights_of(small, torch.float64)
E, P, U, (compare, turn) = (part.numpy() for part in (w.token, w.position, w.unembed, w.query_key))
inputs = pd.DataFrame(
    {
        "input": [f"d1 = {digits[0]}", f"d2 = {digits[1]}", "SEP", "o1", "o2"],
        "value": [*(E[digits, 0] + P[:2, 0]), *P[2:, 0]],
        "constant": [*(E[digits, 1] + P[:2, 1]), *P[2:, 1]],
    }
)
show_frame(inputs, digits=3)

# %% [markdown]
# A digit's *value* is $x_t$ and its place: $+1/s$ in the first place, $-1/s$ in the second. Layer 0 moves the
# two digits into the separator. SEP scores a digit by $s\,x_t$ (the places' parts cancel against *constant*), so
# that its two attention weights differ by about $s\,(x_1 - x_2)/2$: a tiny difference, which the places multiply
# by $1/s$. Watch *value* at SEP: it should come out as $x_1$, less the lever.

# %%
d1, d2, sep, o1, o2 = inputs[["value", "constant"]].to_numpy()
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
for name, held in (("o1", o1_after), ("o2", o2_after)):
    print(
        f"{name} holds value {held[0]:.3f}, constant {held[1]:.4f}: it reads {held[0] / held[1]:.3f}"
    )
print(f"o2 attends to SEP by {beta:.5f}; x is {digits[0] - 4.5} and {digits[1] - 4.5}")

# %% [markdown]
# The unembedding turns a number into a digit. Digit $t$ has the logit $2 x_t\,$value $- x_t^2\,$constant, a
# parabola in $x_t$ that is largest where $x_t$ is nearest to value / constant. No digit in between can win and a
# doubled digit needs no case of its own. The logits of all ten, and what the model itself makes of the list:

# %%
by_hand = np.stack([o1_after, o2_after]) @ U[:, :10]
logit_rows = pd.DataFrame(by_hand.round(1), columns=[str(t) for t in range(10)])
logit_rows.insert(0, "output", ["o1", "o2"])
show_frame(logit_rows, digits=1)
seen = run_all(small, torch.tensor([digits]))
by_model = seen.logits[0, 3:, :10].numpy()
by_hand_difference = float(np.abs(by_model - by_hand).max() / np.abs(by_hand).max())
print(f"by hand {by_hand.argmax(1)}, by the model {generate(small, [digits])[0].tolist()}; ")
print(f"largest difference of a logit: {by_hand_difference:.1e} of the largest")
print(f"all lists of two out of ten digits: {accuracy(small).per_list:.4f} right")

# %% [markdown]
# <details><summary><b>Question.</b> What happens to the copies when the lever is 8 instead of 256? Change
# <code>lever</code> in the first cell of this section and guess before you run it.</summary>
# The second output's reading errs by about $x_1 (x_1 - x_2) / 2w$. With $w = 8$ that is up to two and a half digits,
# so that lists with far-apart digits come out wrong at o2, while o1 does not care.
# </details>
#
# ## Every list, and how we know
#
# The same code for any list length: one more number for each output's turn, or one more each for clean axes.
# `hand_built` chooses the step and the lever by itself. For as many lists as can be run, we run them.

# %%
SIZES = [(100, 2, 2), (100, 2, 64), (100, 3, 3), (100, 3, 8), (100, 5, 12), (10, 6, 14)]
if not established:
    SIZES = [(config.n_digits, 2, 2), (min(config.n_digits, 10), 3, 3)]
ran = []
for n, length, width in SIZES:
    size = Config.preset("study", n_digits=n, list_len=length, d_model=width, device=config.device)
    some = lists_to_score(size, most=50_000, seed=1)
    right = accuracy(hand_built(size), some).per_list
    bound = float(proof(size).error.max())
    ran.append((n, length, width, f"{len(some):,} of {size.n_lists:,}", right, bound))
names = ["digits", "list length", "d_model", "lists run", "right", "error bound"]
ran = pd.DataFrame(ran, columns=names)
show_frame(ran)

# %% [markdown]
# Two numbers suffice for lists of two, and one number cannot do it for three digits or more: with one number
# every logit is a multiple of it, so that only the digits with the largest and the least unembedding are ever
# written. For lists of $L$ digits the construction needs $L$ numbers; whether fewer suffice is open.
#
# **The proof.** Taylor's theorem says what the small step and the large lever leave out. To second order
#
# $$\mathrm{o}_j \text{ reads } x_j + \tfrac{s}{2}\left[(x_j - \bar x)^2 + \operatorname{var}(x)\right]
# + \frac{x_1 (x_1 - x_j)}{2 w} ,$$
#
# and the rest is bounded by third derivatives. Both terms have a largest and a least value over *all* lists, at
# the ends of the line. If these, and what rounding adds, stay below 1/2, half of what lies between two digits, then every
# list is right. Nothing has to be run, so that the million million lists of six digits out of a hundred are covered:

# %%
six = Config.preset("study", list_len=6, device="cpu")
bounds = proof(six)
show_frame(bounds)
print(f"all {six.n_lists:,} lists of {six.list_len} digits proven: {bounds.proven.all()}")

# %% [markdown]
# Is the bound close to the truth, or is it only safe? Run all lists of the hand-built model in float64, where
# rounding is nothing, and hold the largest error of what each output reads against the exact part of the bound.

# %%
wide = Config.preset("study", n_digits=min(config.n_digits, 100), d_model=4, device="cpu")
chosen = Constants(2.0**-16, 2.0**15)
every = lists_to_score(wide, most=10_000)
residuals = run_all(assemble(wide, chosen, torch.float64), every).residuals[:, -1, 3:]
reads = residuals[..., 0] / residuals[..., 1]
largest = (reads - digit_values(wide)[every]).abs().amax(0)
exact = proof(wide, torch.float64, chosen)
show_frame(exact.assign(largest_error=largest)[["output", "exact_high", "largest_error"]], digits=5)
tight = float((largest / torch.tensor(exact.exact_high)).min())

# %% [markdown]
# **The frontier.** A smaller step needs more exact attention weights, so that the precision decides how many
# digits fit: about its rounding to the power -1/2. Proven by the bound, and measured as the most digits with
# which all lists (or, of more than 100,000, the 40,000 hardest) are still copied:

# %%
frontier = read_table("construction_frontier")
frontier = frontier.rename(columns={"dtype": "dtype_name"})
frontier["measured / proven"] = frontier.copied / frontier.proven
show_frame(
    frontier[["list_len", "d_model", "dtype_name", "proven", "copied", "measured / proven"]], 2
)

# %% [markdown]
# In float64 the bound allows more digits than a model here may have. In bfloat16, which keeps eight binary digits, a
# worst-case bound proves almost nothing, and five or six digits still work.
#
# ## What any weights must do
#
# The hand-built model shows what is possible. Five lemmas say what is *necessary*, whatever the weights. For a pair
# of digits $a, b$ let $w = U_a - U_b$, $v$ and $v'$ what SEP holds on $(a, b)$ and $(b, a)$, $\beta$ and $\beta'$
# how much o2 attends to SEP on them, $p$ and $q$ what $w$ reads off the inputs at o1 and o2. A *margin* is the logit of
# an output's own digit, less that of the list's other digit.
#
# Each is tested on three kinds of weights: trained, set by hand, and random.

# %%
trained = load_or_train(config, folder, options.retrain, checkpoint=options.checkpoint)
built = hand_built(Config.preset("study", n_digits=config.n_digits, d_model=4, device="cpu"))
random = make_model(config.replace(seed=config.seed + 1, start="random", device="cpu"))
kinds = {
    "trained": (config, weights_of(trained.model, torch.float64)),
    "by hand": (built.listcomp_config, weights_of(built, torch.float64)),
    "random": (config, weights_of(random, torch.float64)),
}
print(f"trained: {trained.path.name}")

# %% [markdown]
# **Lemma 1: o2 must look away in turn.** Both outputs right in both orders needs $w v > -p > w v'$ at o1, and at o2
# $q + p + \beta (w v - p) < 0 < q + p + \beta' (w v' - p)$. *Proof that $\beta$ must differ.* If o2 pays SEP the same
# attention in both orders, $p$ and $q$ cancel from the second condition and leave $w v < w v'$, the opposite of the
# first. So at most one order of each pair can be right, and with the doubled digits that is $(n + 1) / 2n$ of all
# lists. The same holds if SEP's vector ignores the order. We expect no pair to survive either edit:

# %%
needed = pd.concat(
    {name: order_is_needed(*kind) for name, kind in kinds.items()}, names=["weights"]
)
show_frame(needed.reset_index())
edited = needed.drop(index="nothing", level="edit")

# %% [markdown]
# **Lemma 2: the readout follows the score.** With $d = s_a - s_b$ the difference of the two scores, $c$ what the two
# places add to it, $\delta_t = U_t (P_1 - P_2)$ and $\Gamma = w (E_a - E_b)$, the margins of both orders at o1 add up to
#
# $$\frac{\sinh(d)\,(\delta_a - \delta_b) + \sinh(c)\,\Gamma}{\cosh d + \cosh c} .$$
#
# *Proof.* $v - v' = (\alpha + \alpha' - 1)(E_a - E_b) + (\alpha - \alpha')(P_1 - P_2)$, and both $\alpha$ are sigmoids of
# $c \pm d$. With $c = 0$ only the order's part is left: both orders can be right only if the unembedding orders the digits
# along $P_1 - P_2$ as the scores do. That is why 05 found the two so alike.

# %%
sums, refused = {}, {}
for name, kind in kinds.items():
    predicted = predicted_sums(*kind)
    margins = pair_margins(*kind)
    off = (predicted.o1_order + predicted.o1_content - margins.o1_sum).abs().max()
    sums[name] = float(off / margins.o1_sum.abs().max())
    refused[name] = upper_certificate(*kind)
print("largest difference from the formula:", {k: f"{v:.0e}" for k, v in sums.items()})

# %% [markdown]
# **Lemma 3: an upper certificate.** A list is right at an output only if its own digit beats the list's other digit. If
# the two orders' margins add up to 0 or less, one of them is 0 or less, and that list is wrong, whatever the other
# digits do. Counting such pairs bounds the accuracy from above without running one list.
#
# **Lemma 4: near ties cost quadratically.** With $c = 0$ and a readout linear in the score, the sum is
# $\text{slope} \cdot d \tanh(d / 2)$, about $\text{slope} \cdot d^2 / 2$: half the distance leaves a quarter to share.

# %%
ties = {name: near_ties(*kind) for name, kind in kinds.items()}
show_frame(
    pd.DataFrame(
        {
            "weights": list(kinds),
            "pairs refused at o2": [one.pairs_at_o2 for one in refused.values()],
            "lists right, at most": [one.per_list for one in refused.values()],
            "exponent of the sum": [one.exponent for one in ties.values()],
            "left between neighbours": [one.left for one in ties.values()],
        }
    ),
    digits=5,
)
offered = ties["trained"].left_evenly
print(
    f"evenly spaced over the same scores, neighbours would keep {offered:.1e} of the readout's range"
)

# %% [markdown]
# **Lemma 5: fixed attention copies no pair.** Suppose SEP's two attention weights were the same on all lists. *Then no pair of
# digits is ever copied in full, at any width.* Proof: on the four lists of a pair, SEP's vectors lie on a line, (b,b),
# (b,a), (a,b), (a,a) at 0, $1 - \alpha$, $\alpha$, 1. Along a line o2's score $z$ is affine, and what decides o2, divided by
# $\beta$, is an affine function plus a multiple of $1 + e^{-z}$: convex or concave, with at most two changes of sign. For $\alpha
# > 1/2$ o2 needs three. For $\alpha < 1/2$ the middle two change places, and o1, which is affine, would need three. At $1/2$
# two of the lists are one vector. So at most $1 - (n - 1)/n^2$ of all lists are right, and for $\alpha \le 1/2$ at most
# $(n + 1)/2n$. The proof only needs the four lists to share $\alpha$: *two digits with the same score are never both copied in both
# orders.* Trained with frozen attention and, as a control, with attention that learns, two digits:

# %%
frozen = []
for alpha in (0.3, 0.5, 0.7, None):
    run = train_fixed_attention(2, 8, alpha, seed=0, steps=1_500)
    frozen.append(("learned" if alpha is None else alpha, run.per_list, run.bound, run.copied))
fixed_copied = max(copied for alpha, *_, copied in frozen if alpha != "learned")
show_frame(pd.DataFrame(frozen, columns=["attention", "lists right", "bound", "pairs copied"]))
print(f"the bound at 100 digits: {fixed_attention_bound(100, 0.7):.4f} above 1/2, ")
print(f"{fixed_attention_bound(100, 0.5):.4f} at 1/2 and below")

# %% [markdown]
# ## The accuracy, from both sides
#
# How much of a model's accuracy can be *proven* from its weights, at less cost than running every list? A list is wrong
# as soon as one token beats its own: one logit is a proof. Being right needs a bound on all tokens. `sandwich` sorts the
# lists into cells in which the logits of a token, which are linear in three numbers of a list, are largest at a corner; each
# digit ranks the tokens by that, and tokens that neither of a list's digits names stay below a threshold. Undecided cells are
# halved.

# %%
proven = {name: sandwich(*kind) for name, kind in kinds.items()}
over_seeds = read_table("construction_study")
show_frame(
    pd.DataFrame(
        {
            "weights": list(kinds),
            "at least": [one.lower for one in proven.values()],
            "at most": [one.upper for one in proven.values()],
            "operations": [one.operations for one in proven.values()],
        }
    )
)
gap = (over_seeds.proven_at_most - over_seeds.proven_right).max()
print(f"over {len(over_seeds)} seeds of the study preset the two differ by at most {gap:.1e},")
print(f"at {over_seeds.share_of_operations.mean():.2f} of the operations of every logit")

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
# order outweighed content in them. Each row is a share, over the seeds of the study preset:

# %%
rows = {
    "outweighed": "near ties in which order is smaller than content",
    "near_at_o1": "near ties right at o1",
    "trained_near": "lists right: near ties, trained on",
    "held_out_near": "lists right: near ties, held out",
    "trained_far": "lists right: others, trained on",
    "held_out_far": "lists right: others, held out",
    "missed": "held-out lists wrong",
    "missed_at_o2": "of these, wrong at o2",
}
table = over_seeds[list(rows)].agg(["mean", "min", "max"]).T
show_frame(table.rename(index=rows).reset_index(names=f"{len(over_seeds)} seeds"), digits=3)

# %% [markdown]
# Half of it holds, in every seed. Order is the smaller in *all* near ties, they are where lists fail, and those trained on fail
# less than those held out. But o1 is right in nearly all of them: its bias cancels content, pair by pair. The failures are at
# **o2**. The two places add a little to the scores (the offset $c$), so that SEP prefers the first digit in both
# orders, and content becomes a margin for o1 *in both*. o2 reads what o1 holds with the opposite sign: it pays. If
# that is so, lemma 3 should name the lists that fail, from closed forms, without a single fit, and without
# o1's content it should name none:

# %%
rows = {
    "impossible": "near ties of which lemma 3 refuses one order",
    "without_content": "the same, were o2 not to pay for o1's content",
    "precision": "held-out lists it names that are wrong",
    "recall": "wrong held-out lists that it names",
    "foretold": "precision-recall area of the scores' closeness alone",
    "contents_alike": "held-out lists right, both contents at SEP weighed alike",
}
table = over_seeds[list(rows)].agg(["mean", "min", "max"]).T
show_frame(table.rename(index=rows).reset_index(names=f"{len(over_seeds)} seeds"), digits=3)

# %% [markdown]
# So training stops at near ties: the ways out (larger order, no offset) are small steps down for the loss of those few lists and
# steps up for all the others. Which order of an impossible pair loses is learned by heart, and the held-out ones lose. Nor is it mended by an
# edit: weigh both contents alike, and fewer lists are right, as the rest was trained with them.
#
# **Would larger logits do?** Scale the unembedding, so that the largest logit has a given size, and look at the loss:

# %%
sizes = [3e2, 1e3, 3e3, 3e4, 3e5]
losses = {name: at_logit_size(*kinds[name], sizes).set_index("largest_logit") for name in kinds}
show_frame(pd.concat({name: one.loss for name, one in losses.items()}, axis=1).reset_index())
as_wide = hand_built(config.replace(device="cpu"))
path = along_path(*kinds["trained"], weights_of(as_wide, torch.float64), [0, 0.01, 0.5, 0.99, 1])
show_frame(path)

# %% [markdown]
# For the trained weights the loss has its least near their own size: larger logits only make what is wrong more wrong. For the
# hand-built ones it falls without end, and is *larger* than the trained model's as long as logits are small. So training, which starts with
# small logits, has no reason to go there. Nor is there a straight way (the last table: shares of the way from the trained to the
# hand-built weights, digits renamed to have the same order): nothing on it copies. How high its losses are means little, as
# the hand-built axes have sizes of their own.
#
# %% [markdown]
# ## A start from which training gets there
#
# If content drowns order because the usual start knows contents only, begin with order. The preset `ranked` is the
# study's model and split, unchanged: two layers, one head, 64 wide, the same 8,000 lists to train on. Only its
# initial weights differ. They hold a rough sketch of the code above: every digit has a place on the line, *dealt by the
# seed*, step and lever are coarse, a fiftieth of the usual random weights lies on top. Its three constants follow from the
# number of digits: scores up to $3/n$, a lever of $0.6\,n$, logits of $3 n^2$.
#
# We expect it to copy nothing at first, and to learn. It would be refuted if held-out lists stayed behind.

# %%
ranked = read_table("ranked")
cases = ["list_len", "n_digits", "d_model", "split_seed"]
learned = summarise(ranked, cases, ["per_list", "train_per_list", "seconds"])
columns = [*cases, "seeds", "per_list", "per_list_min", "train_per_list", "seconds"]
show_frame(learned[columns])
usual_right = over_seeds.per_list
print(f"held-out lists right; beside it the usual start, {len(usual_right)} seeds: ")
print(f"mean {usual_right.mean():.4f}, {usual_right.min():.4f} to {usual_right.max():.4f}")
own = ranked[(ranked.list_len == 2) & (ranked.n_digits == 100) & (ranked.d_model == 64)]
good = int((own.per_list >= 0.999).sum())
print(f"of {len(own)} seeds on two splits, {good} have .999 or more of the held-out lists right")

# %% [markdown]
# Lists of three, four and five in two layers: 07 found that the usual start needs a layer more for each digit, and no depth
# for four. Depth is what that start needs, not what lists need.
#
# The same, here and now, with fewer digits and steps:

# %%
live = Config.preset("ranked", n_digits=min(config.n_digits, 20), steps=options.live_steps)
live = live.replace(warmup_steps=live.steps // 5, lr=1e-3, eval_every=max(1, live.steps // 20))
runs = {start: train(live.replace(start=start), "none").history for start in ("ranks", "random")}
points = {
    start: [(e.step, e.held_out.per_list) for e in run.evaluations] for start, run in runs.items()
}
live_right = {start: run.best.held_out.per_list for start, run in runs.items()}
show(
    figures.lines(
        {start: tuple(zip(*values, strict=True)) for start, values in points.items()},
        "Held-out lists are copied from the ranked start, and not from the usual one",
        "optimiser steps",
        "held-out lists right",
        y_range=(0, 1.03),
    ),
    alt="Share of held-out lists right against optimiser steps, from the ranked and the usual start.",
    main=True,
)

# %% [markdown]
# ## What of it is needed
#
# Take the sketch away part by part (two seeds that were used for nothing else, the same 5,000 steps). *Values* and *scores*
# are the digits' places where SEP adds them up and where it compares them, *places* the multiple $1/s$ at the two positions,
# *turns* what wires o2's attention to the order, *line* and *parabola* the two parts of the unembedding.

# %%
parts = read_table("ranked_parts")
by_part = summarise(parts, ["attempt"], ["start_per_list", "train_per_list", "per_list"])
figures_of = ["attempt", "start_per_list", "train_per_list", "per_list", "per_list_min"]
show_frame(by_part[figures_of])

# %% [markdown]
# Two lessons. *The digits need no places to start from*: without values, scores and constants, every digit's embedding and SEP's
# comparison start as they always do, and nothing is lost. What is needed is the rest, each piece of it: the wiring by which o2 looks away
# (*turns*, *lever*), the multiple at the two places, and an unembedding that reads one number off a line. Half of the unembedding is
# worse than none: with neither line nor parabola the usual unembedding is learned and copies seven lists in ten, with small logits all but a
# few. *None of the pieces helps the usual start alone*: it ends where it ended, or does not leave the plateau. Nor do
# larger positions, a larger unembedding or smaller embeddings.
#
# ## From the hand-built weights
#
# Does training keep the exact code, and find it again when it is disturbed? All weights, or one group alone (the others frozen
# by hand), with noise in units of the usual initial weights.

# %%
near = read_table("ranked_near")
by_noise = summarise(near, ["attempt"], ["start_per_list", "end_per_list", "train_per_list"])
show_frame(by_noise[["attempt", "start_per_list", "end_per_list", "train_per_list"]])

# %% [markdown]
# Training does not even keep the exact code: from the exact weights, without noise, it ends (`end_per_list`) with nothing right. The step is so
# small and the lever so large that the optimiser's smallest steps, which have the size of its rate whatever the gradient is, move every
# reading by many digits. The code has to be *coarse* to be learned; fine constants are for copying, not for learning.
#
# **How the constants decide.** One changed at a time, on lists of three of a hundred digits, where nothing is easy. The rule was
# set on seed 101 by the training lists; these are that seed and another.

# %%
rule = read_table("ranked_rule")
by_rule = summarise(rule, ["attempt", "lr"], ["train_per_list", "per_list"])
show_frame(by_rule[["attempt", "lr", "seeds", "train_per_list", "per_list", "per_list_min"]])

# %% [markdown]
# ## Is it the same code?
#
# The ranked model has one order axis as the trained one does (scores and readout agree), and all of its near ties are right because order
# outweighs content in them. But it is not the same code. Its digits lie on a line: two directions hold nearly all of the separator.
# Does a sparse autoencoder, which found the trained model's digits one by one (06), see that?

# %%
pairs_model = load_or_train(Config.preset("ranked", device="cpu")).model
seen_as = {}
for name, model in {"usual start": trained.model, "ranked start": pairs_model}.items():
    held = separator_of(model)
    sae, _ = train_sae(
        held.vectors, SAEConfig(d_sae=128, k=3, steps=max(20, 2 * options.live_steps))
    )
    kept = quality(held, sae.decode(sae.encode(held.vectors)))
    kinds_found = match_latents(held, sae).frame.kind.value_counts()
    two = float(principal_components(held.vectors).explained[:2].sum())
    seen_as[name] = [two, kept.explained, kept.per_list, kinds_found.get("digit", 0)]
columns = [
    "variance in two directions",
    "explained by the SAE",
    "lists right through it",
    "digit latents",
]
show_frame(pd.DataFrame(seen_as, index=columns).T.reset_index(names="model"))

# %% [markdown]
# It does not: the autoencoder explains as much of the variance, half of the lists are lost through it, and its latents are no
# digits. A code of two numbers, read to a hundredth, is dense; a small share of its variance is most of its content.

# %% [markdown]
# ## What it corrects
#
# With thanks to the study, without which none of this would have been asked. Its words, and what the same
# architecture does here:


# %%
def lowest(length, n=100, width=64):
    """Held-out lists and outputs right of the ranked seeds of a size, the lowest."""
    rows = ranked.query("list_len == @length and n_digits == @n and d_model == @width")
    return rows.per_list.min(), rows.per_token.min()


measured_here = {
    "width 64": ("the same, ranked start, held-out outputs, lowest seed", lowest(2)[1]),
    "width 32": ("the same, ranked start, held-out outputs, lowest seed", lowest(2, 100, 32)[1]),
    "width 8": ("the same, ranked start, held-out outputs, lowest seed", lowest(2, 100, 8)[1]),
    "length 3": ("two layers, ranked start, lists, lowest seed", lowest(3)[0]),
    "length 4": ("two layers, 30 digits, ranked start, lists, lowest seed", lowest(4, 30)[0]),
}
show_frame(corrections(measured_here))

# %% [markdown]
# ## What we know now, and what is open
#
# The architecture copies every list; what a trained model lacks is order that outweighs content, and a start that sketches the
# order is enough. Open:
#
# - the least width for lists of three and more: $L$ numbers suffice, one does not;
# - the seed notebook's decoding, where an output reads what was written before it: o1 holds the first digit's embedding there,
#   so that an easier code exists, and this one is not tried;
# - LayerNorm, which divides by the size of the residual and would need a constant axis to undo it; rotary positions, which give
#   the two digits no vectors of their own to multiply the difference by (07: no two-layer model with them tells orders apart);
# - for fixed attention above 1/2, how close to $1 - (n - 1)/n^2$ weights can get;
# - whether a start without any sketch gets there: none of the attempts above did.
#
# %% [markdown]
# ## Claims

# %%
lemma_1 = float(edited.both_orders.max())
ratio = (frontier.copied / frontier.proven)[frontier.dtype_name == "float32"]
by_hand_claims = [
    equals("ten digits by hand, lists right", accuracy(small).per_list, 1.0),
    at_most(
        "ten digits by hand against the model, of the largest logit", by_hand_difference, 1e-12
    ),
    equals("hand-built, lists right, least of the sizes", float(ran.right.min()), 1.0),
    equals("all lists of six digits out of a hundred proven", bool(bounds.proven.all()), True),
    at_least("largest error, of the exact bound", tight, 0.9, applies=established),
    at_most("float32: most digits copied over most proven, largest", float(ratio.max()), 1.6),
    at_most("lemma 1: pairs copied in both orders after an edit", lemma_1, 0.0),
    at_most("lemma 2: largest difference from the formula", max(sums.values()), 1e-10),
    equals("lemma 4: exponent, trained", ties["trained"].exponent, 2.0, established, within=0.15),
    at_most("lemma 5: pairs copied with fixed attention", fixed_copied, 0.0),
    at_most("bounds from both sides, largest gap over seeds", float(gap), 0.0),
    equals("hand-built, proven right", proven["by hand"].lower, 1.0),
]

# %%
of_training = [
    shown("study preset, held-out lists right, mean of seeds", float(over_seeds.per_list.mean())),
    at_least(
        "near ties in which order is smaller, lowest seed", float(over_seeds.outweighed.min()), 0.99
    ),
    at_least("near ties right at o1, lowest seed", float(over_seeds.near_at_o1.min()), 0.95),
    at_most("held-out near ties right, highest seed", float(over_seeds.held_out_near.max()), 0.3),
    at_least(
        "failing held-out lists named, precision, lowest seed",
        float(over_seeds.precision.min()),
        0.85,
    ),
    at_least("the same, recall, lowest seed", float(over_seeds.recall.min()), 0.7),
    at_least("ranked: seeds with .999 of held-out lists right, share", good / len(own), 0.95),
    at_least("ranked: width 8, held-out lists right, lowest seed", lowest(2, 100, 8)[0], 0.999),
    at_least("ranked: three of 100 digits, lists right, lowest seed", lowest(3)[0], 0.99),
    at_least("ranked: four of 30 digits, lists right, lowest seed", lowest(4, 30)[0], 0.999),
    at_least("ranked: five of 30 digits, lists right, lowest seed", lowest(5, 30)[0], 0.999),
    at_least(
        "here and now: ranked start, held-out lists right", live_right["ranks"], 0.9, established
    ),
    at_most(
        "here and now: usual start, held-out lists right", live_right["random"], 0.6, established
    ),
]
check_claims("08_construction", by_hand_claims + of_training)
