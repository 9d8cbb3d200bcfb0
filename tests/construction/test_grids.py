"""The chapter's tables: their cells, one made small from start to end, and those that ship."""

import pytest

from listcomp_utils.config import Config
from listcomp_utils.construction import grids
from listcomp_utils.construction.starts import ATTEMPTS
from listcomp_utils.sweeps.grid import trainings
from listcomp_utils.sweeps.table import read_table


def with_cells(monkeypatch, name, cells):
    monkeypatch.setitem(grids.TABLES, name, grids.TABLES[name]._replace(cells=cells))


@pytest.mark.parametrize("name", grids.TABLES)
def test_cells_are_settings_that_can_run_and_differ(name):
    cells = grids.TABLES[name].cells
    assert len({str(cell) for cell in cells}) == len(cells) > 5
    for cell in cells:
        if name != "construction_frontier":
            settings = dict(cell)
            attempt = settings.pop("attempt", "all parts")
            assert attempt in ATTEMPTS
            assert Config(**settings).start == ("random" if "usual" in attempt else "ranks") or (
                name == "construction_study"
            )


def test_a_table_is_made_from_trainings_to_the_bounds(monkeypatch, runs, tmp_path):
    small = dict(preset="ranked", n_digits=8, d_model=16, steps=20, eval_every=20)
    with_cells(monkeypatch, "ranked", trainings(dict(small, seed=range(2))))
    path = grids.make_table("ranked", tmp_path, jobs=1)
    rows = read_table("ranked", path.parent)
    assert len(rows) == 2 and set(rows.seed) == {0, 1}
    assert (rows.proven_right <= rows.proven_at_most).all()
    assert ((rows.trained_near >= 0) | rows.trained_near.isna()).all()


def test_starts_make_a_table_too(monkeypatch, runs, tmp_path):
    small = dict(preset="ranked", n_digits=8, d_model=16, steps=2, eval_every=2)
    exact = grids.attempts(small, "hand-built, noise 0")[: len(grids.SEEDS)]
    with_cells(monkeypatch, "ranked_near", exact)
    path = grids.make_table("ranked_near", tmp_path, jobs=1)
    assert (read_table("ranked_near", path.parent).start_per_list == 1.0).all()


@pytest.mark.parametrize("name", grids.TABLES)
def test_what_ships_is_of_these_cells(name):
    assert len(read_table(name)) == len(grids.TABLES[name].cells)
