"""Every figure of the published model, to the printed digits."""

import math

import pytest
import torch

from listcomp_utils.circuit.formula import predictions, weights_of
from listcomp_utils.circuit.order_axis import outputs_of
from listcomp_utils.circuit.quantities import (
    BINS,
    difference_terms,
    measure,
    slot_classifier,
    trained_parameters,
)
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.model import (
    add_hooks,
    make_model,
    make_native_model,
    parameter_table,
)
from listcomp_utils.task import sample_lists, split_lists

RELEASED = {
    "trained_parameters": (29_760, 0),
    "accuracy": (0.9145, 5e-5),
    "accuracy_o2": (0.839, 5e-4),
    "accuracy_per_list": (0.831, 5e-4),
    "mean_patterns_layer_0": (0.418, 5e-4),
    "mean_patterns_layer_1": (0.647, 5e-4),
    "mean_patterns_both": (0.466, 5e-4),
    "edge_zeroed.L0 SEP<-d1": (-0.509, 5e-4),
    "edge_zeroed.L0 SEP<-d2": (-0.410, 5e-4),
    "edge_zeroed.L1 o1<-SEP": (-0.489, 7e-4),
    "edge_zeroed.L1 o2<-SEP": (-0.415, 5e-4),
    "edge_zeroed.L1 o2<-o1": (-0.231, 5e-4),
    "edge_renormalised.L1 o2<-o1": (-0.257, 5e-4),
    "moderation_zeroed_o2_wrong": (0.6225, 5e-5),
    "moderation_zeroed_is_d1": (0.5365, 5e-5),
    "moderation_renormalised_o2_wrong": (0.6755, 5e-5),
    "moderation_renormalised_is_d1": (0.4175, 5e-5),
    "attention_sep_d1_mean": (0.509, 5e-4),
    "attention_sep_d2_mean": (0.491, 5e-4),
    "attention_sep_d1_std": (0.139, 5e-4),
    "attention_o2_sep_mean": (0.645, 6e-4),
    "attention_o2_o1_mean": (0.355, 6e-4),
    "o2_alpha_1_0": (0.9945, 5e-5),
    "o2_alpha_0_1": (0.3415, 5e-5),
    "slots": (0.999, 1.1e-3),
}
RIGHT_BY_DIFFERENCE = {0: "0.42", 0.02: "0.56", 0.05: "0.85", 0.1: "0.984", 0.3: "1.000"}


def test_every_figure_of_the_released_model(released):
    measured = measure(released)
    wrong = {
        name: (measured[name], expected)
        for name, (expected, within) in RELEASED.items()
        if abs(measured[name] - expected) > within + 1e-9
    }
    assert not wrong
    for low, printed in RIGHT_BY_DIFFERENCE.items():
        right = measured["right_by_difference"][BINS.index(low)]
        assert f"{right:.{len(printed) - 2}f}" == printed
    assert right == 1
    untouched = [name for name in measured if "L1 SEP<-" in name or ".L0 d1<-d1" in name]
    assert len(untouched) == 6 and all(measured[name] == 0 for name in untouched)


def test_what_the_released_model_gets_wrong(released):
    weights = weights_of(released, torch.float64)
    held_out = split_lists(weights.config).held_out
    written = predictions(weights, held_out)
    wrong, other = written != held_out, written == held_out.flip(1)
    assert wrong.sum(0).tolist() == [20, 322] and other[wrong].all()


def test_a_small_model_has_every_quantity_with_hooks_and_without():
    native = make_native_model(Config.preset("study", n_digits=6, d_model=8))
    measured = measure(native)
    values = [x for value in measured.values() for x in (value if type(value) is list else [value])]
    assert all(type(value) in (int, float) for value in values)
    # Bins of |alpha_1 - alpha_2| without any list have no share.
    assert sum(map(math.isnan, values)) == sum(map(math.isnan, measured["right_by_difference"]))
    assert str(measure(add_hooks(native))) == str(measured)


@pytest.mark.parametrize("preset", ["seed", "study"])
def test_trained_parameters_are_those_that_are_not_frozen(preset):
    config = Config.preset(preset)
    table = parameter_table(make_model(config))
    assert (
        trained_parameters(make_native_model(config))
        == table.loc[table["trained"], "numbers"].sum()
    )


@pytest.mark.parametrize(
    ("preset", "changes", "named"),
    [("seed", {}, "layer_norm"), ("study", {"n_layers": 3}, "n_layers=2, got n_layers=3")],
)
def test_other_architectures_are_refused(preset, changes, named):
    with pytest.raises(ConfigError, match=named):
        measure(make_model(Config.preset(preset, **changes)))


def test_the_difference_is_the_sum_of_its_terms(study):
    weights = study
    lists = sample_lists(weights.config, 500, seed=0)
    logits = outputs_of(weights, lists).logits
    terms = difference_terms(weights, lists)
    assert (sum(terms.values()) - (logits[:, 1] - logits[:, 0])).abs().max() < 1e-10


def test_the_slot_classifier_needs_two_slots(study):
    weights = study
    scores = slot_classifier(weights, sample_lists(weights.config, 400, seed=0))
    assert scores["slots"] > 0.99 > scores["slots_from_sep"] > 0.5


def test_bins_cover_every_unequal_list(study_model):
    shares = measure(study_model)["right_by_difference"]
    assert shares[-1] > 0.99 > shares[0]


def test_one_list_held_out_is_too_few_and_all_are_taken():
    config = Config.preset("study", n_digits=3, d_model=8, train_fraction=0.9, device="cpu")
    measured = measure(make_model(config))
    assert all(math.isfinite(measured[name]) for name in ("accuracy", "slots"))
