"""Seeds trained and measured through the sweep engine, and the table that ships."""

import pytest

from listcomp_utils.circuit.failures import FailurePredictor
from listcomp_utils.circuit.quantities import measure
from listcomp_utils.circuit.seeds import SEEDS, measure_seeds
from listcomp_utils.config import Config
from listcomp_utils.model import make_native_model
from listcomp_utils.sweeps.table import read_table, write_table


def test_a_table_of_two_seeds_is_made_resumed_and_read(tmp_path):
    config = Config.preset(
        "study", n_digits=10, d_model=32, steps=400, eval_every=100, train_fraction=0.5
    )
    frames = [measure_seeds(config, [0, 3], tmp_path, jobs=1, progress="none") for _ in range(2)]
    assert frames[0].equals(frames[1])
    assert frames[0]["seed"].to_list() == [0, 3]
    names = set(measure(make_native_model(config)))
    assert names | {"failures.recall", "failure_predictor"} <= set(frames[0].columns)
    write_table(frames[0], tmp_path / "seeds.json", "Do two seeds agree?")
    read = read_table("seeds", tmp_path)
    assert read.attrs["shared"]["n_digits"] == 10 and read.attrs["varied"] == []
    # Each seed's predictor was fitted on the other's lists.
    first, second = read["failure_predictor"]
    assert first != second
    assert read["accuracy"].to_list() == pytest.approx(read["per_token"].to_list())


def test_the_shipped_rows_are_of_eight_seeds_and_hold_their_predictors():
    seeds = read_table("circuit_seeds")
    assert seeds["seed"].to_list() == list(SEEDS)
    assert Config(**seeds.attrs["shared"]) == Config.preset("study")
    for _, row in seeds.iterrows():
        predictor = FailurePredictor(**row["failure_predictor"])
        assert predictor.slopes[1] < 0 < predictor.threshold < 1
        assert row["failures.precision"] > 2 * row["failures.base_rate"]
