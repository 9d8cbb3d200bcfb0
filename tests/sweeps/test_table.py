"""Tables: over seeds, and small enough to ship."""

import json

import pandas as pd
import pytest

from listcomp_utils.config import ConfigError
from listcomp_utils.sweeps.table import read_table, summarise, summarise_sweep, write_table

FRAME = pd.DataFrame(
    {
        "size": [1, 1, 1, 2],
        "kind": "a",
        "seed": [0, 1, 2, 0],
        "status": "done",
        "error": None,
        "seconds": [1.0, 2.0, 3.0, 4.0],
        "broke_through": [True, True, False, False],
        "breakthrough_step": [500, 300, None, None],
        "per_token": [0.9, 1.0, 0.5, 0.123456789],
        "course": [[0.123456789, {"a": 1}]] * 4,
    }
)


def test_figures_are_summarised_over_rows():
    summary = summarise(FRAME, ["size", "kind"], ["per_token", "broke_through"])
    first, second = summary.to_dict("records")
    assert (first["size"], first["kind"], first["seeds"]) == (1, "a", 3)
    assert first["per_token"] == pytest.approx(0.8)
    assert first["per_token_sd"] == pytest.approx(0.07**0.5)
    assert (first["per_token_min"], first["per_token_max"]) == (0.5, 1.0)
    assert first["broke_through"] == pytest.approx(2 / 3)
    assert second["seeds"] == 1 and pd.isna(second["per_token_sd"])
    assert summarise(FRAME, [], ["seconds"])["seconds"].tolist() == [2.5]


def test_a_sweep_is_summarised_over_seeds_that_broke_through():
    failed = FRAME.tail(1).assign(seed=1, status="failed", broke_through=None, per_token=None)
    first, second = summarise_sweep(pd.concat([FRAME, failed])).to_dict("records")
    assert (first["size"], first["kind"], first["seeds"], first["failed"]) == (1, "a", 3, 0)
    assert (first["broke_through"], first["share_broke_through"]) == (2, pytest.approx(2 / 3))
    assert first["per_token"] == pytest.approx(0.95)
    assert first["per_token_sd"] == pytest.approx(0.05 * 2**0.5)
    assert first["seconds"] == 2
    assert (second["seeds"], second["failed"], second["broke_through"]) == (1, 1, 0)
    assert pd.isna(second["per_token"]) and second["seconds"] == 4


def test_a_shipped_table_reads_back(tmp_path):
    made = {"finished": "2026-01-01", "seconds": 10, "versions": {}}
    frame = FRAME.copy()
    frame.attrs = {"made": made}
    path = write_table(frame, tmp_path / "t.json", "Why?")
    assert path.read_text().count("\n  {") == 4  # a row a line
    table = read_table("t", tmp_path)
    known = dict(question="Why?", made=made, shared={"kind": "a"}, varied=["size"])
    assert table.attrs == known
    assert list(table.columns) == ["size", "seed", *FRAME.columns[5:]]
    assert table["per_token"].tolist() == [0.9, 1.0, 0.5, 0.12346]
    assert table["course"][0] == [0.12346, {"a": 1}]
    assert table["breakthrough_step"].tolist()[:2] == [500, 300]


def test_a_table_that_is_not_there_or_not_whole_is_named(tmp_path):
    with pytest.raises(ConfigError, match="t.json is not in .* tables t` makes it"):
        read_table("t", tmp_path)
    for content in ("{", json.dumps({"rows": [{"a": 1}]}), "[]"):
        (tmp_path / "t.json").write_text(content)
        with pytest.raises(ConfigError, match=r"t.json is not a table of a sweep"):
            read_table("t", tmp_path)
    failed = FRAME.assign(status=["done", "failed", "done", "done"], error="ValueError: odd")
    with pytest.raises(RuntimeError, match=r"1 of 4 cells failed.*ValueError: odd"):
        write_table(failed, tmp_path / "new" / "t.json")
    assert not (tmp_path / "new").exists()
