"""The hand-built weights copy every list, and the bound on their errors is sound and close."""

import pytest
import torch

from listcomp_utils.checkpoints import load_model, save_model
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.construction import proof as proofs
from listcomp_utils.construction.proof import (
    ENUMERATED,
    EXPONENTIAL,
    constants_for,
    copies,
    hand_built,
    hard_lists,
    is_proven,
    measure_frontier,
    most_digits,
    proof,
)
from listcomp_utils.construction.weights import Constants, assemble, digit_values
from listcomp_utils.generation import accuracy, generate
from listcomp_utils.hooks import run_all
from listcomp_utils.task import all_lists, lists_to_score


def study(**changes):
    return Config.preset("study", device="cpu", **changes)


@pytest.mark.parametrize(
    "n_digits, list_len, d_model",
    [
        (100, 2, 2),
        (100, 2, 64),
        (20, 3, 3),
        (20, 3, 8),
        (6, 5, 5),
        (4, 6, 14),
        (7, 1, 2),
        (2, 2, 2),
    ],
)
def test_every_list_is_copied(n_digits, list_len, d_model):
    config = study(n_digits=n_digits, list_len=list_len, d_model=d_model)
    assert accuracy(hand_built(config)).per_list == 1.0


@pytest.mark.parametrize("list_len, d_model", [(5, 12), (6, 64), (4, 4)])
def test_long_lists_of_many_digits_are_copied(list_len, d_model):
    config = study(list_len=list_len, d_model=d_model)
    lists = lists_to_score(config, most=20_000, seed=1)
    assert accuracy(hand_built(config), lists).per_list == 1.0
    assert proof(config).proven.all()


@pytest.mark.parametrize(
    "n_digits, list_len, d_model", [(300, 2, 2), (300, 2, 4), (60, 3, 3), (60, 3, 5), (9, 5, 7)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_value_errs_by_more_than_the_bound(n_digits, list_len, d_model, dtype):
    config = study(n_digits=n_digits, list_len=list_len, d_model=d_model)
    lists = lists_to_score(config, most=100_000)
    bounds = proof(config, dtype)
    model = assemble(config, constants_for(config, dtype), dtype)
    held = run_all(model, lists).residuals[:, -1, list_len + 1 :].double()
    errors = held[..., 0] / held[..., 1] - digit_values(config)[lists]
    # The logits' rounding is in the bound and not in the value.
    assert (errors.abs().amax(0) <= torch.tensor(bounds.error)).all()
    # What is exact of the bound is nearly reached where all lists are seen.
    if dtype == torch.float64 and d_model == 4:
        assert (errors.abs().amax(0) > 0.6 * torch.tensor(bounds.exact_high)).all()


def test_the_bound_is_live():
    config = study(d_model=4)
    coarse = Constants(2.0**-10, 2.0**10)
    assert not proof(config, constants=coarse).proven.any()
    assert accuracy(assemble(config, coarse, torch.float32)).per_list < 0.9


def test_the_most_digits_that_are_proven_are_near_the_most_that_are_copied():
    config = study(d_model=4)
    most = most_digits(config)
    assert copies(config.replace(n_digits=most), torch.float32)
    assert not copies(config.replace(n_digits=int(1.5 * most)), torch.float32)


def test_exponentials_round_as_assumed():
    scores = -torch.rand(500_000, generator=torch.Generator().manual_seed(0)) * 1e-3
    pattern = torch.softmax(torch.stack([scores, torch.zeros_like(scores)], 1), 1).double()
    exact = torch.softmax(torch.stack([scores, torch.zeros_like(scores)], 1).double(), 1)
    unit = torch.finfo(torch.float32).eps / 2
    # Of a difference: half of the exponential's error, and both divisions'.
    error = ((pattern - exact)[:, 0] - (pattern - exact)[:, 1]).abs().max()
    assert error <= (EXPONENTIAL / 2 + 0.75) * unit


def test_it_is_a_model_as_any_other(tmp_path):
    config = study(n_digits=10, d_model=2)
    path = save_model(hand_built(config), tmp_path / "built.safetensors")
    loaded = load_model(path)
    assert generate(loaded, [[8, 3], [3, 8]]).tolist() == [[8, 3], [3, 8]]
    assert accuracy(loaded).per_list == 1.0


def test_float64_and_bfloat16():
    assert accuracy(hand_built(study(d_model=2), torch.float64)).per_list == 1.0
    few = study(n_digits=2, d_model=4)
    assert accuracy(hand_built(few, torch.bfloat16)).per_list == 1.0


@pytest.mark.parametrize(
    "changes, said",
    [
        (dict(d_model=2, list_len=3), "d_model of at least 3 at list_len 3, got d_model 2"),
        (dict(d_model=1), "d_model of at least 2"),
        (dict(layer_norm=True), "the construction needs layer_norm=False"),
        (dict(n_layers=3), "n_layers=2"),
        (dict(n_digits=2_000), "n_digits 2000 is more than torch.float32 .* at most 7\\d\\d"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes, said):
    with pytest.raises(ConfigError, match=said):
        hand_built(study(**changes))


@pytest.mark.parametrize("dtype", [torch.float16, torch.int32, torch.complex64, "float32"])
def test_a_dtype_that_cannot_hold_the_constants_is_refused(dtype):
    for build in (hand_built, proof):
        with pytest.raises(ConfigError, match="dtype must be one of torch.bfloat16, .* got"):
            build(study(n_digits=2, d_model=2), dtype)


def test_all_lists_of_two_digits_are_proven_and_run():
    config = study(n_digits=most_digits(study(d_model=2)), d_model=2)
    assert accuracy(hand_built(config), all_lists(config)).per_list == 1.0


def test_constants_are_the_most_careful_that_prove_a_size(monkeypatch):
    """319 digits are proven with rounding counted once, and copied; with it counted thrice not."""
    config = Config.preset("study", list_len=5, d_model=5, n_digits=310, device="cpu")
    assert proof(config).proven.all() and copies(config, torch.float32)
    monkeypatch.setattr(proofs, "MARGINS", (3.0,))
    assert not proof(config, constants=constants_for.__wrapped__(config)).proven.all()


def test_few_lists_are_all_run_and_of_many_the_hard_ones():
    few = Config.preset("study", n_digits=9)
    assert len(hard_lists(few)) == few.n_lists
    many = Config.preset("study", n_digits=400, list_len=3)
    lists = hard_lists(many, count=500)
    assert many.n_lists > ENUMERATED and len(lists) == 2_000
    assert lists.min() == 0 and lists.max() == 399
    at_the_ends = ((lists == 0) | (lists == 399)).all(1)
    near = (lists.amax(1) - lists.amin(1)) <= 2
    assert at_the_ends.sum() >= 500 and near.sum() >= 500


def test_what_is_proven_is_copied_and_much_more_is_not():
    found = measure_frontier({"list_len": 2, "d_model": 2, "dtype": "bfloat16"})
    assert 2 <= found["proven"] <= found["carried"] <= found["copied"] < 20
    assert found["copied"] <= 1.5 * found["carried"]
    assert not copies(Config.preset("study", n_digits=50, d_model=2), torch.bfloat16)


def test_what_no_bound_proves_is_carried_when_every_list_was_run():
    config = study(n_digits=5, d_model=4)
    assert not is_proven(config, torch.bfloat16)
    assert accuracy(hand_built(config, torch.bfloat16)).per_list == 1.0
