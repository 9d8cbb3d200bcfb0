"""Showing figures and tables in a notebook, small enough to commit and readable offline.

show(figure, alt="Bars: every output reads the separator.", main=True)
show_frame(edges, digits=3)
"""

from __future__ import annotations

import json
import numbers
import os
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from IPython.display import display
from plotly.utils import PlotlyJSONEncoder

from listcomp_utils.files import HEADLESS_VARIABLE, REPORT_VARIABLE, runs_dir, write_atomically

PLOTLY_MIME = "application/vnd.plotly.v1+json"
METADATA_KEY = "listcomp"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title></head><body>{body}</body></html>
"""


def show(figure: go.Figure, alt: str, main: bool = False, interactive: bool = True) -> None:
    """Display a figure, interactive wherever the front end can draw plotly's JSON.

    `alt` says in words what the figure shows; `main` marks the one that stands for the notebook in
    the report. A figure that is not `interactive` is so in a run and its report, but is committed
    as a picture alone: for one whose many numbers would swell the notebook.
    """
    if "google.colab" in sys.modules:
        figure.show(renderer="colab")
        return
    data = {PLOTLY_MIME: slim_json(figure), "text/plain": f"Figure: {alt}"}
    note = {"alt": alt, "main": main, "interactive": interactive}
    display(data, raw=True, metadata={METADATA_KEY: note})


def slim_json(figure: go.Figure) -> dict[str, Any]:
    """The figure's JSON with plain lists, numbers of four digits, and its theme inside."""
    # The figure's own method would pack arrays in base 64.
    traces = [trace.to_plotly_json() for trace in figure.data]
    plain = {"data": traces, "layout": figure.layout.to_plotly_json()}
    return json.loads(
        json.dumps(plain, cls=PlotlyJSONEncoder),
        parse_float=lambda number: float(f"{float(number):.4g}"),
    )


def show_attention_heads(patterns: Any, tokens: Sequence[str], heads: Sequence[str], name: str):
    """CircuitsVis' interactive heads, as `show_page` shows a page.

    `patterns` is (head, query, key). The page holds its own JavaScript; CircuitsVis' own display
    would look for the internet first.
    """
    from circuitsvis.attention import attention_heads

    words = "Interactive attention heads"
    body = attention_heads(
        attention=patterns, tokens=list(tokens), attention_head_names=list(heads)
    ).local_src
    show_page(_PAGE.format(title=words, body=body), name, words, height=620)


def show_page(page: str, name: str, words: str, height: int) -> None:
    """Show a whole HTML page in a frame; where nobody watches, write `name`.html to the report."""
    if not os.environ.get(HEADLESS_VARIABLE):
        style = f"width: 100%; height: {height}px; border: 1px solid #ccc"
        frame = f'<iframe title="{escape(words)}" srcdoc="{escape(page)}" style="{style}"></iframe>'
        display({"text/html": frame, "text/plain": words}, raw=True)
        return
    folder = Path(os.environ.get(REPORT_VARIABLE) or runs_dir() / "pages")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.html", page.encode())
    note = {"page": f"{name}.html", "height": height}
    text = f"{words}: {name}.html, beside the report."
    display({"text/plain": text}, raw=True, metadata={METADATA_KEY: note})


def show_frame(
    frame: pd.DataFrame,
    digits: int = 4,
    beside: Mapping[str, Any] | None = None,
    folded: str | None = None,
) -> None:
    """Display a frame as a table: numbers with `digits` decimals, missing values blank, no index.

    `folded` are words under which it is closed until clicked; `beside` adds other MIME types.
    The HTML is plain: small, and the same each time, as committed outputs must be.
    """
    shown = frame.map(lambda value: _in_table(value, digits))
    with pd.option_context("display.max_colwidth", None):
        page, text = shown.to_html(index=False, border=0), shown.to_string(index=False)
    if folded is not None:
        page = f"<details><summary>{escape(folded)}</summary>{page}</details>"
    display({"text/html": page, "text/plain": text, **(beside or {})}, raw=True)


def _in_table(value: Any, digits: int) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        return str(value)
    return f"{value:,}" if isinstance(value, numbers.Integral) else f"{value:,.{digits}f}"
