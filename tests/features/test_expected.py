"""The follow-up's figures stand beside ours; bounds name claims once."""

from __future__ import annotations

from listcomp_utils.features.expected import HIGHEST, LOWEST, REPORTED, beside_follow_up
from listcomp_utils.sweeps.table import read_table


def test_ours_are_those_of_the_same_k_and_width():
    ours = read_table("features_released")
    table = beside_follow_up({"ours": ours, "none": ours[:0]})
    assert len(table) == len(REPORTED) and table["ours, none: number"].eq(0).all()
    row = table.iloc[-1]
    same = ours[(ours.k == 5) & (ours.d_sae == 512)].per_token
    assert row["ours, ours: best"] == same.max() and row["ours, ours: number"] == len(same) == 3
    assert table["ours, ours: number"][1] > 3  # any width where none is printed


def test_a_claim_is_named_once():
    names = [name for name, *_ in (*LOWEST, *HIGHEST)]
    assert len(set(names)) == len(names)
