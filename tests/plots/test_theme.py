"""The theme: inside every figure, colours that can be told apart, titles that fit the page."""

import itertools
import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from listcomp_utils.plots import curves, heatmaps, theme

# How the eye sees linear red, green, blue (Machado, Oliveira and Fernandes 2009, severity 1).
EYES = {
    "full": np.eye(3),
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast_on_white(colour: str) -> float:
    return 1.05 / (0.05 + float(linear(colour) @ [0.2126, 0.7152, 0.0722]))


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ rgb / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_marks_stand_out_on_white():
    assert min(map(contrast_on_white, theme.COLOURS)) >= 3
    assert min(map(contrast_on_white, theme.GREYS[:2])) >= 4.5


@pytest.mark.parametrize("eye", EYES)
def test_colours_are_told_apart_by_every_eye(eye):
    seen = [lab(np.clip(np.array(EYES[eye]) @ linear(one), 0, 1)) for one in theme.COLOURS]
    distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(distances) > 10
    assert np.linalg.norm(seen[0] - seen[1]) > 60, "right and wrong"


def test_saved_figures_carry_the_theme():
    for figure in (
        curves.lines({"a": ([0, 1], [1, 2])}, "Up", "x", "y"),
        curves.grouped_bars(pd.DataFrame({"a": [0.5]}, ["o1"]), "Bars", "share"),
        heatmaps.list_maps({"": np.eye(2)}, "Map", "share"),
    ):
        saved = json.loads(figure.to_json())["layout"]["template"]["layout"]
        assert tuple(saved["colorway"]) == theme.COLOURS and saved["plot_bgcolor"] == "white"
        assert len(json.dumps(saved)) < 1500


def test_long_titles_are_broken_into_lines_with_room_for_them():
    long = "Two layers without learned positions cannot pass 0.755 per token, 0.510 per list"
    figure, short = theme.themed(go.Figure(), long), theme.themed(go.Figure(), "Short")
    lines = figure.layout.title.text.split("<br>")
    assert " ".join(lines) == long and max(map(len, lines)) <= theme.TITLE_LETTERS
    even = theme.wrapped("Lists right: 46% where |α1 - α2| is least, 100% where it is most", 50)
    assert even == "Lists right: 46% where |α1 - α2|<br>is least, 100% where it is most"
    assert figure.layout.margin.t - short.layout.margin.t == figure.layout.height - 400 > 0
