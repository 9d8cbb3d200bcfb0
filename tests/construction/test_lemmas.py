"""The lemmas hold for trained, random and hand-set weights, and fail where they are broken."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from listcomp_utils.circuit.formula import Weights, logits, run, weights_of
from listcomp_utils.circuit.order_axis import order_axis, pairwise_margins
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.construction.accuracy_bounds import brute_force
from listcomp_utils.construction.lemmas import (
    near_ties,
    one_order_bound,
    order_is_needed,
    pair_margins,
    predicted_sums,
    upper_certificate,
)
from listcomp_utils.model import make_model
from listcomp_utils.task import all_lists

SMALL = Config.preset("study", n_digits=12, d_model=8)


def random(seed: int, scale: float = 3.0) -> Weights:
    """Weights drawn as before training, made large: attention differs from list to list."""
    weights = weights_of(make_model(SMALL.replace(seed=seed)), torch.float64)
    return Weights(weights.config, *(scale * part for part in weights.parts))


def separator_query(weights: Weights) -> torch.Tensor:
    config = weights.config
    separator = weights.token[config.sep_id] + weights.position[config.sep_position]
    return weights.query_key[0].T @ separator


def sorting() -> Weights:
    """Weights that write the larger digit, then the smaller, whatever the order: E_t is axis t."""
    n, width = SMALL.n_digits, SMALL.n_digits + 1
    token, unembed = torch.zeros(SMALL.d_vocab, width), torch.zeros(width, SMALL.d_vocab)
    position = torch.zeros(SMALL.seq_len, width)
    token[:n, :n] = torch.eye(n)
    # U_t = t E_t: o1 finds the larger; the constant at o2 turns the order round.
    unembed[:n, :n] = torch.diag(1.0 + torch.arange(n))
    position[SMALL.output_positions[1], :n] = -0.25 * (1 + 0.5 / n)
    # The last axis rules out the tokens that are no digits.
    position[list(SMALL.output_positions), n] = 1
    unembed[n, n:] = -1e3
    parts = (token, position, unembed, torch.zeros(2, width, width))
    return Weights(SMALL, *(part.double() for part in parts))


@pytest.fixture(params=["study", "by hand", *range(4)])
def subject(request, study, by_hand):
    if request.param == "study":
        return study
    return by_hand(30) if request.param == "by hand" else random(request.param)


def test_margins_are_the_models(subject):
    weights = subject
    config = weights.config
    lists, pairs = all_lists(config), pair_margins(weights)
    own = logits(weights, run(weights, lists), config.prediction_positions)
    unequal = lists[lists[:, 0] != lists[:, 1]]
    expected = pairwise_margins(own, lists)[unequal[:, 0] < unequal[:, 1]]
    found = torch.tensor(pairs[["o1_ab", "o2_ab"]].to_numpy())
    assert (found - expected).abs().max() < 1e-10 * own[..., : config.n_digits].abs().max()
    doubled = own[(lists[:, 0] == lists[:, 1])]
    gap = doubled[0, 1, 0] - doubled[0, 1, 1]
    assert pairs.o2_aa[0] == pytest.approx(gap.item(), rel=1e-6)


def broken_by(weights, margins) -> list[float]:
    """Largest error of the closed forms against margins' sums, relative to the largest margin."""
    formula, errors = predicted_sums(weights), []
    closed = {"o1": formula.o1_order + formula.o1_content}
    closed["o2"] = formula.o2_passed + formula.o2_turn
    for at, sums in closed.items():
        scale = margins[[f"{at}_ab", f"{at}_ba"]].abs().to_numpy().max()
        errors.append((margins[f"{at}_sum"] - sums).abs().max() / scale)
    return errors


def test_sums_have_their_closed_form(subject):
    weights = subject
    assert max(broken_by(weights, pair_margins(weights))) < 1e-10


@pytest.mark.parametrize("part", ["token", "position", "unembed"])
def test_the_closed_form_is_not_that_of_other_weights(study, part):
    weights = study
    own, generator = getattr(weights, part), torch.Generator().manual_seed(0)
    other = own + 1e-4 * torch.randn(own.shape, generator=generator).double()
    other = dataclasses.replace(weights, **{part: other})
    assert min(broken_by(other, pair_margins(weights))) > 1e-7


def test_without_an_offset_only_order_is_left(subject):
    weights = subject
    position = weights.position.clone()
    query = separator_query(weights)
    if query.norm() > 0:
        step = (position[0] - position[1]) @ query / query.square().sum()
        position[0] -= step * query
    flat = dataclasses.replace(weights, position=position)
    formula, pairs = predicted_sums(flat), pair_margins(flat)
    readout = order_axis(flat).readout.numpy()
    reads, own = readout[pairs.a] - readout[pairs.b], pairs[["o1_ab", "o1_ba"]]
    tolerance = 1e-10 * own.abs().to_numpy().max()
    assert (pairs.o1_sum - np.tanh(pairs.score / 2) * reads).abs().max() < tolerance
    assert formula.o1_content.abs().max() < tolerance
    # Both orders right at o1: the readout is ordered as the scores.
    assert (pairs.score * reads > 0)[(own > 0).all(axis=1)].all()


def test_order_is_needed(subject):
    weights = subject
    table = order_is_needed(weights)
    edited = table.drop("nothing")
    assert (edited.lists <= edited.bound).all() and (edited.both_orders == 0).all()
    assert table.lists["nothing"] == brute_force(weights).lower


def test_what_o2s_attention_is_worth_in_the_study(study):
    table = order_is_needed(study)
    assert table.lists["nothing"] == pytest.approx(0.9519, abs=5e-5)
    assert table.both_orders["nothing"] > 0.9
    assert table.lists["o2's attention, mean over lists"] < 0.3


def test_one_order_of_each_pair_is_met():
    weights = sorting()
    assert order_is_needed(weights).lists["nothing"] == one_order_bound(SMALL.n_digits)
    assert one_order_bound(100) == pytest.approx(0.505)


def test_the_upper_certificate_is_sound(subject):
    weights = subject
    assert upper_certificate(weights) >= brute_force(weights).upper


def test_the_study_lies_below_its_upper_certificate(study):
    wrong = (pair_margins(study)[["o1_sum", "o2_sum"]] <= 0).mean()
    assert wrong.o2_sum == pytest.approx(0.0572, abs=5e-5) and wrong.o1_sum == 0
    assert upper_certificate(study) == pytest.approx(0.9717)


def test_near_ties_cost_quadratically(study, by_hand):
    straight, axis = near_ties(by_hand(30)), order_axis(by_hand(30))
    assert straight.exponent == pytest.approx(2, abs=1e-4)
    # Even spacing and a linear readout leave tanh(R / 2 (n - 1)) / (n - 1), R the scores' range.
    reach = (axis.scores.max() - axis.scores.min()).item()
    assert straight.left == pytest.approx(math.tanh(reach / 2 / 29) / 29, rel=1e-6)
    assert near_ties(study).exponent == pytest.approx(1.93, abs=0.01)


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5, 0.6, 0.9, 1.0])
def test_no_pair_is_copied_with_fixed_attention(subject, alpha):
    assert not pair_margins(subject, alpha=alpha).copied.any()


def test_pairs_are_copied_once_attention_varies(study):
    assert pair_margins(study).copied.mean() > 0.9


def test_digits_of_the_same_score_are_not_copied_as_a_pair(study):
    weights = study
    pairs = pair_margins(weights)
    chosen = pairs[pairs.copied].iloc[[0, 1000, 4000]]
    query = separator_query(weights)
    for row in chosen.itertuples():
        token = weights.token.clone()
        token[row.a] -= row.score * query / query.square().sum()
        tied = pair_margins(dataclasses.replace(weights, token=token))
        same = tied[(tied.a == row.a) & (tied.b == row.b)].iloc[0]
        assert abs(same.score) < 1e-9 and not same.copied


@pytest.mark.parametrize("analysis", [pair_margins, predicted_sums, order_is_needed, near_ties])
@pytest.mark.parametrize(
    ("field", "value"), [("list_len", 3), ("n_layers", 3), ("decoding", "autoregressive")]
)
def test_other_tasks_are_refused_by_name(analysis, field, value):
    config = Config.preset("study", n_digits=5, d_model=8, **{field: value})
    with pytest.raises(ConfigError, match=field):
        analysis(weights_of(make_model(config)))


def test_attention_out_of_range_is_refused_by_name():
    with pytest.raises(ConfigError, match="alpha"):
        pair_margins(random(0), alpha=1.5)
