"""The tables of 08: each row is what the functions behind it say."""

import torch

from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.config import Config
from listcomp_utils.construction import tables
from listcomp_utils.construction.content_and_order import OF_NEAR_TIES
from listcomp_utils.construction.proof import hand_built, proof
from listcomp_utils.construction.weights import Constants
from listcomp_utils.model import make_model
from listcomp_utils.sweeps.table import read_table

SMALL = Config.preset("study", n_digits=8, d_model=4, device="cpu")
MODELS = {
    "by hand": weights_of(hand_built(SMALL), torch.float64),
    "random": weights_of(make_model(SMALL), torch.float64),
}


def test_sizes_are_run_and_bounded():
    rows = tables.copied([(5, 2, 2), (6, 3, 5)], most=100)
    assert rows["lists run"].tolist() == ["25 of 25", "100 of 216"]
    assert (rows.right == 1).all() and (rows["error bound"] < 0.5).all()


def test_errors_stay_within_the_exact_bound():
    rows = tables.largest_errors(SMALL, Constants(2.0**-9, 2.0**8))
    assert (rows.largest_error <= rows.exact_high).all()
    assert len(rows) == len(proof(SMALL)) and (rows.largest_error > 0).all()


def test_models_stand_side_by_side():
    rows = tables.side_by_side(MODELS).set_index("weights")
    assert (rows["off, of the largest"] < 1e-10).all()
    assert rows["lists right, at most"]["by hand"] == 1 > rows["lists right, at most"]["random"]
    bounds = tables.both_bounds(MODELS).set_index("weights")
    assert bounds["at least"]["by hand"] == 1 and (bounds["at least"] <= bounds["at most"]).all()


def test_order_is_weighed_against_content_in_every_model():
    rows = tables.weighed(MODELS).set_index("weights")
    assert rows["all"]["by hand"] == 0 < rows["all"]["random"]
    assert rows["near ties right"]["by hand"] == rows["the same, c = 0"]["by hand"] == 1


def test_scores_and_readout_agree_before_training_up_to_the_sign():
    rows = tables.before_training(range(3))
    assert (rows["correlation, untrained"].abs() > 0.999).all()
    assert (rows["lists right, untrained"] < 0.001).all()


def test_only_learned_attention_copies_a_pair():
    rows = tables.fixed_attention_runs([0.5, None]).set_index("attention")
    assert rows["pairs copied"].tolist() == [0.0, 1.0]
    assert rows["lists right"][0.5] <= rows["bound"][0.5] < 1


def test_figures_over_seeds_and_attempts_have_their_words():
    seeds = read_table("construction_study")
    rows = tables.over_seeds(seeds, OF_NEAR_TIES)
    assert rows.iloc[:, 0].tolist() == list(OF_NEAR_TIES.values())
    assert (rows["min"] <= rows["mean"]).all() and (rows["mean"] <= rows["max"]).all()
    parts = tables.by_attempt("ranked_parts", ["per_list"])
    assert list(parts) == ["attempt", "seeds", "per_list"] and (parts.seeds == 2).all()


def test_bounds_cost_a_smaller_share_of_more_digits():
    rows = tables.costs([40, 80])
    assert rows.share.is_monotonic_decreasing and rows.share.iloc[-1] < 1
    assert (rows.operations < rows["of every logit"]).iloc[-1]


def test_corrections_stand_beside_the_studys_own_words():
    rows = tables.corrections({"length 3": ("two layers", 0.99)})
    assert rows.values.tolist() == [[*tables.PRINTED["length 3"], "two layers", 0.99]]
