"""The picture of the mechanism shows the numbers it is given."""

import pandas as pd

from listcomp_utils.plots.mechanism import draw_mechanism

STEPS = pd.DataFrame(
    {
        "list a, b": ["6, 4", "4, 6"],
        "s_a": [0.5, 0.7],
        "s_b": [0.7, 0.5],
        "α1": [0.4, 0.62],
        "β_s": [0.9, 0.8],
        "o1: a": [9.0, 8.0],
        "o1: b": [7.0, 5.0],
        "o2: a": [2.0, 3.0],
        "o2: b": [6.0, 4.0],
        "written": ["6, 4", "4, 6"],
    }
)


def test_shares_and_margins_are_drawn_to_scale():
    figure = draw_mechanism(STEPS, [0.1, 0.5, 0.7])
    shares, reads = figure.axes[2], figure.axes[4]
    assert [bar.get_width() for bar in shares.patches] == [0.4, 0.6]
    assert [bar.get_width() for bar in reads.patches] == [-2.0, 4.0], (
        "6 to the left, 4 to the right"
    )
    turned = figure.axes[5]
    assert [bar.get_width() for bar in turned.patches] == [3.0, -1.0]
    colours = [figure.axes[at].patches[0].get_facecolor() for at in (2, 3)]
    assert colours[0] != colours[1], "a digit keeps its colour, whichever place it stands in"
