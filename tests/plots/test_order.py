"""The figures of the order mechanism: right and wrong in colours, shares on [0, 1]."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from listcomp_utils.plots import order
from listcomp_utils.plots.theme import GREYS, RIGHT, WRONG


def test_scores_are_split_by_right_and_wrong():
    scores = np.array([[1.0, 0.0], [0.5, 0.501], [0.0, 1.0]])
    figure = order.score_points(scores, np.array([True, False, True]), "Scores")
    shown = {trace.name: trace for trace in figure.data}
    assert set(shown) == {"right (2)", "wrong (1)", "equal scores"}
    assert list(shown["right (2)"].x) == [1, 0] and list(shown["wrong (1)"].y) == [0.5]
    assert shown["right (2)"].marker.color == RIGHT and shown["wrong (1)"].marker.color == WRONG
    assert list(shown["equal scores"].x) == list(shown["equal scores"].y) == [0, 1]


@pytest.mark.parametrize("first_right", [True, False])
def test_right_is_blue_whichever_list_comes_first(first_right):
    right = np.array([first_right, not first_right])
    figure = order.score_points(np.eye(2), right, "Scores")
    colours = {trace.name: trace.marker.color for trace in figure.data[:2]}
    assert colours == {"right (1)": RIGHT, "wrong (1)": WRONG}


def test_bins_show_mean_and_range_and_are_not_joined():
    shares = {"this model": [[0.4, 1.0]], "seeds": [[0.2, 0.8], [0.4, np.nan]]}
    figure = order.accuracy_bins([0, 0.1, 1], shares, "Bins", "difference")
    one, seeds = figure.data
    assert {one.mode, seeds.mode} == {"markers"} and not one.error_y.visible
    np.testing.assert_allclose(seeds.y, [0.3, 0.8])
    np.testing.assert_allclose(seeds.error_y.array, [0.1, 0], atol=1e-12)
    np.testing.assert_allclose(seeds.error_y.arrayminus, [0.1, 0], atol=1e-12)
    assert list(one.x) == list(seeds.x) == ["0<br>to 0.1", "0.1<br>to 1"]
    assert figure.layout.scattermode == "group"
    assert figure.layout.yaxis.range == (-0.02, 1.04)


def test_steering_shows_controls_in_grey_named_once():
    figure = order.steering_curves([0, 1], {"P": [0, 0.9]}, [[0, 0.1], [0, 0.2]], "Steering")
    steered, controls = figure.data
    assert list(steered.y) == [0, 0.9] and list(controls.y) == [0, 0.1, None, 0, 0.2, None]
    assert list(controls.x) == [0, 1, None] * 2 and controls.line.color == GREYS[1]
    assert controls.name == "random directions" and figure.layout.showlegend
    assert {steered.mode, controls.mode} == {"lines"} and not controls.connectgaps
    assert figure.layout.yaxis.range == (-0.02, 1.02)


def test_outcomes_end_with_the_rest_in_grey():
    outcomes = {"kept": [0.9, 0.1], "reversed": [0.1, 0.6]}
    rows = pd.DataFrame(outcomes, ["nothing", "exchanged"])
    kept, turned, rest = (figure := order.outcome_bars(rows, "Outcomes", "share")).data
    assert list(kept.x) == [0.9, 0.1] and list(turned.x) == [0.1, 0.6]
    np.testing.assert_allclose(rest.x, [0, 0.3], atol=1e-12)
    assert rest.name == "a third digit" and rest.marker.color == GREYS[2]
    assert figure.layout.xaxis.range == (0, 1) and figure.layout.barmode == "relative"
    assert figure.layout.yaxis.ticktext == ("nothing", "exchanged")
