"""Records: equal settings are one cell, and no damage goes unnamed."""

import sqlite3

import pytest

from listcomp_utils.config import ConfigError
from listcomp_utils.sweeps import records
from listcomp_utils.sweeps.engine import read_cells, run_grid
from listcomp_utils.sweeps.records import FILE, identity, open_records


def run(folder, seeds=range(2), figures=None):
    cells = [{"seed": seed} for seed in seeds]
    return run_grid(cells, lambda _: figures or {"x": 1}, folder, jobs=1, progress="none")


def test_equal_settings_have_one_identity():
    assert identity({"a": 1, "b": [0.5, -0.0]}) == identity({"b": [0.5, 0], "a": 1.0})
    assert len({identity({"a": value}) for value in (1, "1", True, None, 1.5, [1])}) == 6


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE cells SET figures = '[1]' WHERE rowid = 1", "an unknown shape .figures"),
        ("UPDATE cells SET settings = '{' WHERE rowid = 1", "an unknown shape .settings"),
        ("UPDATE cells SET status = NULL WHERE rowid = 1", "an unknown shape .status"),
        ("UPDATE cells SET seconds = 'long' WHERE rowid = 2", "an unknown shape .seconds"),
        ("ALTER TABLE cells DROP COLUMN versions", "no such column: versions"),
        ("ALTER TABLE cells RENAME TO songs", "no such table: cells"),
    ],
)
def test_records_of_an_unknown_shape_are_named(tmp_path, change, named):
    run(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute(change)
    database.close()
    before = (tmp_path / FILE).read_bytes()
    for use in (run, read_cells):
        with pytest.raises(ConfigError, match=rf"{FILE}.*{named}"):
            use(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_damaged_file_and_a_folder_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / FILE).write_text("no database, " * 100)
    with pytest.raises(ConfigError, match=rf"{FILE}.*file is not a database"):
        run(tmp_path)
    with pytest.raises(ConfigError, match=f"{FILE}/x' cannot be written"):
        run(tmp_path / FILE / "x")


def test_a_second_sweep_into_a_folder_is_refused(tmp_path):
    refused = pytest.raises(ConfigError, match="'one' is running already")
    with open_records(tmp_path / "one"), refused:
        run(tmp_path / "one")
    assert len(run(tmp_path / "one")) == 2


def test_a_full_disk_keeps_what_was_recorded(tmp_path, monkeypatch):
    run(tmp_path, seeds=range(1))
    (tmp_path / ".table.csv.cut-off.tmp").touch()
    connect = sqlite3.connect

    def small(*arguments, **how):
        database = connect(*arguments, **how)
        database.execute("PRAGMA max_page_count = 4")
        return database

    monkeypatch.setattr(records.sqlite3, "connect", small)
    with pytest.raises(ConfigError, match=rf"{FILE}.*disk is full"):
        run(tmp_path, figures={"x": "long" * 10_000})
    monkeypatch.undo()
    assert list(read_cells(tmp_path)["seed"]) == [0]
    assert list(run(tmp_path)["x"]) == [1, 1]
    assert not list(tmp_path.glob("*.tmp"))
