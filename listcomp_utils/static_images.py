"""A plotly figure as a PNG, drawn with matplotlib: no browser, no network.

Draws the traces, axes, lines and annotations that `figures` makes, and refuses others, so that a
picture never silently lacks a part.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

DPI = 100
PALETTE = 96
_DASHES = {None: "-", "solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
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
            _draw_points_in_space(canvas, frame, layout, trace)
            continue
        draw = _DRAW.get(trace.type)
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
        canvas.text(0.012, 0.985, _plain(layout.title.text), fontsize=size, va="top", ha="left")
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
            getattr(axes, f"set_{which}label")(_plain(axis.title.text), fontsize=9)
        if axis.type == "log":
            getattr(axes, f"set_{which}scale")("log")
        if axis.tickvals is not None:
            labels = [_plain(str(label)) for label in axis.ticktext or axis.tickvals]
            getattr(axes, f"set_{which}ticks")(list(axis.tickvals), labels)
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


def _draw_heatmap(axes: Axes, trace: go.Heatmap) -> None:
    values = np.asarray(trace.z, dtype=float)
    scale = _scale(trace.colorscale)
    xs = np.arange(values.shape[1]) if trace.x is None else np.asarray(trace.x, dtype=float)
    ys = np.arange(values.shape[0]) if trace.y is None else np.asarray(trace.y, dtype=float)
    gap = dict(edgecolors="white", linewidth=1.5) if trace.xgap else {}
    limits = dict(vmin=trace.zmin, vmax=trace.zmax)
    mesh = axes.pcolormesh(xs, ys, np.ma.masked_invalid(values), cmap=scale, **limits, **gap)
    if trace.texttemplate:
        pattern = re.fullmatch(r"%\{(text|z)(?::([^}]*))?\}", trace.texttemplate)
        for row in range(values.shape[0]):
            for column in range(values.shape[1]):
                if pattern.group(1) == "text":
                    text = _plain(str(trace.text[row][column]))
                elif np.isnan(values[row, column]):
                    continue
                else:
                    text = format(values[row, column], pattern.group(2) or "")
                red, green, blue, _ = mesh.to_rgba(values[row, column])
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                colour = "white" if dark else "#222222"
                place = dict(ha="center", va="center", fontsize=8)
                axes.text(xs[column], ys[row], text, color=colour, **place)
    if trace.showscale is not False:
        box = axes.get_position()
        place = [box.x1 + 0.012, box.y0, 14 / axes.bbox.width * box.width, box.height]
        bar = axes.figure.colorbar(mesh, cax=axes.figure.add_axes(place))
        bar.ax.tick_params(labelsize=8)
        if trace.colorbar.title.text:
            bar.set_label(_plain(trace.colorbar.title.text), fontsize=9)


def _draw_scatter(axes: Axes, trace: go.Scatter) -> None:
    mode = trace.mode or "lines"
    xs, ys = np.asarray(trace.x, dtype=float), np.asarray(trace.y, dtype=float)
    label = _plain(trace.name) if trace.name and trace.showlegend is not False else None
    if "lines" in mode:
        style = dict(color=_colour(trace.line.color), linestyle=_DASHES[trace.line.dash])
        axes.plot(xs, ys, lw=(trace.line.width or 2) * 0.75, label=label, **style)
        label = None
    if "markers" in mode:
        colour = trace.marker.color
        if isinstance(colour, (list, tuple, np.ndarray)) and not isinstance(colour[0], str):
            scale = _scale(trace.marker.colorscale)
            style = dict(c=np.asarray(colour, dtype=float), cmap=scale)
            style |= dict(vmin=trace.marker.cmin, vmax=trace.marker.cmax)
        else:
            style = dict(c=colour if isinstance(colour, (list, tuple)) else [colour])
        size = np.asarray(trace.marker.size or 6, dtype=float) ** 2 * 0.5
        if trace.marker.line.color:
            style |= dict(edgecolors=trace.marker.line.color, linewidths=1)
        opacity = trace.marker.opacity or trace.opacity or 1
        axes.scatter(xs, ys, s=size, label=label, alpha=opacity, zorder=3, **style)
    if "text" in mode:
        for x, y, text in zip(xs, ys, trace.text, strict=True):
            size = (trace.textfont.size or 10) * 0.75
            above = str(trace.textposition or "").startswith("top")
            style = dict(fontsize=size, ha="center", va="bottom" if above else "center", zorder=4)
            axes.text(x, y, _plain(str(text)), **style)


def _draw_bars(axes: Axes, trace: go.Bar) -> None:
    xs, ys = np.asarray(trace.x, dtype=float), np.asarray(trace.y, dtype=float)
    label = _plain(trace.name) if trace.name else None
    width = 0.8 if trace.width is None else trace.width
    if trace.orientation == "h":
        axes.barh(ys, xs, height=width, color=trace.marker.color, label=label)
        if trace.error_x.array is not None:
            spread = np.asarray(trace.error_x.array, dtype=float)
            shown = spread > 0
            style = dict(fmt="none", ecolor="#333333", lw=1)
            axes.errorbar(xs[shown], ys[shown], xerr=spread[shown], **style)
        return
    bars = axes.bar(xs, ys, width=width, color=trace.marker.color, label=label)
    if trace.error_y.array is not None:
        axes.errorbar(xs, ys, yerr=trace.error_y.array, fmt="none", ecolor="#333333", lw=1)
    if trace.text is not None:
        axes.bar_label(bars, labels=[str(text) for text in trace.text], fontsize=8, padding=2)


def _draw_points_in_space(canvas: Figure, frame: _Frame, layout: Any, trace: Any) -> None:
    box = [frame.left, frame.bottom, frame.right - frame.left, frame.top - frame.bottom]
    axes = canvas.add_axes(box, projection="3d")
    points = axes.scatter(
        trace.x,
        trace.y,
        trace.z,
        c=np.asarray(trace.marker.color, dtype=float),
        cmap=_scale(trace.marker.colorscale),
        s=(trace.marker.size or 6) ** 2 * 0.5,
    )
    for axis in "xyz":
        title = layout.scene[f"{axis}axis"].title.text
        getattr(axes, f"set_{axis}label")(_plain(title or ""), fontsize=9)
    axes.tick_params(labelsize=7)
    bar = canvas.colorbar(points, ax=axes, fraction=0.03, pad=0.16)
    bar.set_label(_plain(trace.marker.colorbar.title.text or ""), fontsize=9)


def _scale(colorscale: Any) -> LinearSegmentedColormap:
    stops = [(float(position), _colour(colour)) for position, colour in colorscale]
    return LinearSegmentedColormap.from_list("figure", stops)


_DRAW: dict[str, Callable[[Axes, Any], None]] = {
    "heatmap": _draw_heatmap,
    "scatter": _draw_scatter,
    "bar": _draw_bars,
}


def _draw_line(axes: dict[tuple[str, str], Axes], shape: Any) -> None:
    if shape.type != "line":
        raise TypeError(f"no static drawing for a shape of type {shape.type!r}")
    style = dict(color=_colour(shape.line.color), linestyle=_DASHES[shape.line.dash])
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
        canvas.text(frame.x(note.x), frame.y(note.y), _plain(note.text), **style)
        return
    target = axes[(note.xref or "x", note.yref or "y")]
    if note.bgcolor:
        style["bbox"] = dict(facecolor=note.bgcolor, edgecolor="none", pad=0.8)
    target.text(note.x, note.y, _plain(note.text), zorder=5, **style)


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


def _plain(text: str) -> str:
    """Plotly's HTML text without its tags."""
    return re.sub(r"<[^>]+>", "", re.sub(r"<br\s*/?>", "\n", text)).strip()


def _colour(text: str | None) -> Any:
    """A plotly colour, `rgb(1, 2, 3)` or anything matplotlib knows, for matplotlib."""
    if text is None:
        return None
    numbers = re.fullmatch(r"rgba?\(([^)]*)\)", text)
    if not numbers:
        return text
    parts = [float(part) for part in numbers.group(1).split(",")]
    return tuple(part / 255 for part in parts[:3])
