"""Heatmaps: shares on [0, 1], signed values around 0, missing ones blank, labels in place."""

import numpy as np
import pytest

from listcomp_utils.plots import heatmaps

LABELS = ["d1", "d2", "SEP", "o1", "o2"]


def scale(figure) -> tuple[float, float]:
    return figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax


def test_tokens_stand_in_their_places_right_and_wrong_in_colours_of_their_own():
    figure = heatmaps.token_rows(
        [["1", "SEP"], ["2", "·"]], ["list", "list"], ["o1", "o2"], [[0, 1], [2, 0]], "Tokens"
    )
    table = figure.data[0]
    assert [list(row) for row in table.text] == [["1", "SEP"], ["2", "·"]]
    assert table.z.tolist() == [[0, 1], [2, 0]] and scale(figure) == (0, 2)
    colours = [colour for _, colour in figure.layout.coloraxis.colorscale]
    assert colours == [heatmaps.NEUTRAL_COLOUR, heatmaps.RIGHT_COLOUR, heatmaps.WRONG_COLOUR]
    assert figure.layout.yaxis.ticktext == ("list", "list") and figure.layout.xaxis.side == "top"


def test_the_mask_figure_shows_the_mask():
    allowed = np.tril(np.ones((2, 5, 5), dtype=bool))
    allowed[1, 3:, :2] = False
    figure = heatmaps.mask_panels(allowed, LABELS, "Mask")
    for layer, trace in enumerate(figure.data):
        assert (np.asarray(trace.z, dtype=bool) == allowed[layer]).all()
        assert ((np.asarray(trace.text) == "yes") == allowed[layer]).all()
    assert {note.text for note in figure.layout.annotations} == {"Layer 0", "Layer 1"}
    assert figure.layout.xaxis.ticktext == tuple(LABELS) and scale(figure) == (0, 1)
    alike = heatmaps.mask_panels(allowed[[1, 1]], LABELS, "Mask")
    assert [note.text for note in alike.layout.annotations] == ["Every layer"]
    assert (np.asarray(alike.data[0].z, dtype=bool) == allowed[1]).all() and len(alike.data) == 1


def test_scales_are_fixed_for_shares_and_centred_for_signed_values():
    def panels(signed: bool, *matrices):
        named = {f"panel {number}": matrix for number, matrix in enumerate(matrices)}
        return heatmaps.heatmap_panels(named, "ab", "cd", "Panels", "effect", signed=signed)

    assert scale(panels(False, np.full((2, 2), 0.2))) == (0, 1)
    assert scale(panels(True, np.array([[-2.0, 1.0], [0, 0]]))) == (-2, 2)
    assert scale(panels(True, np.eye(2), -3 * np.eye(2))) == (-3, 3), "one scale for all panels"
    assert scale(panels(True, np.full((2, 2), np.nan))) == (-1, 1)


def test_values_are_those_given_and_missing_ones_blank():
    values = np.array([[0.5, np.nan], [0.25, 1.0]])
    figure = heatmaps.list_maps({"": values}, "Map", "share right")
    np.testing.assert_array_equal(figure.data[0].z, values)
    assert figure.data[0].hoverongaps is False and figure.layout.plot_bgcolor is None
    assert "first digit d1" in figure.data[0].hovertemplate
    assert figure.layout.coloraxis.colorbar.title.text == "share right"


def test_numbers_stand_in_cells_only_where_they_can_be_read():
    assert heatmaps.list_maps({"": np.eye(10)}, "Map", "share").data[0].texttemplate == "%{z:.2f}"
    assert not heatmaps.list_maps({"": np.eye(13)}, "Map", "share").data[0].texttemplate
    ten = heatmaps.list_maps({name: np.eye(10) for name in "abc"}, "Maps", "share")
    places = {tuple(ten.layout[t.xaxis.replace("x", "xaxis")].domain) for t in ten.data}
    assert len(places) == 1, "below each other"
    large = heatmaps.list_maps({name: np.eye(100) for name in "abc"}, "Maps", "share")
    places = {tuple(large.layout[t.xaxis.replace("x", "xaxis")].domain) for t in large.data}
    assert len(places) == 3 and large.layout.xaxis.tickmode == "auto"


def test_panels_keep_their_order_names_and_labels():
    panels = {f"layer {number}": np.full((2, 3), number / 10) for number in range(5)}
    figure = heatmaps.heatmap_panels(panels, ["q1", "q2"], list("abc"), "Panels", "share")
    for number, trace in enumerate(figure.data):
        assert trace.z[0, 0] == number / 10
        horizontal = figure.layout[trace.xaxis.replace("x", "xaxis")]
        vertical = figure.layout[trace.yaxis.replace("y", "yaxis")]
        above = next(
            note.text
            for note in figure.layout.annotations
            if note.x == pytest.approx(np.mean(horizontal.domain))
            and note.y == pytest.approx(vertical.domain[1])
        )
        assert above == f"layer {number}"
        assert horizontal.ticktext == ("a", "b", "c") and horizontal.showticklabels
        assert vertical.ticktext == ("q1", "q2") and vertical.range == (1.5, -0.5)


def test_densities_stand_at_the_centres_of_their_bins():
    weights = {"e1": np.array([0.01, 0.99, 0.98, 1.0]), "e2": np.array([0.51, 0.51, 0.0, 0.02])}
    figure = heatmaps.density_rows(weights, "Rows")
    rows = figure.data[0]
    shares = [{round(x, 4): z for x, z in zip(rows.x, row, strict=True) if z} for row in rows.z]
    assert shares == [{0.0125: 0.25, 0.9875: 0.75}, {0.0125: 0.5, 0.5125: 0.5}]
    assert figure.layout.xaxis.range == (0, 1) and figure.layout.xaxis.tickmode == "auto"
    assert scale(figure) == (0, 0.75) and figure.layout.yaxis.ticktext == ("e1", "e2")


def test_the_gallery_shows_each_map_under_its_name():
    maps = np.arange(48).reshape(12, 2, 2) / 48
    figure = heatmaps.map_gallery(maps, list("abcdefghijkl"), "Gallery", "share")
    sheet = figure.data[0].z
    notes = [note for note in figure.layout.annotations if note.text]
    for one, note in zip(maps, notes, strict=True):
        top, left = round(note.y + 2.2), round(note.x - 0.5)
        np.testing.assert_array_equal(sheet[top : top + 2, left : left + 2], one)
    assert [note.text for note in notes] == list("abcdefghijkl")
    assert np.isfinite(sheet).sum() == 48 and scale(figure) == (0, 1)
