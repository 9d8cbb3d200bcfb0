"""Drawing one plotly trace on matplotlib axes: heatmaps, scatters, bars, points in space."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

DASHES = {None: "-", "solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


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
                    text = plain(str(trace.text[row][column]))
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
            bar.set_label(plain(trace.colorbar.title.text), fontsize=9)


def _draw_scatter(axes: Axes, trace: go.Scatter) -> None:
    mode = trace.mode or "lines"
    xs, ys = np.asarray(trace.x, dtype=float), np.asarray(trace.y, dtype=float)
    label = plain(trace.name) if trace.name and trace.showlegend is not False else None
    if "lines" in mode:
        style = dict(color=matplotlib_colour(trace.line.color), linestyle=DASHES[trace.line.dash])
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
            axes.text(x, y, plain(str(text)), **style)


def _draw_bars(axes: Axes, trace: go.Bar) -> None:
    xs, ys = np.asarray(trace.x, dtype=float), np.asarray(trace.y, dtype=float)
    label = plain(trace.name) if trace.name else None
    width = 0.8 if trace.width is None else trace.width
    if trace.orientation == "h":
        left = 0 if trace.base is None else np.asarray(trace.base, dtype=float)
        axes.barh(ys, xs, height=width, left=left, color=trace.marker.color, label=label)
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


def draw_points_in_space(canvas: Figure, box: Sequence[float], layout: Any, trace: Any) -> None:
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
        getattr(axes, f"set_{axis}label")(plain(title or ""), fontsize=9)
    axes.tick_params(labelsize=7)
    bar = canvas.colorbar(points, ax=axes, fraction=0.03, pad=0.16)
    bar.set_label(plain(trace.marker.colorbar.title.text or ""), fontsize=9)


def _scale(colorscale: Any) -> LinearSegmentedColormap:
    stops = [(float(position), matplotlib_colour(colour)) for position, colour in colorscale]
    return LinearSegmentedColormap.from_list("figure", stops)


DRAW: dict[str, Callable[[Axes, Any], None]] = {
    "heatmap": _draw_heatmap,
    "scatter": _draw_scatter,
    "bar": _draw_bars,
}


def plain(text: str) -> str:
    """Plotly's HTML text without its tags."""
    return re.sub(r"<[^>]+>", "", re.sub(r"<br\s*/?>", "\n", text)).strip()


def matplotlib_colour(text: str | None) -> Any:
    """A plotly colour, `rgb(1, 2, 3)` or anything matplotlib knows, for matplotlib."""
    if text is None:
        return None
    numbers = re.fullmatch(r"rgba?\(([^)]*)\)", text)
    if not numbers:
        return text
    parts = [float(part) for part in numbers.group(1).split(",")]
    return tuple(part / 255 for part in parts[:3])
