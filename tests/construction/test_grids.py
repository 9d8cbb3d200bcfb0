"""The chapter's tables: their cells, one made small from start to end, and those that ship."""

import pytest

from listcomp_utils.config import Config
from listcomp_utils.construction import grids
from listcomp_utils.construction.starts import ATTEMPTS
from listcomp_utils.sweeps.table import read_table


@pytest.mark.parametrize("name", grids.TABLES)
def test_cells_are_settings_that_can_run_and_differ(name):
    cells = grids.grid_cells(name)
    assert len({str(cell) for cell in cells}) == len(cells) > 5
    for cell in cells:
        if name != "construction_frontier":
            attempt = cell.pop("attempt", "all parts")
            assert attempt in ATTEMPTS
            assert Config(**cell).start == ("random" if "usual" in attempt else "ranks") or (
                name == "construction_study"
            )


def test_a_table_is_made_from_trainings_to_the_bounds(monkeypatch, runs, tmp_path):
    small = dict(preset="ranked", n_digits=8, d_model=16, steps=20, eval_every=20)
    monkeypatch.setitem(grids.PARTS, "ranked", (({"seed": range(2)}, small),))
    path = grids.make_table("ranked", tmp_path, jobs=1, progress="none")
    rows = read_table("ranked", path.parent)
    assert len(rows) == 2 and set(rows.seed) == {0, 1}
    assert (rows.proven_right <= rows.proven_at_most).all()
    assert ((rows.trained_near >= 0) | rows.trained_near.isna()).all()


def test_starts_make_a_table_too(monkeypatch, runs, tmp_path):
    base = dict(preset="ranked", n_digits=8, d_model=16, steps=2, eval_every=2)
    values = dict(seed=range(2), attempt=["hand-built, noise 0"])
    monkeypatch.setitem(grids.PARTS, "ranked_near", ((values, base),))
    path = grids.make_table("ranked_near", tmp_path, jobs=1, progress="none")
    assert (read_table("ranked_near", path.parent).start_per_list == 1.0).all()


@pytest.mark.parametrize("name", grids.TABLES)
def test_what_ships_is_of_these_cells(name):
    assert len(read_table(name)) == len(grids.grid_cells(name))
