"""Corrections stand beside the study's own words."""

from listcomp_utils.construction.published import PRINTED, corrections


def test_only_what_was_measured_is_shown():
    rows = corrections({"length 3": ("two layers", 0.99)})
    assert rows.values.tolist() == [[*PRINTED["length 3"], "two layers", 0.99]]
    assert len(corrections({})) == 0
