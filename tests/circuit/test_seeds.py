"""Seeds trained and measured through the sweep engine, and the table that ships."""

import pytest

from listcomp_utils.circuit.failures import FailurePredictor
from listcomp_utils.circuit.quantities import measure
from listcomp_utils.circuit.seeds import TABLES, make_table
from listcomp_utils.config import Config
from listcomp_utils.model import make_native_model
from listcomp_utils.sweeps.grid import config_cells
from listcomp_utils.sweeps.table import read_table


def test_a_table_of_two_seeds_is_made_resumed_and_read(tmp_path, runs, monkeypatch):
    config = Config.preset(
        "study", n_digits=10, d_model=32, steps=400, eval_every=100, train_fraction=0.5
    )
    small = TABLES["circuit_seeds"]._replace(cells=config_cells({"seed": [0, 3]}, config))
    monkeypatch.setitem(TABLES, "circuit_seeds", small)
    texts = [make_table("circuit_seeds", tmp_path, jobs=1).read_text() for _ in range(2)]
    assert texts[0] == texts[1]
    read = read_table("circuit_seeds", tmp_path)
    assert read["seed"].to_list() == [0, 3]
    names = set(measure(make_native_model(config)))
    assert names | {"failures.recall", "failure_predictor"} <= set(read.columns)
    assert read.attrs["shared"]["n_digits"] == 10 and read.attrs["varied"] == []
    # Each seed's predictor was fitted on the other's lists.
    first, second = read["failure_predictor"]
    assert first != second
    assert read["accuracy"].to_list() == pytest.approx(read["per_token"].to_list())


def test_the_shipped_rows_are_of_eight_seeds_and_hold_their_predictors():
    seeds = read_table("circuit_seeds")
    assert seeds["seed"].to_list() == list(range(8))
    assert Config(**seeds.attrs["shared"]) == Config.preset("study")
    for _, row in seeds.iterrows():
        predictor = FailurePredictor(**row["failure_predictor"])
        assert predictor.slopes[1] < 0 < predictor.threshold < 1
        assert row["failures.precision"] > 2 * row["failures.base_rate"]
