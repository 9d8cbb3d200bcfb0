"""Figures: numbers go in unchanged, pictures come out, saved copies are slim."""

from __future__ import annotations

import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from listcomp_utils.config import Config
from listcomp_utils.mask import build_mask
from listcomp_utils.notebook.show import PLOTLY_MIME, markdown_table, show, slim_json
from listcomp_utils.plots import curves as figures
from listcomp_utils.plots import heatmaps
from listcomp_utils.plots.static_images import draw_png

LABELS = Config().labels


def examples() -> dict[str, go.Figure]:
    rng = np.random.default_rng(0)
    return {
        "tokens": heatmaps.token_rows(
            [["1", "SEP"], ["2", "·"]], ["list", "copy"], ["d1", "SEP"], [[0, 1], [2, 0]], "Tokens"
        ),
        "mask": heatmaps.mask_panels(build_mask(Config()).numpy(), LABELS, "Mask"),
        "curves": figures.training_curves(
            [0, 10, 20],
            {"loss": [3, 1, 0.6], "held out": [3, 2, 1]},
            0.5,
            {"o1": [0, 0.5, 1]},
            10,
            "T",
        ),
        "probabilities": heatmaps.list_map(rng.random((10, 10)), "Map", "share"),
        "signed": heatmaps.list_map(rng.normal(size=(30, 30)), "Map", "effect", signed=True),
        "bars": figures.grouped_bars(
            ["o1", "o2"], {"a": [0.5, 1], "b": [0.2, 0.3]}, "Bars", "share"
        ),
        "panels": figures.line_panels(
            {"loss": {"a": ([0, 1], [3, 1]), "b": ([0, 1], [2, 0])}, "spread": {"a": ([0], [1])}},
            "Panels",
            "step",
        ),
        "dots": figures.dot_rows(
            ["x", "y"],
            {"mean": [[0.5], [0.7]], "seeds": [[0.4, 0.6], []]},
            "Dots",
            "share",
            (0, 1),
            {"half": 0.5},
        ),
    }


def test_rows_of_dots_keep_every_point_in_its_row():
    figure = examples()["dots"]
    mean, seeds = figure.data
    assert list(mean.x) == [0.5, 0.7] and [round(y) for y in mean.y] == [0, 1]
    assert list(seeds.x) == [0.4, 0.6] and all(0 < y < 0.5 for y in seeds.y)


@pytest.mark.parametrize("name", examples())
def test_pictures_have_the_figures_size_and_content(name):
    figure = examples()[name]
    picture = Image.open(io.BytesIO(draw_png(figure)))
    assert picture.size == (figure.layout.width, figure.layout.height)
    pixels = np.asarray(picture.convert("L"))
    assert 0.01 < (pixels < 250).mean() < 0.95, "neither blank nor covered"


@pytest.mark.parametrize("name", examples())
def test_saved_figures_are_plain_json_without_a_theme(name):
    slim = slim_json(examples()[name])
    text = json.dumps(slim)
    assert "bdata" not in text and slim["layout"]["template"] == "none"
    assert go.Figure(slim).layout.title.text == examples()[name].layout.title.text


def test_the_mask_figure_shows_the_mask():
    allowed = build_mask(Config.preset("study")).numpy()
    figure = heatmaps.mask_panels(allowed, LABELS, "Mask")
    for layer in (0, 1):
        assert (np.asarray(figure.data[layer].z, dtype=bool) == allowed[layer]).all()
    assert list(figure.layout.xaxis.ticktext) == list(LABELS)


def test_scales_are_fixed_for_shares_and_centred_for_signed_values():
    shares = heatmaps.list_map(np.full((3, 3), 0.2), "t", "v").data[0]
    signed = heatmaps.list_map(np.array([[-2.0, 1.0]]), "t", "v", signed=True).data[0]
    assert (shares.zmin, shares.zmax) == (0, 1)
    assert (signed.zmin, signed.zmax) == (-2, 2)


def test_every_mark_of_the_curves_is_drawn():
    plain = examples()["curves"]
    marked = figures.training_curves(
        [0, 10, 20],
        {"loss": [3, 1, 0.6], "held out": [3, 2, 1]},
        0.5,
        {"o1": [0, 0.5, 1]},
        None,
        "T",
    )
    assert draw_png(plain) != draw_png(marked), "the break-through line"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(TypeError, match="pie"):
        draw_png(go.Figure(go.Pie(values=[1, 2])))
    figure = go.Figure(go.Scatter(x=[0], y=[0]))
    figure.add_shape(type="circle", x0=0, x1=1, y0=0, y1=1)
    with pytest.raises(TypeError, match="circle"):
        draw_png(figure)


def test_show_gives_a_picture_with_alt_text_and_no_html(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "listcomp_utils.notebook.show.display", lambda data, **more: shown.append((data, more))
    )
    show(examples()["bars"], alt="Two bars.", main=True)
    data, more = shown[0]
    assert set(data) == {"image/png", PLOTLY_MIME, "text/plain"}
    assert more["metadata"]["image/png"]["alt"] == "Two bars."


def test_tables_escape_their_bars():
    assert markdown_table(["a|b"], [[1]]) == "| a\\|b |\n| --- |\n| 1 |"
