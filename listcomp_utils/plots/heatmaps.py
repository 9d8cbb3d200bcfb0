"""Heatmaps: tokens, masks, attention patterns, and numbers for every list of two digits.

    heatmap_panels({"layer 0": pattern}, labels, labels, "SEP attends to d1", "attention")
    list_maps({"": right}, "Lists with equal digits fail", "share right")

Probabilities have a sequential scale on [0, 1], signed values a diverging one centred on 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import einops
import numpy as np
import plotly.express as px
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from listcomp_utils.plots.theme import label_axis, themed, wrapped

NEUTRAL_COLOUR, RIGHT_COLOUR, WRONG_COLOUR = "#eef1f5", "#bcd7f0", "#f7c08f"
MOST_ANNOTATED = 12
"""Up to this many columns in all, and rows, have their numbers in the cells, legible at 500 px."""
MOST_SMALL = 6
"""Up to this many columns, a table is 460 px wide instead of as wide as the page."""
PER_ROW = 10
"""Maps in a row of a gallery."""
_WORDS = dict(texttemplate="%{text}", xgap=2, ygap=2)


def token_rows(
    rows: Sequence[Sequence[str]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    fills: Sequence[Sequence[int]],
    title: str,
) -> go.Figure:
    """Token sequences as a table; fills are 0 (neutral), 1 (right or counted) or 2 (wrong)."""
    figure = heatmap_panels({"": fills}, row_labels, column_labels, title, "", "", "")
    shown = dict(**_WORDS, text=rows, hovertemplate=None, hoverinfo="text")
    figure.update_traces(shown).update_xaxes(side="top")
    colours = [NEUTRAL_COLOUR, RIGHT_COLOUR, WRONG_COLOUR]
    return figure.update_coloraxes(cmax=2, colorscale=colours, showscale=False)


def mask_panels(
    allowed: Bool[np.ndarray, "layer query key"], labels: Sequence[str], title: str
) -> go.Figure:
    """Who may attend to whom, filled; a panel a layer, or one when all layers are alike."""
    panels = {f"Layer {layer}": may for layer, may in enumerate(allowed)}
    if (allowed == allowed[0]).all():
        panels = {"Every layer": allowed[0]}
    figure = heatmap_panels(panels, labels, labels, title, "may attend")
    for trace in figure.data:
        trace.update(_WORDS, text=np.where(trace.z, "yes", "no"))
    return figure.update_coloraxes(showscale=False, colorscale=[NEUTRAL_COLOUR, "#7fb3d5"])


def list_maps(
    values: dict[str, Float[np.ndarray, "digit digit"]], title: str, value_name: str
) -> go.Figure:
    """Numbers from 0 to 1 for every list of two digits, d1 down and d2 across; nan is blank."""
    digits = list(map(str, range(len(next(iter(values.values()))))))
    names = dict(row_title="first digit d1", column_title="second digit d2")
    figure = heatmap_panels(values, digits, digits, title, value_name, **names)
    if len(digits) > MOST_ANNOTATED:
        figure.update_xaxes(tickmode="auto").update_yaxes(tickmode="auto")
    return figure


def heatmap_panels(
    panels: dict[str, Float[np.ndarray, "row column"]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    title: str,
    value_name: str,
    row_title: str = "query (attends)",
    column_title: str = "key (attended to)",
    signed: bool = False,
) -> go.Figure:
    """Heatmaps on one scale: [0, 1], or centred on 0 for signed values; nan is left blank."""
    matrices = np.stack([np.asarray(panel, dtype=float) for panel in panels.values()])
    bound = float(np.nanmax(np.abs(matrices), initial=0)) or 1.0 if signed else 1.0
    annotate = max(len(row_labels), len(column_labels)) <= MOST_ANNOTATED
    columns = min(3, len(panels))
    if annotate:
        columns = max(1, min(columns, MOST_ANNOTATED // len(column_labels)))
    rows = -(-len(panels) // columns)
    # In two lines "d1(8)" needs not be turned.
    column_labels = [label.replace("(", "<br>(") for label in column_labels]
    gap = 82 if any("<br>" in label for label in column_labels) else 60
    height = 130 + rows * (gap + min(max(120, 30 * len(row_labels)), 400))
    figure = px.imshow(
        matrices,
        facet_col=0,
        facet_col_wrap=columns,
        facet_col_spacing=0.04,
        facet_row_spacing=gap / height,
        zmin=-bound if signed else 0,
        zmax=bound,
        color_continuous_scale="RdBu" if signed else "Blues",
        text_auto=".2f" if annotate else False,
        aspect="auto",
        labels=dict(x=wrapped(column_title, 48 // columns), y=row_title, color=value_name),
    )
    names = [wrapped(name, 50 // columns) for name in panels]
    figure.for_each_annotation(lambda note: note.update(text=names[int(note.text.split("=")[1])]))
    figure.update_traces(hoverongaps=False, textfont_size=11)
    figure.update_xaxes(showticklabels=True)
    label_axis(figure.update_xaxes, column_labels)
    label_axis(figure.update_yaxes, row_labels, reverse=True)
    width = 460 if columns * len(column_labels) <= MOST_SMALL else None
    name_lines = 1 + max(name.count("<br>") for name in names)
    return themed(figure, title, height, name_lines, width=width)


def density_rows(weights: dict[str, Float[np.ndarray, "list"]], title: str) -> go.Figure:
    """A histogram of attention weights over lists in each row: darker is more."""
    edges = np.linspace(0, 1, 41)
    counts = [np.histogram(values, edges)[0] / len(values) for values in weights.values()]
    names = ("share of lists", "", "attention weight")
    figure = heatmap_panels({"": counts}, list(weights), [""] * 40, title, *names)
    figure.update_traces(x=(edges[1:] + edges[:-1]) / 2)
    figure.update_xaxes(tickmode="auto", range=[0, 1])
    return figure.update_coloraxes(cmax=np.max(counts))


def map_gallery(
    maps: Float[np.ndarray, "map d1 d2"], names: Sequence[str], title: str, value_name: str
) -> go.Figure:
    """Small (d1, d2) maps on one scale from 0 to 1, ten a row, each with its name above.

    One sheet holds them all: as many panels of their own would be slow to draw.
    """
    margins = ((0, -len(maps) % PER_ROW), (3, 1), (1, 1))
    padded = np.pad(np.asarray(maps, dtype=float), margins, constant_values=np.nan)
    sheet = einops.rearrange(padded, "(r c) d1 d2 -> (r d1) (c d2)", c=PER_ROW)
    down, across = padded.shape[1:]
    blank = [[""] * size for size in sheet.shape]
    figure = heatmap_panels({"": sheet}, *blank, title, value_name, "", "")
    for number, name in enumerate(names):
        row, column = divmod(number, PER_ROW)
        place = dict(x=(column + 0.5) * across - 0.5, y=row * down + 0.8)
        figure.add_annotation(text=name, showarrow=False, font_size=11, **place)
    figure.update_traces(hoverinfo="skip", hovertemplate=None)
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    return figure.update_layout(height=90 + 66 * len(padded) // PER_ROW)
