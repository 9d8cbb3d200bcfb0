"""The printed figures and their verdicts, beside a model and the shipped seeds."""

import pytest

from listcomp_utils.circuit.published import (
    PRINTED_MASK,
    PUBLISHED,
    Published,
    beside_seeds,
    parameter_counts,
    published_table,
)
from listcomp_utils.circuit.quantities import measure
from listcomp_utils.config import Config
from listcomp_utils.mask import build_mask
from listcomp_utils.sweeps.table import read_table


@pytest.fixture(scope="module")
def measured(study_model):
    return measure(study_model)


def test_the_shipped_seed_is_measured_as_the_table_says(measured):
    row = read_table("circuit_seeds").iloc[0]
    assert row["seed"] == 0 and set(measured) <= set(row.index)
    for name, value in measured.items():
        assert value == pytest.approx(row[name], rel=1e-4, abs=1e-5), name


def test_every_printed_figure_has_a_row_and_a_verdict(measured):
    seeds = read_table("circuit_seeds")
    three = {"three_layers_accuracy": 1.0, "three_layers_parameters": 37_952}
    table = published_table(measured | three, seeds).set_index("quantity")
    assert len(table) == len(PUBLISHED) == len(published_table(measured, seeds)) + 2
    counts = table.loc["trained parameters"]
    assert counts.to_list() == [92_288] + 4 * [29_760] + [
        "the print is wrong: the count at width 128"
    ]
    assert all(type(count) is int for count in counts[:-1])
    assert table.loc["reconstructed o2 equals o2", "verdict"] == "agrees"
    assert table.loc["mean patterns, both layers", "verdict"] == "differs: another training"


def test_verdicts_by_hand():
    figure = Published("x", 0.62, 5e-3, note="so it is")
    assert figure.verdict(0.6249) == "agrees; so it is"
    assert figure.verdict(0.63, 0.6, 0.65) == "within our seeds"
    assert figure.verdict(0.63, 0.63, 0.65) == "differs: another training"
    assert figure.verdict(0.63, trained_here=False) == "differs"
    assert Published("x", 0.62, 0, "a slip").verdict(0.63, 0.6, 0.65).endswith("wrong: a slip")
    assert Published("x", 0.99, 5e-3, or_more=True).verdict(0.999) == "agrees"
    assert Published("x", 0.99, 5e-3).verdict(0.999) != "agrees"


def test_a_quantity_stands_beside_its_seeds(measured):
    seeds = read_table("circuit_seeds")
    frame = beside_seeds(measured, seeds, ["accuracy", "edge_zeroed.L1 o2<-o1"])
    assert frame["quantity"].to_list() == ["accuracy", "L1 o2<-o1"]
    values = 100 * frame.iloc[:, 1:].to_numpy(float)
    assert values[0].round(2).tolist() == [92.95, 92.53, 92.28, 93.10]
    assert values[1].round(1).tolist() == [-26.0, -26.2, -26.6, -25.5]
    several = beside_seeds(measured, seeds, ["steering_random"]).iloc[0]
    assert several["this model"] == sum(measured["steering_random"]) / 5
    assert several["lowest"] <= several["this model"] <= several["highest"]


def test_parameters_are_printed_for_one_width_and_counted_at_another():
    counts = parameter_counts(Config.preset("study"))
    assert (counts["printed for width 64"] == counts["counted at width 128"]).all()
    assert (counts["counted at width 64"] < counts["counted at width 128"] / 2).all()


def test_the_printed_mask_is_that_of_layer_1():
    allowed = build_mask(Config.preset("study"))[1]
    assert tuple("".join("FT"[x] for x in row) for row in allowed.int().tolist()) == PRINTED_MASK
