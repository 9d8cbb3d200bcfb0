"""Failures foretold from two numbers of a list."""

import pytest
import torch

from listcomp_utils.circuit.failures import (
    NEAR,
    TIE,
    FailurePredictor,
    built_table,
    compare_numbers,
    failure_features,
    fit_failures,
    missed_off_the_diagonal,
    score_failures,
)
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.order_axis import order_axis, outputs_of, separator
from listcomp_utils.config import ConfigError
from listcomp_utils.model import make_model
from listcomp_utils.task import split_lists


@pytest.fixture(scope="module")
def study(study):
    return study, split_lists(study.config).held_out


def test_features_are_read_off_the_weights(study):
    weights, lists = study
    features = failure_features(weights, lists)
    attention = separator(weights, lists).attention
    assert torch.allclose(features[:, 0], (attention[:, 0] - attention[:, 1]).abs(), atol=1e-12)
    readout = order_axis(weights).readout
    gap = (readout[lists[:, 0]] - readout[lists[:, 1]]).abs() / readout.std()
    assert torch.allclose(features[:, 1], gap)


def test_a_predictor_beats_the_base_rate_on_lists_it_was_not_fitted_to(study):
    weights, lists = study
    predictor = fit_failures([(weights, lists[:1000])])
    score = score_failures(predictor, weights, lists[1000:])
    assert score.precision > 0.7 > 0.3 > score.base_rate
    assert score.recall > 0.7
    assert predictor.slopes[1] < 0


def test_a_predictor_that_knows_nothing_is_at_the_base_rate(study):
    weights, lists = study
    score = score_failures(FailurePredictor(0.0, (0.0, 0.0), 0.5), weights, lists)
    assert score.recall == 1
    assert score.precision == pytest.approx(score.base_rate)
    assert score.average_precision == pytest.approx(score.base_rate)


def test_one_number_names_failures_as_well_as_both(study):
    weights, lists = study
    predictor = fit_failures([(weights, lists[:1000])])
    table = compare_numbers(predictor, weights, {"these": lists, "right": lists[:0]})
    both, gap, scores, attention = table["these"]
    assert table["right"].isna().all()
    assert both == pytest.approx(score_failures(predictor, weights, lists).average_precision)
    assert min(gap, scores) > both - 0.01 and attention < both - 0.05


def test_built_lists_fail_and_are_safe(study):
    weights, lists = study
    table = built_table(weights, lists, lists[:10])
    count = int(0.05 * (lists[:, 0] != lists[:, 1]).sum())
    unequal = (lists[:, 0] != lists[:, 1]).sum().item()
    first, second, near, far, *trained = table["how many"]
    assert (first, second, near + far) == (count, count, unequal)
    assert sum(trained) == (lists[:10, 0] != lists[:10, 1]).sum()
    failing, safe, tied, clear, *_ = table["wrong"]
    assert min(failing, tied) > 0.7 > 30 * clear and safe == 0
    apart = order_axis(weights).scores[lists].diff()[:, 0].abs()
    assert near == ((apart <= TIE) & (lists[:, 0] != lists[:, 1])).sum()
    example = torch.tensor([[int(d) for d in table.examples[0].split("; ")[0].split(", ")]])
    features = failure_features(weights, torch.cat([example, lists]))
    assert (features[0] < features.quantile(0.2, dim=0)).all()


def test_missed_lists_off_the_diagonal_are_wrong_and_no_tie(study):
    weights, lists = study
    frame = missed_off_the_diagonal(weights, lists)
    assert len(frame) == 3 and (frame["|α1 - α2|"] > NEAR).all()
    missed = [[int(digit) for digit in words.split(", ")] for words in frame.iloc[:, 0]]
    missed = torch.tensor(missed)
    assert (outputs_of(weights, missed).written != missed).any(1).all()
    assert all(40 in words for words in missed.tolist())


def test_what_cannot_be_done_is_refused(study):
    weights, lists = study
    config = weights.config
    with pytest.raises(ConfigError, match="two different digits, got 0"):
        built_table(weights, torch.tensor([[4, 4]]), lists)
    untrained = weights_of(make_model(config), torch.float64)
    with pytest.raises(ConfigError, match="right and some that are wrong"):
        fit_failures([(untrained, lists[:50])])
