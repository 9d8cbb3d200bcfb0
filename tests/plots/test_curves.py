"""Curves and bars: the numbers given are the numbers shown, and every mark is named."""

import numpy as np
import pandas as pd
import pytest

from listcomp_utils.plots import curves
from listcomp_utils.plots.theme import COLOURS, GREYS, RIGHT, WRONG


def test_training_shows_losses_and_accuracies_in_panels_of_their_own():
    course = {"loss": [3, 1, 0.6], "loss, held out": [3, 2, 1], "floor 0.576": 0.576}
    course = pd.DataFrame({**course, "o1": [0, 0.5, 1], "whole list": [0, 0.2, 0.9]}, [0, 10, 20])
    figure = curves.training_curves(course, 10, "Training")
    shown = {trace.name: (trace.xaxis, list(trace.y)) for trace in figure.data}
    assert shown["loss"] == ("x", [3, 1, 0.6]) and shown["whole list"] == ("x2", [0, 0.2, 0.9])
    widths = {trace.name: trace.line.width or 0 for trace in figure.data}
    assert widths["o1"] > 5 > widths["whole list"], "a single output can be seen under whole lists"
    dashes = {trace.name: trace.line.dash for trace in figure.data}
    dashed = dict.fromkeys(course, "solid") | {"loss, held out": "dash", "floor 0.576": "dot"}
    assert dashes == dashed and figure.layout.yaxis2.range == (-0.02, 1.04)
    named = [shape.name for shape in figure.layout.shapes if shape.showlegend]
    assert named == ["break-through: step 10"]
    assert {shape.xref for shape in figure.layout.shapes if shape.x0 == 10} == {"x", "x2"}
    assert [trace.name for trace in figure.data if trace.showlegend].count("floor 0.576") == 1
    assert not curves.training_curves(course, None, "Training").layout.shapes


def test_bars_have_the_values_and_labels_given_and_room_for_their_numbers():
    frame = pd.DataFrame({"a": [0.5, 1], "b": [0.2, 0.3]}, ["o1", "o2"]).rename_axis(columns="of")
    figure = curves.grouped_bars(frame, "Bars", "share")
    assert {bar.name: list(bar.x) for bar in figure.data} == {"a": [0.5, 1], "b": [0.2, 0.3]}
    assert [bar.marker.color for bar in figure.data] == list(COLOURS[:2])
    assert figure.layout.yaxis.ticktext == ("o1", "o2") and figure.layout.barmode == "group"
    low, high = figure.layout.xaxis.range
    assert low == 0 and high > 1 and figure.layout.xaxis.title.text == "share"
    assert not figure.layout.legend.title.text
    assert figure.data[0].texttemplate == "%{x:.3~g}"


@pytest.mark.parametrize(("values", "sides"), [([-40, 0], (True, True)), ([3, 5], (False, True))])
def test_bars_without_a_range_start_at_zero_with_room_for_numbers(values, sides):
    frame = pd.DataFrame({"x": values}, ["a", "b"])
    figure = curves.grouped_bars(frame, "Change", "points", value_range=None)
    low, high = figure.layout.xaxis.range
    assert (low < min(0, *values), high > max(0, *values)) == sides
    assert low <= 0 <= high


def test_a_bar_that_is_missing_has_no_number():
    frame = pd.DataFrame({"a": [0.5, None], "b": [0.2, 0.3]}, ["o1", "o2"])
    first, second = curves.grouped_bars(frame, "Bars", "share").data
    assert list(first.x) == [0.5] and list(first.y) == [0] and list(second.x) == [0.2, 0.3]


def test_lines_over_seeds_reach_from_the_least_to_the_most_and_stand_side_by_side():
    rows = pd.DataFrame(
        {"layers": [2, 3, 2, 3], "right": [0.5, 0.75, 0.25, 0.5], "of": [2, 2, 3, 3]}
    )
    rows = rows.assign(right_min=rows.right - 0.25, right_max=rows.right + 0.125)
    names = {"layers": "layers", "right": "lists right", "of": "digits"}
    figure = curves.seed_lines(rows, names, "More layers", (0, 1))
    first, second = figure.data
    assert (first.name, list(first.y), list(second.y)) == ("2", [0.5, 0.75], [0.25, 0.5])
    assert list(first.error_y.array) == [0.125] * 2 and list(first.error_y.arrayminus) == [0.25] * 2
    assert list(first.x) == [2, 3] and 2 < second.x[0] < 2.2
    assert figure.layout.yaxis.title.text == "lists right" and figure.layout.yaxis.range == (0, 1)


def test_lines_keep_their_own_places_and_points_stay_unconnected():
    figure = curves.lines(
        {"model": ([0, 1, 2], [0.1, 0.5, 1]), "by hand": ([2], [0.4])},
        "Right",
        "k",
        "share",
        y_range=(0, 1.03),
        points=["by hand"],
    )
    model, by_hand = figure.data
    assert list(model.y) == [0.1, 0.5, 1] and model.mode == "lines+markers"
    assert (list(by_hand.x), list(by_hand.y), by_hand.mode) == ([2], [0.4], "markers")
    assert model.marker.symbol != by_hand.marker.symbol
    assert figure.layout.yaxis.range == (0, 1.03) and figure.layout.xaxis.title.text == "k"


def test_a_name_has_one_colour_in_all_panels():
    loss = pd.DataFrame({"a": [3, 1], "b": [2, 0]})
    figure = curves.line_panels({"loss": loss, "p=q": loss[["b"]].tail(1)}, "Panels", "step")
    assert {note.text for note in figure.layout.annotations} == {"loss", "p=q"}
    colours = {(trace.name, trace.line.color) for trace in figure.data if len(trace.x)}
    assert len(colours) == 2
    assert [trace.name for trace in figure.data if trace.showlegend] == ["a", "b"]
    loss = next(t for t in figure.data if t.name == "a" and len(t.x))
    assert list(loss.y) == [3, 1] and figure.layout.yaxis2.matches is None


def test_rows_of_dots_keep_every_point_in_its_row_and_name_their_marks():
    series = {"mean": pd.Series([0.5, 0.7], ["x", "y"]), "seeds": pd.Series([0.4, 0.6], ["x", "x"])}
    figure = curves.dot_rows(series, "Dots", "share", (0, 1), {"half": 0.5})
    mean, seeds = figure.data
    assert (list(mean.x), list(mean.y)) == ([0.5, 0.7], ["x", "y"])
    assert (list(seeds.x), list(seeds.y)) == ([0.4, 0.6], ["x", "x"])
    assert figure.layout.scattermode == "group" and mean.orientation == seeds.orientation == "h"
    assert figure.layout.xaxis.range == (0, 1) and figure.layout.yaxis.autorange == "reversed"
    assert {trace.mode for trace in figure.data} == {"markers"}
    assert figure.layout.shapes[0].x0 == 0.5 and figure.layout.annotations[0].text == "half"


@pytest.mark.parametrize("right", [[True, False, True], [False, True, False]])
def test_scores_are_split_and_right_is_blue_whichever_comes_first(right):
    scores, right = np.array([[1.0, 0.0], [0.5, 0.501], [0.0, 1.0]]), np.array(right)
    one, other, equal = curves.score_points(scores, right, "Scores").data
    assert one.name.startswith("right (") and one.marker.color == RIGHT
    assert other.name.startswith("wrong (") and other.marker.color == WRONG
    assert (list(one.x), list(other.y)) == (
        list(scores[right, 0]),
        list(scores[~right, 1].round(2)),
    )
    assert equal.name == "equal scores" and list(equal.x) == list(equal.y) == [0, 1]


def test_bins_show_mean_and_range_and_are_not_joined():
    shares = {"this model": [[0.4, 1.0]], "seeds": [[0.2, 0.8], [0.4, np.nan]]}
    figure = curves.accuracy_bins([0, 0.1, 1], shares, "Bins", "difference")
    one, seeds = figure.data
    assert {one.mode, seeds.mode} == {"markers"} and not one.error_y.visible
    np.testing.assert_allclose(seeds.y, [0.3, 0.8])
    np.testing.assert_allclose(seeds.error_y.array, [0.1, 0], atol=1e-12)
    np.testing.assert_allclose(seeds.error_y.arrayminus, [0.1, 0], atol=1e-12)
    assert list(one.x) == list(seeds.x) == ["0<br>to 0.1", "0.1<br>to 1"]
    assert figure.layout.scattermode == "group"
    assert figure.layout.yaxis.range == (-0.02, 1.04)


def test_steering_shows_controls_in_grey_named_once():
    figure = curves.steering_curves([0, 1], {"P": [0, 0.9]}, [[0, 0.1], [0, 0.2]], "Steering")
    steered, controls = figure.data
    assert list(steered.y) == [0, 0.9] and list(controls.y) == [0, 0.1, None, 0, 0.2, None]
    assert list(controls.x) == [0, 1, None] * 2 and controls.line.color == GREYS[1]
    assert controls.name == "random directions" and figure.layout.showlegend
    assert {steered.mode, controls.mode} == {"lines"} and not controls.connectgaps
    assert figure.layout.yaxis.range == (-0.02, 1.02)


def test_outcomes_end_with_the_rest_in_grey():
    outcomes = {"kept": [0.9, 0.1], "reversed": [0.1, 0.6]}
    rows = pd.DataFrame(outcomes, ["nothing", "exchanged"])
    kept, turned, rest = (figure := curves.outcome_bars(rows, "Outcomes", "share")).data
    assert list(kept.x) == [0.9, 0.1] and list(turned.x) == [0.1, 0.6]
    np.testing.assert_allclose(rest.x, [0, 0.3], atol=1e-12)
    assert rest.name == "a third digit" and rest.marker.color == GREYS[2]
    assert figure.layout.xaxis.range == (0, 1) and figure.layout.barmode == "relative"
    assert figure.layout.yaxis.ticktext == ("nothing", "exchanged")
