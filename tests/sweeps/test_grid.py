"""Grids: values are read as their fields' types, wrong ones are refused before anything runs."""

import itertools

import pytest

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.sweeps.grid import config_cells, parse_grid


def test_values_ranges_and_lists_are_read():
    grid = parse_grid(["list_len=2, 3", "seed=0..2,7", "sample_list=[8,3],[3,8]", "lr=1e-3"])
    lists = dict(sample_list=["[8,3]", "[3,8]"])
    assert grid == dict(list_len=["2", "3"], seed=[0, 1, 2, "7"], **lists, lr=["1e-3"])


def test_cells_are_every_combination_once():
    cells = config_cells(parse_grid(["n_layers=1..2", "lr=1e-3,0.001,0.01"]), {"preset": "study"})
    every = itertools.product((0.001, 0.01), (1, 2))
    assert [(cell["lr"], cell["n_layers"]) for cell in cells] == list(every)
    assert cells[0] == Config.preset("study", n_layers=1, lr=0.001).to_dict()
    base = Config.preset("study", lr=0.5)
    two = [base.to_dict(), base.replace(seed=1).to_dict()]
    assert config_cells({"seed": range(2)}, base) == two


def test_presets_of_equal_settings_are_one_cell():
    study = Config.preset("study").to_dict()
    del study["seed"]
    assert len(config_cells({"preset": ["seed", "study"], "seed": [0]}, study)) == 1


@pytest.mark.parametrize(
    ("grid", "named"),
    [
        (["list_len=two"], "list_len must be a whole number, got 'two'"),
        (["list_len=0..2"], r"list_len must be at least 1, got 0 \(in the cell list_len=0\)"),
        (["d_model=8", "n_heads=1,3"], r"must divide .* \(in the cell d_model=8, n_heads=3\)"),
        (["seeds=1"], "unknown parameter 'seeds'; did you mean 'seed'"),
        (["seed=4..0"], "seed=4..0 is an empty range"),
        (["seed="], "seed has an empty value"),
        (["seed=1,,2"], "seed has an empty value"),
        (["seed"], "-g must be name=values"),
        (["seed=1", "seed=2"], "seed is in the grid twice"),
        (["seed=0..1000000000000"], r"1,000,000,000,001 cells \(seed=0\.\..*at most 10,000"),
        (["seed=0..999", "split_seed=0..99"], r"100,000 cells \(1,000 seed x 100 split_seed\)"),
        (["steps=1,2"], "steps is in the grid and fixed to 4"),
        ([], "the grid is empty"),
    ],
)
def test_wrong_grids_are_refused(grid, named):
    with pytest.raises(ConfigError, match=named):
        config_cells(parse_grid(grid), {"steps": 4})


def test_one_value_is_no_grid_and_a_name_no_base():
    with pytest.raises(ConfigError, match=r"seed must be several values .*, got 3"):
        config_cells({"seed": 3})
    with pytest.raises(ConfigError, match="base must be a Config, or a dict .*, got 'study'"):
        config_cells({"seed": [3]}, "study")
