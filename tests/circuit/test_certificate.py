"""The certified accuracy against the model's: never above it, near it, and cheaper."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from listcomp_utils.checkpoints import find_trained, load_model
from listcomp_utils.circuit import certificate
from listcomp_utils.circuit.certificate import brute_force, certify
from listcomp_utils.circuit.formula import Weights, logits, run, weights_of
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.task import all_lists


def random_weights(n_digits: int, seed: int, scale: float = 1.0) -> tuple[Config, Weights]:
    """Tied enough that some lists are right, with attention far from even at a large scale."""
    config = Config.preset("study", n_digits=n_digits, d_model=16)
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    token = normal(config.d_vocab, 16)
    position, query_key = 0.3 * normal(config.seq_len, 16), scale * normal(2, 16, 16)
    return config, Weights(token, position, token.T + 0.3 * normal(16, config.d_vocab), query_key)


def few_digits(config: Config, weights: Weights, n_digits: int) -> tuple[Config, Weights]:
    """The same model with the first digits and its MASK and SEP only."""
    kept = [*range(n_digits), config.mask_id, config.sep_id]
    return config.replace(n_digits=n_digits), Weights(
        weights.token[kept], weights.position, weights.unembed[:, kept], weights.query_key
    )


def right_outputs(config: Config, weights: Weights) -> torch.Tensor:
    """[list, output]: what the closed form writes is right."""
    lists = all_lists(config)
    found = logits(weights, run(config, weights, lists), config.output_positions)
    return found.argmax(-1) == lists


@pytest.fixture(scope="module")
def study() -> tuple[Config, Weights]:
    config = Config.preset("study")
    return config, weights_of(find_trained(config).model, torch.float64)


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("seed", range(4))
def test_never_certifies_a_list_that_the_model_gets_wrong(seed, scale):
    config, weights = random_weights(12, seed, scale)
    right = right_outputs(config, weights)
    exact = brute_force(config, weights)
    assert exact.certified.flatten().equal(right.all(1))
    assert exact.per_token == pytest.approx(right.double().mean().item())
    assert right.any() and not right.all()
    for bins, top in [(1, 1), (1, 4), (3, 2), (8, 8)]:
        bound = certify(config, weights, bins, top)
        assert not (bound.certified.flatten() & ~right.all(1)).any()
        assert bound.per_list == bound.certified.double().mean().item() <= exact.per_list
        assert bound.per_token <= exact.per_token


@pytest.mark.parametrize("noise", [0.03, 0.1, 0.3])
def test_sound_and_near_on_a_disturbed_study_model(study, noise):
    config, weights = few_digits(*study, 30)
    generator = torch.Generator().manual_seed(0)
    shift = torch.randn(weights.token.shape, generator=generator, dtype=torch.float64)
    token = weights.token + noise * weights.token.std() * shift
    weights = Weights(token, weights.position, weights.unembed, weights.query_key)
    right = right_outputs(config, weights).all(1)
    assert 0.1 < right.double().mean() < 1
    for bins, top in [(1, 1), (4, 2), (16, 8)]:
        assert not (certify(config, weights, bins, top).certified.flatten() & ~right).any()
    assert certify(config, weights).per_list > right.double().mean() - 0.02


def test_bounds_the_logits_of_all_other_tokens():
    config, weights = random_weights(12, 0)
    lists = all_lists(config)
    found = logits(weights, run(config, weights, lists), config.output_positions)
    rows = torch.arange(len(lists))[:, None]
    found[rows, :, lists] = -torch.inf
    problem = certificate.problem_of(config, weights)
    for place in (0, 1):
        bound, _ = certificate._bound_rivals(problem, place, bins=1, top=1)
        distance = bound - found[:, place].amax(1)
        assert distance.min() > -1e-9 and distance.max() > 0.1
        exact, _ = certificate._bound_rivals(problem, place, bins=1, top=config.d_vocab - 1)
        assert (exact - found[:, place].amax(1)).abs().max() < 1e-9


@pytest.mark.parametrize("share", [1.0, 1 - 1e-14, 1 + 1e-14])
def test_a_margin_within_rounding_certifies_nothing(study, share):
    config, weights = few_digits(*study, 12)
    digit = 2
    without = [
        found.certified for found in (certify(config, weights), brute_force(config, weights))
    ]
    assert all(certified[digit].sum() > 5 for certified in without)
    # A token that no list holds gets the digit's logits, or a little less or more of them.
    unembed = weights.unembed.clone()
    unembed[:, config.sep_id] = share * unembed[:, digit]
    twin = Weights(weights.token, weights.position, unembed, weights.query_key)
    for compute, before in zip((certify, brute_force), without, strict=True):
        certified = compute(config, twin).certified
        assert not certified[digit].any() and not certified[:, digit].any()
        others = [other for other in range(config.n_digits) if other != digit]
        assert certified[others][:, others].sum() > 0.5 * before[others][:, others].sum()


def test_every_certified_margin_is_above_rounding_and_most_lists_are_certified():
    certified_lists = right_lists = 0
    for seed in range(30):
        config, weights = random_weights(8, seed, scale=0.3)
        lists = all_lists(config)
        found = logits(weights, run(config, weights, lists), config.output_positions)
        own = found.gather(2, lists[:, :, None])[..., 0]
        margin = (own - found.scatter(2, lists[:, :, None], -torch.inf).amax(2)).amin(1)
        slack = certificate.problem_of(config, weights).slack
        assert 0 < slack < 1e-6 * found.abs().max()
        for bound in (certify(config, weights, bins=4, top=4), brute_force(config, weights)):
            certified = bound.certified.flatten()
            assert (margin[certified] > slack / 2).all()
            certified_lists += certified.sum().item()
        right_lists += 2 * (margin > 2 * slack).sum().item()
    assert 0.6 * right_lists < certified_lists <= right_lists


def test_tight_and_cheaper_on_the_shipped_model(study):
    exact, bound = brute_force(*study), certify(*study)
    assert exact.certified.flatten().equal(right_outputs(*study).all(1))
    assert exact.per_list - 0.01 < bound.per_list <= exact.per_list
    assert exact.per_token - 0.01 < bound.per_token <= exact.per_token
    assert bound.operations < 0.7 * exact.operations


def test_tight_on_the_released_model(reference):
    config = Config.preset("study")
    model = load_model(reference("published_len2_n100_d64.pt"), config)
    weights = weights_of(model, torch.float64)
    exact, bound = brute_force(config, weights), certify(config, weights)
    assert exact.per_list == pytest.approx(0.9118)
    assert exact.per_list - 0.01 < bound.per_list <= exact.per_list


def test_more_candidates_certify_no_fewer_lists(study):
    for config, weights in (study, few_digits(*study, 40)):
        found = [certify(config, weights, bins=4, top=top) for top in (1, 4, 16, 200)]
        for fewer, more in itertools.pairwise(found):
            assert not (fewer.certified & ~more.certified).any()
            assert fewer.operations <= more.operations
        assert found[0].per_list < found[-1].per_list
        assert found[-1].certified.equal(brute_force(config, weights).certified)


def test_operations_grow_with_the_square_against_the_cube(study):
    small, large = (few_digits(*study, n) for n in (50, 100))
    bounded = math.log2(certify(*large, bins=4).operations / certify(*small, bins=4).operations)
    exact = math.log2(brute_force(*large).operations / brute_force(*small).operations)
    assert bounded < 2.2 and exact > 2.75


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"layer_norm": True}, "layer_norm"),
        ({"n_heads": 2}, "n_heads"),
        ({"list_len": 3}, "list_len"),
        ({"n_layers": 3}, "n_layers"),
        ({"decoding": "autoregressive"}, "decoding"),
    ],
)
def test_refuses_another_architecture(changes, named):
    config, weights = random_weights(6, 0)
    for compute in (certify, brute_force):
        with pytest.raises(ConfigError, match=named):
            compute(config.replace(**changes), weights)


@pytest.mark.parametrize("name", ["bins", "top"])
def test_refuses_no_bins_and_no_candidates(name):
    with pytest.raises(ConfigError, match=f"{name} must be at least 1, got 0"):
        certify(*random_weights(6, 0), **{name: 0})
