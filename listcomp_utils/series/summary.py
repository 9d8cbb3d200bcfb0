"""What the series found, in words, with its numbers put in from the claims that a run checked.

answer(claims)        # five sentences; README and the report's index begin with them
example(steps)        # one list and its reverse, from the digits' scores to what is written
key_results(claims)   # the claims that matter most; `record` has all
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2
import pandas as pd

from listcomp_utils.notebook.claims import format_value

Claims = Mapping[str, Sequence[Mapping[str, Any]]]
"""By notebook, as in a run's claims.json."""

COLUMNS = ("figure", "value", "expected")

WIDTH = 118
"""Letters of a line of the answer."""

_WORDS = jinja2.Environment(undefined=jinja2.StrictUndefined)
_ANSWER = _WORDS.from_string(
    """1. **The separator holds both digits at once, and which place has the larger share is the order.** Training gives
   every digit a score; of two digits the one that scores higher gets more of the separator's attention, first or second.
   So `60, 44` and `44, 60` leave each digit in it with nearly the same share, and the two places with exchanged ones.
2. **One direction of the vector says which came first.** Exchange the two places' shares in it, and
   {{ of("05_circuit", "reversed by exchanging position weights", "%") }} of the lists are written in reverse; exchange
   the digits' shares instead, and most are garbled, only {{ of("05_circuit", "reversed by exchanging content weights", "%") }} reversed.
3. **The first output reads that direction, the second goes by how much of its own attention the separator gets**: with
   the attention that it pays on the reversed list it is right in only
   {{ of("05_circuit", "o2 right with the moderation of the reversed list", "%") }} of the lists, with its own in
   {{ of("05_circuit", "o2 right without the position difference", "%") }}, even when what that direction says of the
   order is taken out of the vector that it reads.
4. **Trained models stop short where two digits score alike**: of the lists never trained on
   {{ of("08_construction", "study preset, held-out lists right, mean of seeds", "%") }} are copied in the mean of twenty
   seeds, {{ of("05_circuit", "held-out lists right", "%") }} in the model shown. Which of these fail, a rule fitted to
   other seeds reads from its weights ({{ of("05_circuit", "failures foretold, recall", "%") }} of the failures named,
   {{ of("05_circuit", "failures foretold, precision", "%") }} of those named do fail).
5. **The architecture can copy every list; training is what stops.** Weights set by hand, two numbers wide, copy all
   pairs of a hundred digits, an error bound proves it for lists of six, and from a start that sketches the mechanism in
   small weights the unchanged model learns to copy all held-out pairs in
   {{ of("08_construction", "ranked: seeds with .999 of held-out lists right, share", "%") }} of its seeds, and lists
   of five in two layers ({{ of("08_construction", "ranked: five of 30 digits, held-out lists right, lowest seed", "4") }}
   in the lowest seed).
"""
)
_EXAMPLE = _WORDS.from_string(
    """| list | scores of the digits | share of the first, of the second | o1: logits | o2: logits | written |
| --- | --- | --- | --- | --- | --- |
{% for pair, s_a, s_b, alpha_1, _, o1_a, o1_b, o2_a, o2_b, written in steps %}| {{ pair }} | {{ "%.3f, %.3f" | format(s_a, s_b) }} | {{ "%.3f, %.3f" | format(alpha_1, 1 - alpha_1) }} | {{ "%.1f, %.1f" | format(o1_a, o1_b) }} | {{ "%.1f, %.1f" | format(o2_a, o2_b) }} | {{ written }} |
{% endfor %}"""
)
KEY = {
    "01_train": (
        "lists right, all or the sample",
        "study checkpoint, held-out lists right",
    ),
    "02_attention": ("spread of SEP's attention to a digit (std)",),
    "03_ablation": (
        "smallest exact circuit, edges (zeroed)",
        "seeds that route by layer, share",
        "study: least-following output, smallest and largest over seeds",
    ),
    "04_representation": (
        "less well found digit after layer 0",
        "variance that the first digit explains after layer 0",
    ),
    "05_circuit": (
        "formula against model, float64, trained",
        "correlation of scores and readout",
        "reversed by exchanging position weights",
        "reversed by exchanging content weights",
        "failures foretold, precision",
        "failures foretold, recall",
    ),
    "06_features": (
        "digits with one clean latent, lowest seed",
        "a latent along P1 - P2, absolute cosine, lowest seed",
    ),
    "07_scaling": ("seeds that leave by the study's recipe (50,000 steps)",),
    "08_construction": (
        "hand-built, lists right, least of the sizes",
        "all lists of six digits out of a hundred proven",
        "ranked: three of 100 digits, held-out lists right, lowest seed",
    ),
}
"""Names of the claims that README shows, by notebook."""


def answer(claims: Claims) -> str:
    """What was found, in Markdown."""
    values = {name: {c["name"]: c["value"] for c in rows} for name, rows in claims.items()}

    def of(notebook: str, name: str, form: str) -> str:
        value = values[notebook][name]
        return f"{value:.1%}".replace(".0%", "%") if form == "%" else f"{value:.{form}f}"

    sentences = re.split(r"\n(?=\d\. )", _ANSWER.render(of=of))
    how = dict(width=WIDTH, subsequent_indent="   ", break_long_words=False)
    return "".join(f"{textwrap.fill(' '.join(one.split()), **how)}\n" for one in sentences)


def example(steps: pd.DataFrame) -> str:
    """The rows of `circuit.tables.by_hand` as a table in Markdown."""
    return _EXAMPLE.render(steps=steps.itertuples(index=False, name=None))


def key_results(claims: Claims) -> str:
    """The claims of `KEY` as a table."""
    rows = []
    for notebook, names in KEY.items():
        by_name = {claim["name"]: claim for claim in claims[notebook]}
        rows += [[notebook, *_row(by_name[name])] for name in names]
    return _table(["notebook", *COLUMNS], rows)


def record(claims: Claims) -> str:
    """All claims, a table a notebook."""
    parts = ["# Every figure that the notebooks check\n\nWritten by `make refresh` from one run."]
    for notebook, found in claims.items():
        parts.append(f"## {notebook}\n\n{_table(COLUMNS, map(_row, found))}")
    return "\n\n".join(parts) + "\n"


def _row(claim: Mapping[str, Any]) -> list[str]:
    return [claim["name"], format_value(claim["value"]), claim["expected"] or "shown"]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    escaped = [[word.replace("|", "\\|") for word in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
