"""The order mechanism: equal to the model where it edits nothing, alive where it edits."""

import pytest
import torch

from listcomp_utils.circuit.formula import logits, run, weights_of
from listcomp_utils.circuit.order_axis import (
    order_axis,
    outputs_of,
    pairwise_margins,
    read_out,
    separator,
    steer,
    swap_shares,
)
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.model import make_model
from listcomp_utils.task import all_lists


@pytest.fixture(scope="module")
def study(study):
    return study, all_lists(study.config)


def test_attention_is_a_sigmoid_of_two_scores(study):
    weights, lists = study
    computed = order_axis(weights).attention(*lists.T)
    pattern = run(weights, lists).patterns[:, 0, weights.config.sep_position, 0]
    assert (computed - pattern).abs().max() < 1e-10


def test_reading_out_the_models_own_separator_is_the_model(study):
    weights, lists = study
    config = weights.config
    outputs = read_out(weights, separator(weights, lists).vectors)
    circuit = run(weights, lists)
    expected = logits(weights, circuit, config.prediction_positions)
    assert (outputs.logits - expected).abs().max() < 1e-10
    pattern = circuit.patterns[:, 1, 4]
    assert (outputs.moderation - pattern[:, config.sep_position]).abs().max() < 1e-10


def test_swapping_everything_is_the_reversed_list(study):
    weights, lists = study
    shares = swap_shares(weights, lists)
    unequal = lists[lists[:, 0] != lists[:, 1]]
    written = outputs_of(weights, unequal).written
    right = (written == unequal).all(1).double().mean().item()
    assert shares.loc["nothing", "kept"] == pytest.approx(right)
    assert shares.loc["both, of the reversed list", "reversed"] == pytest.approx(right)
    assert shares[["o1_right", "o2_right"]].loc["nothing"].min() >= right
    # Of what the unedited model gets wrong, all is a digit written twice, never a third one.
    assert shares.loc["nothing", "reversed":"b_twice"].sum() == pytest.approx(1, abs=1e-12)
    # With no offset, exchanged positions would make the reversed list's vector; contents do not.
    away = shares["from reverse"] / shares["from reverse"]["nothing"]
    assert shares["from own"]["nothing"] == 0
    assert away["both, of the reversed list"] < 1e-12
    assert away["position weights, exchanged"] < 0.2
    assert away["content weights, exchanged"] > 1
    exchanged = shares.loc["position weights, exchanged"]
    assert exchanged["reversed off the diagonal"] > 0.9 > 0.5 > exchanged["reversed on it"]
    # o2 goes by its own attention alone: that of the reverse reverses, and no reading is needed.
    o2 = shares.o2_right
    assert o2["moderation, of the reversed list"] < o2["moderation, of another list"] / 5 < 0.1
    assert o2["position difference removed, moderation kept"] > 0.99 * o2["nothing"]
    # Position weights order, content weights do not.
    assert shares.loc["position weights, exchanged", "reversed"] > 0.5
    assert shares.loc["content weights, exchanged", "reversed"] < 0.1


def test_a_dose_of_nothing_changes_nothing(study):
    weights, lists = study
    axis = order_axis(weights)
    still = steer(weights, lists, axis.direction[None], [0.0])
    nothing = swap_shares(weights, lists).loc["nothing"]
    assert still.kept == (nothing["kept"],) and still.reversed == (nothing["reversed"],)
    moved = steer(weights, lists, axis.direction[None], [-0.2, 0.2])
    assert min(moved.kept) < 0.9 * nothing["kept"]


def test_larger_doses_reverse_no_fewer_lists(study):
    weights, lists = study
    direction = order_axis(weights).direction[None]
    moved = steer(weights, lists[::37], direction, [-0.4, -0.2, 0.0, 0.2, 0.4])
    assert len(moved.within) == 3 and moved.within[0] == moved.reversed[2]
    assert moved.within[0] < moved.within[1] < moved.within[2] == moved.reversed_somewhere
    assert max(moved.reversed) <= moved.reversed_somewhere <= sum(moved.reversed)


def test_steering_equals_editing_the_vector(study):
    weights, lists = study
    lists = lists[(lists[:, 0] != lists[:, 1])][::37]
    direction = order_axis(weights).direction[None]
    edited = separator(weights, lists).vectors + 0.3 * direction
    written = read_out(weights, edited).written
    expected = (written == lists.flip(1)).all(1).double().mean().item()
    assert steer(weights, lists, direction, [0.3]).reversed == (expected,)


def test_margins_count_by_hand():
    lists = torch.tensor([[0, 1], [1, 0], [2, 2], [2, 1]])
    written = 5.0 * torch.nn.functional.one_hot(lists, 3).double()
    written[0, 1] = torch.tensor([9.0, 0, 0])
    assert pairwise_margins(written, lists).tolist() == [[5, -9], [5, 5], [5, 5]]


def test_figures_of_the_released_model(released):
    weights = weights_of(released, torch.float64)
    lists = all_lists(weights.config)
    axis = order_axis(weights)
    assert axis.offset == pytest.approx(0.051, abs=5e-4)
    assert axis.scores.std().item() == pytest.approx(0.427, abs=5e-4)
    assert axis.correlation == pytest.approx(0.981, abs=5e-4)
    reversed_by = swap_shares(weights, lists)["reversed"]
    assert reversed_by["position weights, exchanged"] == pytest.approx(0.765, abs=5e-4)
    assert reversed_by["content weights, exchanged"] == pytest.approx(0.005, abs=5e-4)
    steering = steer(weights, lists, axis.direction[None])
    assert steering.reversed_somewhere == pytest.approx(0.930, abs=5e-4)


@pytest.mark.parametrize(
    ("field", "value"), [("list_len", 3), ("n_layers", 3), ("decoding", "autoregressive")]
)
def test_other_tasks_are_refused_by_name(field, value):
    config = Config.preset("study", n_digits=5, d_model=8, **{field: value})
    weights = weights_of(make_model(config))
    with pytest.raises(ConfigError, match=field):
        order_axis(weights)
