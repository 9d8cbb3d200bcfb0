"""The frames of the order story: what they say is what the model does."""

import pytest
import torch

from listcomp_utils.circuit import tables
from listcomp_utils.circuit.order_axis import order_axis, steer, steering_directions, swap_shares
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


def test_the_order_axis_is_set_apart_by_its_use_and_not_by_its_readout(study):
    frame = tables.readouts(study, count=50).set_index("direction")
    axis, main, random = (row for _, row in frame.iterrows())
    assert axis.correlation == pytest.approx(order_axis(study).correlation)
    assert axis.spread == pytest.approx(order_axis(study).readout.std().item())
    assert main.correlation > axis.correlation > random.correlation
    assert main.spread > axis.spread > random.spread
    for use in ("order along it", "o2's query"):
        assert axis[use] > 1.2 * max(main[use], random[use]), use


def test_steering_tells_the_order_axis_from_the_main_direction(study):
    lists = sample_lists(study.config, 300, seed=0)
    ways = steering_directions(study, lists, 1)
    assert len({round(way.norm(dim=1)[0].item(), 6) for way in ways.values()}) == 1
    by_way = {
        name: steer(study, lists, ways[name]).reversed_somewhere
        for name in ("P1 - P2", "main direction of U")
    }
    assert by_way["main direction of U"] < 0.15 < 0.85 < by_way["P1 - P2"]


def test_exchanges_are_shares_with_the_rest_told(study):
    table = tables.exchanges(swap_shares(study, sample_lists(study.config, 300, seed=0)))
    assert table.edit.to_list() == ["position weights, exchanged", "content weights, exchanged"]
    assert (table.kept + table.reversed + table.neither).to_list() == pytest.approx([1, 1])


def test_terms_add_up_from_o1_to_o2(study):
    lists = sample_lists(study.config, 300, seed=0)
    frame, error = tables.difference(study, lists)
    assert error < 1e-10 and frame.term.iloc[0] == "o1's own logits" and len(frame) == 7
    share = frame.set_index("term")["share > 0"]
    assert share.iloc[0] < 0.05 and share["−β_o1 α2 D2"] < 0.05 and share["P_o2"] > 0.3
    # From d1 at o1 to d2 at o2.
    assert frame["mean"].iloc[0] < 0 < frame["mean"].sum()


def test_other_models_are_refused():
    other = make_model(Config.preset("seed"))
    with pytest.raises(ValueError, match="layer_norm"):
        tables.exactness(other, lists_to_score(Config.preset("seed"), most=10))
