"""Drawings: widths, colours and numbers of the flow; bars in order; points where they are."""

import numpy as np
import pandas as pd

from listcomp_utils.plots import diagrams
from listcomp_utils.plots.theme import COLOURS

LABELS = ["d1", "SEP", "o1"]
TOKENS = [["3", "SEP", "3"], ["3", "3", "3"]]


def flow(**columns):
    return diagrams.attention_flow(pd.DataFrame(columns), TOKENS, LABELS, "Flow")


def test_an_arrow_runs_from_key_to_query_as_wide_as_its_attention():
    figure = flow(layer=[0], query=[1], key=[0], weight=[0.5], cost=[0.46])
    arrow = next(trace for trace in figure.data if trace.mode == "lines")
    assert (arrow.x[0], arrow.x[-1]) == (0, 1) and 0 < arrow.y[0] < arrow.y[-1] < 1
    assert arrow.line.width == 0.6 + 9 * 0.5
    assert arrow.hovertext == "SEP<-d1: attention 0.50, accuracy without it -0.460"
    assert [note.text for note in figure.layout.annotations] == ["-46"]


def test_arrows_without_weight_and_cost_are_left_out_and_free_ones_have_no_number():
    figure = flow(layer=[0, 0], query=[2, 1], key=[1, 1], weight=[0.001, 0.9], cost=[0.0, 0.0])
    drawn = [trace for trace in figure.data if trace.mode == "lines"]
    assert len(drawn) == 1 and drawn[0].x[1] < 1, "an arrow to itself is bent beside the line"
    assert not figure.layout.annotations


def test_nodes_show_the_tokens_of_each_level():
    figure = flow(layer=[], query=[], key=[], weight=[], cost=[])
    nodes = [trace for trace in figure.data if trace.mode == "markers+text"]
    assert [list(level.text) for level in nodes] == TOKENS
    assert figure.layout.yaxis.ticktext == ("embedding", "after layer 0")
    assert figure.layout.xaxis.ticktext == tuple(LABELS)


def test_ranked_bars_keep_order_groups_and_spreads():
    rows = pd.DataFrame({"mean": [0.1, 0.5, 0.9], "spread": [0, 0.2, float("nan")]}, [*"abb"])
    figure = diagrams.ranked_bars(rows["mean"], rows.spread, [*"xyx"], "Bars", "accuracy", 0.95)
    x, y = figure.data
    assert (x.name, list(x.x), list(x.y)) == ("x", [0.1, 0.9], [0, 2])
    assert (y.name, list(y.x), list(y.y)) == ("y", [0.5], [1])
    assert [x.marker.color, y.marker.color] == list(COLOURS[:2])
    assert list(y.error_x.array) == [0.2] and np.isnan(np.array(x.error_x.array, float)).all()
    assert figure.layout.yaxis.ticktext == ("a", "b", "b") and figure.layout.shapes[0].x0 == 0.95
    assert figure.layout.yaxis.tickvals == (0, 1, 2) and figure.layout.yaxis.range == (2.5, -0.5)


def test_points_have_a_column_for_places_and_a_row_for_colours():
    places = {
        "layer 0": pd.DataFrame({"PC1 (30%)": [0, 2], "PC2 (20%)": [1, 3]}),
        "layer 1": pd.DataFrame({"PC1 (40%)": [4, 6], "PC2 (10%)": [5, 7]}),
    }
    figure = diagrams.point_panels(places, {"d1": [1, 3], "d2": [2, 4]}, ["1 2", "3 4"], "Points")
    titles = [note.text for note in figure.layout.annotations]
    assert titles[:2] == ["layer 0, by d1", "layer 1, by d1"] and len(figure.data) == 4
    assert list(figure.data[1].x) == [4, 6] and list(figure.data[1].y) == [5, 7]
    assert [list(trace.marker.color) for trace in figure.data[::2]] == [[1, 3], [2, 4]]
    assert {trace.mode for trace in figure.data} == {"markers"}
    assert figure.layout.yaxis2.title.text == "PC2 (10%)"
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmax, axis.colorbar.tickvals) == (-0.5, 4.5, (0, 1, 2, 3, 4))
    assert len({colour for _, colour in axis.colorscale}) == 5, "each digit has its colour"
    many = diagrams.point_panels(places, {"d1": [0, 99]}, ["0 1", "99 1"], "Points")
    assert many.layout.coloraxis.colorbar.tickvals is None


def test_bars_over_seeds_have_the_mean_and_half_the_range():
    frame = pd.DataFrame({"a": [0.2, 0.6], "b": [float("nan")] * 2})
    figure = diagrams.seed_bars(frame, ["one", "other"], "Bars", "share")
    first, other = figure.data
    assert np.allclose(first.x, [0.4]) and np.allclose(first.error_x.array, [0.2])
    assert list(other.x) == [0]
