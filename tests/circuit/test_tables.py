"""The frames of the order story: what they say is what the model does."""

import pytest
import torch

from listcomp_utils.circuit import tables
from listcomp_utils.circuit.order_axis import order_axis
from listcomp_utils.config import Config
from listcomp_utils.generation import generate
from listcomp_utils.model import make_model
from listcomp_utils.task import lists_to_score, sample_lists

STUDY = Config.preset("study")
PAIR = torch.tensor([[60, 44], [44, 60]])


def test_the_formula_is_the_model_whatever_the_size():
    errors = tables.exactness_at_random()
    assert len(errors) == 4
    for name, found in errors.items():
        assert max(found["logits"], found["patterns"]) < 1e-10 < found["largest logit"], name


def test_float32_rounds_in_proportion_to_the_logits(study_model):
    found = tables.exactness(study_model, sample_lists(STUDY, 100, seed=0))
    assert 0 < found["logits"] < 1e-5 * found["largest logit"]


def test_edges_are_weighed_on_the_example_and_scored_on_the_lists(study_model):
    frame = tables.flow(study_model, PAIR[:1], sample_lists(STUDY, 200, seed=0))
    assert (frame.loc["L0 SEP<-d1", ["layer", "query", "key"]] == [0, 2, 0]).all()
    assert frame.weight[["L0 SEP<-d1", "L0 SEP<-d2"]].sum() == pytest.approx(1)
    assert frame.weight["L1 o1<-SEP"] == 1 and (frame.cost >= 0.005).sum() == 5


def test_the_algorithm_on_a_list_ends_in_what_the_model_writes(study, study_model):
    frame = tables.by_hand(study, PAIR)
    assert frame.written.to_list() == [
        ", ".join(map(str, x)) for x in generate(study_model, PAIR).tolist()
    ]
    first, second = frame.to_dict("records")
    assert (first["s_a"], first["s_b"]) == (second["s_b"], second["s_a"])
    offset = order_axis(study).offset
    for row in (first, second):
        shift = torch.tensor(row["s_a"] - row["s_b"] + offset)
        assert row["α1"] == pytest.approx(torch.sigmoid(shift).item())
        assert row["o1: a"] > row["o1: b"] and row["o2: b"] > row["o2: a"]


def test_random_directions_correlate_but_spread_the_digits_less(study):
    random = tables.random_readouts(study, count=50)
    axis = order_axis(study)
    assert random.shape == (50, 3) and random.correlation.between(0, axis.correlation).all()
    assert random.spread.max() < axis.readout.std()


def test_terms_add_up_from_o1_to_o2(study):
    lists = sample_lists(study.config, 300, seed=0)
    frame, error = tables.difference(study, lists)
    assert error < 1e-10 and frame.term.iloc[0] == "o1's own logits" and len(frame) == 7
    # From d1 at o1 to d2 at o2.
    assert frame["mean"].iloc[0] < 0 < frame["mean"].sum()


def test_other_models_are_refused():
    other = make_model(Config.preset("seed"))
    with pytest.raises(ValueError, match="layer_norm"):
        tables.exactness(other, lists_to_score(Config.preset("seed"), most=10))
