"""A plotly figure as a PNG, drawn with matplotlib: no browser, no network.

Draws the traces, axes, lines and annotations that `figures` makes, and refuses others, so that a
picture never silently lacks a part.
"""

from __future__ import annotations

import io
from typing import Any

import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from listcomp_utils.plots.static_traces import (
    DASHES,
    DRAW,
    draw_points_in_space,
    matplotlib_colour,
    plain,
)

DPI = 100
PALETTE = 64
_ANCHORS = {"left": "left", "right": "right", "center": "center", "auto": "center", None: "center"}
_BASELINES = {
    "top": "top",
    "bottom": "bottom",
    "middle": "center",
    "auto": "center",
    None: "center",
}


def draw_png(figure: go.Figure) -> bytes:
    """The figure as PNG bytes; raises TypeError for a trace that cannot be drawn."""
    layout = figure.layout
    width, height = layout.width or 700, layout.height or 450
    canvas = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(canvas)
    margin = layout.margin
    frame = _Frame(
        left=(margin.l or 0) / width,
        right=1 - (margin.r or 0) / width,
        bottom=(margin.b or 0) / height,
        top=1 - (margin.t or 0) / height,
    )
    axes: dict[tuple[str, str], Axes] = {}
    for trace in figure.data:
        if trace.type == "scatter3d":
            box = [frame.left, frame.bottom, frame.right - frame.left, frame.top - frame.bottom]
            draw_points_in_space(canvas, box, layout, trace)
            continue
        draw = DRAW.get(trace.type)
        if draw is None:
            raise TypeError(f"no static drawing for a plotly trace of type {trace.type!r}")
        key = (trace.xaxis or "x", trace.yaxis or "y")
        if key not in axes:
            axes[key] = _make_axes(canvas, layout, frame, key)
        draw(axes[key], trace)
    for key, axis in axes.items():
        _finish_axes(axis, layout, key)
    for shape in layout.shapes or ():
        _draw_line(axes, shape)
    for annotation in layout.annotations or ():
        _draw_annotation(canvas, axes, frame, annotation)
    _draw_legend(canvas, axes, layout, frame)
    if layout.title.text:
        size = (layout.title.font.size or 15) * 0.72
        canvas.text(0.012, 0.985, plain(layout.title.text), fontsize=size, va="top", ha="left")
    return _small_png(canvas)


def _small_png(canvas: Figure) -> bytes:
    """The drawing with a palette of its own: about a third of the size, to the eye the same."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    canvas.savefig(drawn, format="png", dpi=DPI)
    drawn_in_full = Image.open(drawn).convert("RGB")
    # Maximum coverage keeps colours that are rare on the page, such as one end of a scale.
    method = Image.Quantize.MAXCOVERAGE
    picture = drawn_in_full.quantize(PALETTE, method=method, dither=Image.Dither.NONE)
    picture.save(packed, format="png", optimize=True)
    return packed.getvalue()


class _Frame:
    """The plotting area in figure coordinates, and places within it."""

    def __init__(self, left: float, right: float, bottom: float, top: float) -> None:
        self.left, self.right, self.bottom, self.top = left, right, bottom, top

    def x(self, paper: float) -> float:
        return self.left + paper * (self.right - self.left)

    def y(self, paper: float) -> float:
        return self.bottom + paper * (self.top - self.bottom)


def _make_axes(canvas: Figure, layout: Any, frame: _Frame, key: tuple[str, str]) -> Axes:
    x_domain = _axis(layout, key[0]).domain or (0, 1)
    y_domain = _axis(layout, key[1]).domain or (0, 1)
    left, bottom = frame.x(x_domain[0]), frame.y(y_domain[0])
    box = [left, bottom, frame.x(x_domain[1]) - left, frame.y(y_domain[1]) - bottom]
    axes = canvas.add_axes(box)
    axes.tick_params(labelsize=8)
    return axes


def _axis(layout: Any, name: str) -> Any:
    return layout[f"{name[0]}axis{name[1:]}"]


def _finish_axes(axes: Axes, layout: Any, key: tuple[str, str]) -> None:
    for name, which in zip(key, ("x", "y"), strict=True):
        axis = _axis(layout, name)
        if axis.title.text:
            getattr(axes, f"set_{which}label")(plain(axis.title.text), fontsize=9)
        if axis.type == "log":
            getattr(axes, f"set_{which}scale")("log")
        if axis.tickvals is not None:
            labels = [plain(str(label)) for label in axis.ticktext or axis.tickvals]
            getattr(axes, f"set_{which}ticks")(list(axis.tickvals), labels)
            getattr(axes, f"{which}axis").minorticks_off()
        if axis.range is not None:
            bounds = [10**end for end in axis.range] if axis.type == "log" else axis.range
            getattr(axes, f"set_{which}lim")(*bounds)
        elif axis.autorange == "reversed":
            getattr(axes, f"invert_{which}axis")()
        if axis.showline is False:
            axes.tick_params(axis=which, length=0)
    if _axis(layout, key[0]).side == "top":
        axes.xaxis.tick_top()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_line(axes: dict[tuple[str, str], Axes], shape: Any) -> None:
    if shape.type != "line":
        raise TypeError(f"no static drawing for a shape of type {shape.type!r}")
    style = dict(color=matplotlib_colour(shape.line.color), linestyle=DASHES[shape.line.dash])
    style |= dict(lw=(shape.line.width or 1) * 0.9, zorder=1)
    x_name, y_name = (str(ref).replace(" domain", "") for ref in (shape.xref, shape.yref))
    for (x_key, y_key), target in axes.items():
        if x_name == x_key and y_name == y_key:
            if str(shape.xref).endswith("domain"):
                target.axhline(shape.y0, **style)
            elif str(shape.yref).endswith("domain"):
                target.axvline(shape.x0, **style)
            else:
                target.plot([shape.x0, shape.x1], [shape.y0, shape.y1], **style)


def _draw_annotation(
    canvas: Figure, axes: dict[tuple[str, str], Axes], frame: _Frame, note: Any
) -> None:
    style = dict(
        fontsize=(note.font.size or 12) * 0.75,
        color=note.font.color or "#222222",
        ha=_ANCHORS[note.xanchor],
        va=_BASELINES[note.yanchor],
    )
    if note.xref == "paper":
        canvas.text(frame.x(note.x), frame.y(note.y), plain(note.text), **style)
        return
    target = axes[(note.xref or "x", note.yref or "y")]
    if note.bgcolor:
        style["bbox"] = dict(facecolor=note.bgcolor, edgecolor="none", pad=0.8)
    target.text(note.x, note.y, plain(note.text), zorder=5, **style)


def _draw_legend(
    canvas: Figure, axes: dict[tuple[str, str], Axes], layout: Any, frame: _Frame
) -> None:
    found = [axis.get_legend_handles_labels() for axis in axes.values()]
    handles = [handle for pair in found for handle in pair[0]]
    labels = [label for pair in found for label in pair[1]]
    wanted = layout.showlegend if layout.showlegend is not None else len(labels) > 1
    if not wanted or not labels:
        return
    place = (frame.x(1.01), frame.top)
    canvas.legend(
        handles, labels, loc="upper left", bbox_to_anchor=place, fontsize=8, frameon=False
    )
