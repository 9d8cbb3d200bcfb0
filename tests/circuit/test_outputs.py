"""How the outputs read SEP: identities, and what needs two slots."""

from __future__ import annotations

import pytest
import torch

from listcomp_utils.checkpoints import find_trained
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.order_axis import read_out, separator
from listcomp_utils.circuit.outputs import accuracy_by_difference, difference_terms, slot_classifier
from listcomp_utils.config import Config
from listcomp_utils.task import all_lists, sample_lists


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
    assert scores["slots"] > 0.99 > scores["slots_from_sep"] > 0.5


def test_bins_cover_every_unequal_list(study):
    config, weights = study
    shares = accuracy_by_difference(config, weights, all_lists(config))
    assert shares[-1] > 0.99 > shares[0]
