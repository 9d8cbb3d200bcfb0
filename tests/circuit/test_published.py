"""The study's figures on its own released model, to the printed digits; identities on ours."""

from __future__ import annotations

import math

import pytest
import torch

from listcomp_utils.checkpoints import find_trained, load_model
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.order_axis import read_out, separator
from listcomp_utils.circuit.outputs import accuracy_by_difference, difference_terms, slot_classifier
from listcomp_utils.circuit.published import (
    PUBLISHED,
    measure,
    measure_seeds,
    shipped_predictor,
    shipped_seeds,
    write_seeds,
)
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.model import make_model
from listcomp_utils.task import all_lists, sample_lists

RELEASED = {
    "trained parameters": (29_760, 0),
    "accuracy": (0.9145, 5e-5),
    "accuracy o1": (0.990, 5e-4),
    "accuracy o2": (0.839, 5e-4),
    "accuracy per list": (0.831, 5e-4),
    "accuracy, all lists": (0.95495, 5e-6),
    "accuracy per list, all lists": (0.9118, 5e-5),
    "o2 wrong, lists": (322, 0),
    "o2 wrong, of these d1": (1, 0),
    "o1 wrong, lists": (20, 0),
    "o1 wrong, of these d2": (1, 0),
    "mean patterns, layer 0": (0.418, 5e-4),
    "mean patterns, layer 1": (0.647, 5e-4),
    "mean patterns, both layers": (0.466, 5e-4),
    "L0 SEP<-d1 zeroed, change": (-0.509, 5e-4),
    "L0 SEP<-d2 zeroed, change": (-0.410, 5e-4),
    "L1 o1<-SEP zeroed, change": (-0.489, 7e-4),
    "L1 o2<-SEP zeroed, change": (-0.415, 5e-4),
    "L1 o2<-o1 zeroed, change": (-0.231, 5e-4),
    "L1 o2<-o1 zeroed, rows renormalised, change": (-0.257, 5e-4),
    "moderation zeroed, o2 wrong": (0.6225, 5e-5),
    "moderation zeroed, of these d1": (0.5365, 5e-5),
    "moderation zeroed, renormalised, o2 wrong": (0.6755, 5e-5),
    "moderation zeroed, renormalised, of these d1": (0.4175, 5e-5),
    "L0 SEP<-d1, mean": (0.509, 5e-4),
    "L0 SEP<-d2, mean": (0.491, 5e-4),
    "L0 SEP<-d1, std": (0.139, 5e-4),
    "L1 o2<-SEP, mean": (0.645, 6e-4),
    "L1 o2<-o1, mean": (0.355, 6e-4),
    "o2 with alpha (1, 0) in the difference": (0.9945, 5e-5),
    "o2 with alpha (0, 1) in the difference": (0.3415, 5e-5),
    "o1 and o2 apart on W_pos, linear SVC": (0.999, 1.1e-3),
    "lists right, |alpha_1 - alpha_2| 0 to 0.01": (0.42, 5e-3),
    "lists right, |alpha_1 - alpha_2| 0.02 to 0.05": (0.56, 5e-3),
    "lists right, |alpha_1 - alpha_2| 0.05 to 0.1": (0.85, 5e-3),
    "lists right, |alpha_1 - alpha_2| 0.1 to 0.2": (0.984, 5e-4),
    "lists right, |alpha_1 - alpha_2| 0.3 to 1": (1.0, 0),
}


def test_every_figure_of_the_released_model(reference):
    model = load_model(reference("published_len2_n100_d64.pt"), Config.preset("study"))
    measured = measure(model)
    wrong = {
        name: (measured[name], expected)
        for name, (expected, within) in RELEASED.items()
        if abs(measured[name] - expected) > within + 1e-9
    }
    assert not wrong
    untouched = [name for name in measured if "L1 SEP<-" in name or " d1<-d1 " in name]
    assert untouched and all(measured[name] == 0 for name in untouched)


@pytest.fixture(scope="module")
def study():
    config = Config.preset("study")
    return config, weights_of(find_trained(config).model, torch.float64)


def test_the_difference_is_the_sum_of_its_terms(study):
    config, weights = study
    lists = sample_lists(config, 500, seed=0)
    logits = read_out(config, weights, separator(config, weights, lists).vectors).logits
    terms = difference_terms(config, weights, lists)
    assert (sum(terms.values()) - (logits[:, 1] - logits[:, 0])).abs().max() < 1e-10


def test_the_slot_classifier_needs_two_slots(study):
    config, weights = study
    scores = slot_classifier(config, weights, sample_lists(config, 400, seed=0), seed=0)
    whole, carried = scores.values()
    assert whole > 0.99 > carried


def test_bins_cover_every_unequal_list(study):
    config, weights = study
    shares = accuracy_by_difference(config, weights, all_lists(config))
    assert shares[-1] > 0.99 > shares[0]


def test_seed_rows_round_trip(tmp_path, monkeypatch):
    monkeypatch.setenv("LISTCOMP_RUNS", str(tmp_path))
    rows = measure_seeds(Config.preset("study"), [0, 99])
    assert [row["seed"] for row in rows] == [0]
    write_seeds(rows, tmp_path)
    monkeypatch.setattr("listcomp_utils.circuit.published.shipped_dir", lambda: tmp_path)
    assert shipped_seeds() == rows
    assert all(math.isfinite(value) for value in rows[0].values())
    assert {row.name for row in PUBLISHED} <= set(rows[0])


def test_the_shipped_rows_are_of_eight_seeds_and_hold_their_predictors():
    rows = shipped_seeds()
    assert [row["seed"] for row in rows] == list(range(8))
    for row in rows:
        predictor = shipped_predictor(row)
        assert predictor.slopes[1] < 0 < predictor.threshold < 1
        assert row["failures, precision"] > 2 * row["failures, base_rate"]


def test_other_architectures_are_refused():
    with pytest.raises(ConfigError, match="layer_norm"):
        measure(make_model(Config.preset("seed")))
