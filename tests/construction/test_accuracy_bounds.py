"""Both bounds against every logit: never on the wrong side, met on trained weights, and cheaper."""

import dataclasses
import math

import pytest
import torch

from listcomp_utils.circuit.formula import Weights, logits, run, weights_of
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.construction import accuracy_bounds as module
from listcomp_utils.construction import logit_bounds as bounds
from listcomp_utils.construction.accuracy_bounds import Sandwich, brute_force, sandwich
from listcomp_utils.construction.logit_bounds import PER_LOGIT
from listcomp_utils.generation import accuracy
from listcomp_utils.task import all_lists


def random_weights(n_digits: int, seed: int = 0, scale: float = 0.1, d_model: int = 16) -> Weights:
    """Tied enough that some lists are right."""
    config = Config.preset("study", n_digits=n_digits, d_model=d_model)
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    token = normal(config.d_vocab, d_model)
    position, query_key = normal(config.seq_len, d_model), scale * normal(2, d_model, d_model)
    unembed = token.T + 0.3 * normal(d_model, config.d_vocab)
    return Weights(config, token, 0.3 * position, unembed, query_key)


def few_digits(weights: Weights, n_digits: int) -> Weights:
    """The same model with the first digits and its MASK and SEP only."""
    config = weights.config
    kept = [*range(n_digits), config.mask_id, config.sep_id]
    return dataclasses.replace(
        weights,
        config=config.replace(n_digits=n_digits),
        token=weights.token[kept],
        unembed=weights.unembed[:, kept],
    )


def with_unembedding(weights: Weights, token: int, column: torch.Tensor) -> Weights:
    unembed = weights.unembed.clone()
    unembed[:, token] = column
    return dataclasses.replace(weights, unembed=unembed)


def margins(weights: Weights) -> torch.Tensor:
    """[first, second]: the least margin of a list's own logits over any other, by the formula."""
    config = weights.config
    lists = all_lists(config)
    found = logits(weights, run(weights, lists), config.output_positions)
    own = found.gather(2, lists[:, :, None])[..., 0]
    best = found.scatter(2, lists[:, :, None], -torch.inf).amax(2)
    return (own - best).amin(1).view(config.n_digits, config.n_digits)


def is_sound(found: Sandwich, margin: torch.Tensor) -> bool:
    """Nothing is proven that is not so."""
    return bool((margin[found.right] > 0).all() and (margin[found.wrong] < 0).all())


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 10.0])
@pytest.mark.parametrize(("n_digits", "d_model"), [(5, 4), (12, 16), (30, 4), (30, 16)])
def test_proves_nothing_that_is_not_so(n_digits, d_model, scale):
    for seed in range(4):
        weights = random_weights(n_digits, seed, scale, d_model)
        margin = margins(weights)
        exact = (margin > 0).double().mean().item()
        found = sandwich(weights)
        assert is_sound(found, margin) and found.lower == exact == found.upper


def test_every_logit_gives_the_accuracy_of_the_model(study, study_model):
    found = brute_force(study)
    assert found.lower == found.upper == pytest.approx(accuracy(study_model).per_list)
    for seed in range(4):
        weights = random_weights(12, seed)
        config = weights.config
        found, lists = brute_force(weights), all_lists(config)
        written = logits(weights, run(weights, lists), config.output_positions).argmax(-1)
        right = (written == lists).all(1).view(12, 12)
        assert found.right.equal(right) and found.wrong.equal(~right)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("noise", [0.03, 0.3])
def test_sound_on_disturbed_and_scaled_study_weights(study, noise, size):
    weights = few_digits(study, 40)
    shift = torch.randn(weights.token.shape, generator=torch.Generator().manual_seed(0)).double()
    token = weights.token + noise * weights.token.std() * shift
    weights = dataclasses.replace(weights, token=token, unembed=size * weights.unembed)
    margin = margins(weights)
    exact = (margin > 0).double().mean().item()
    assert 0.05 < exact < 1
    found = sandwich(weights)
    assert is_sound(found, margin)
    assert found.lower == pytest.approx(exact) == found.upper


def test_the_bounds_meet_on_the_shipped_model_for_less_than_two_fifths(study):
    exact, found = brute_force(study), sandwich(study)
    assert found.lower == found.upper == exact.lower == pytest.approx(0.9519)
    assert found.right.equal(exact.right) and found.wrong.equal(exact.wrong)
    assert is_sound(found, margins(study))
    assert found.operations < 0.37 * exact.operations


def test_the_bounds_meet_on_the_released_model(released):
    weights = weights_of(released, torch.float64)
    found = sandwich(weights)
    assert found.lower == pytest.approx(0.9118) == found.upper
    assert is_sound(found, margins(weights))


@pytest.mark.parametrize(("n_digits", "d_model"), [(10, 6), (100, 6), (100, 64)])
def test_proves_that_a_model_copies_all_lists(by_hand, n_digits, d_model):
    weights = by_hand(n_digits, d_model)
    found = sandwich(weights)
    assert found.lower == found.upper == 1 and found.right.all() and not found.wrong.any()
    assert margins(weights).min() > bounds.rounding(weights) > 0


def test_one_wrong_list_of_a_copier_is_found(by_hand):
    weights = by_hand(50, 6)
    of_7, of_8 = weights.unembed[:, 7], weights.unembed[:, 8]
    weights = with_unembedding(weights, 7, of_8 + 1e-3 * (of_7 - of_8))
    margin, found = margins(weights), sandwich(weights)
    assert is_sound(found, margin) and found.wrong.equal(margin < 0) and 0.9 < found.upper < 1


def test_two_programs_differ_by_less_than_the_slack_for_rounding(study, by_hand):
    for weights in (study, by_hand(100, 64), by_hand(100, 6), random_weights(40, 0)):
        config = weights.config
        problem, lists = module.problem_of(weights), all_lists(config)
        everything = torch.arange(config.n_lists)
        tokens = torch.arange(config.d_vocab).expand(config.n_lists, -1)
        formula = logits(weights, run(weights, lists), config.output_positions)
        slack = bounds.rounding(weights)
        assert slack < 1e-8 * formula.abs().max()
        for place in (0, 1):
            tables = problem.logits(place, everything, tokens)
            assert 0 < (tables - formula[:, place]).abs().max() < slack / 2


@pytest.mark.parametrize("special", ["mask_id", "sep_id"])
def test_tokens_that_are_no_digits_compete(study, special):
    weights = few_digits(study, 30)
    weights = with_unembedding(
        weights, getattr(weights.config, special), 1.01 * weights.unembed[:, 3]
    )
    margin, found = margins(weights), sandwich(weights)
    assert is_sound(found, margin) and found.right.equal(margin > 0)
    assert (margin[3] < 0).sum() > 20


@pytest.mark.parametrize("prove", [sandwich, brute_force])
@pytest.mark.parametrize("share", [1.0, 1 - 1e-14, 1 + 1e-14])
def test_a_margin_within_rounding_proves_neither(study, share, prove):
    weights = few_digits(study, 20)
    config = weights.config
    before = prove(weights)
    twin = with_unembedding(weights, config.sep_id, share * weights.unembed[:, 2])
    found = prove(twin)
    with_twin = before.right[2]
    assert with_twin.sum() > 5
    assert not found.right[2].any() and not found.wrong[2, with_twin].any()
    assert found.lower < found.upper


def test_a_slack_of_the_wrong_sign_is_caught(study, monkeypatch):
    weights = few_digits(study, 20)
    weights = with_unembedding(weights, weights.config.sep_id, (1 + 1e-6) * weights.unembed[:, 2])
    margin = margins(weights)
    assert is_sound(sandwich(weights), margin)
    monkeypatch.setattr(module, "rounding", lambda *_: -0.01)
    assert not is_sound(sandwich(weights), margin)


@pytest.mark.parametrize("part", ["bounds", "signs", "logits"])
def test_a_corrupted_table_is_caught(study, monkeypatch, part):
    # The study's own wrong lists all write their other digit, and need no table: here SEP wins.
    weights = few_digits(study, 40)
    weights = with_unembedding(weights, weights.config.sep_id, 1.01 * weights.unembed[:, 3])
    margin = margins(weights)
    assert is_sound(sandwich(weights), margin)
    rank, split, exactly = module.rank, module.split_logits, module.Problem.logits

    def lowered(*of):
        found = rank(*of)
        return found._replace(above=found.above - 300)

    def of_other_sign(*of):
        found = split(*of)
        axis, tilt, rest = found.readouts
        return found._replace(readouts=(axis, tilt, -rest))

    def raised(self, *of):
        return exactly(self, *of) + 3 * (of[2] == 5)

    spoilt = {
        "bounds": (module, "rank", lowered),
        "signs": (module, "split_logits", of_other_sign),
        "logits": (module.Problem, "logits", raised),
    }
    monkeypatch.setattr(*spoilt[part])
    assert not is_sound(sandwich(weights), margin)


def test_a_ranking_bounds_every_token_it_does_not_name(study):
    weights = few_digits(study, 40)
    config = weights.config
    problem = module.problem_of(weights)
    everything = torch.arange(config.n_lists)
    for place in (0, 1):
        split, ranking = bounds.split_logits(problem, place), bounds.unranked(problem)
        group = problem.lists
        for level, keep in ((1, 20), (3, 9)):
            cells = bounds.cells_of(split, everything, level)
            keys = cells[:, None] * config.n_digits + problem.lists
            groups, member = keys.unique(return_inverse=True)
            older = torch.empty(len(groups)).long()
            older[member] = group
            cell, digit = groups // config.n_digits, groups % config.n_digits
            ranking = bounds.rank(
                split, digit, cell % config.d_vocab, (everything, member), ranking.of(older), keep
            )
            group, first = member, member[:, 0]
            alpha = problem.alpha[:, None]
            bound = alpha * ranking.above[member[:, 0]] + (1 - alpha) * ranking.above[member[:, 1]]
            tokens = torch.arange(config.d_vocab).expand(config.n_lists, -1)
            truth = problem.logits(place, everything, tokens)
            truth = truth - problem.logits(place, everything, ranking.heart[first, None])
            truth = truth.scatter(1, problem.lists, -torch.inf)
            for named in range(keep + 1):
                left = truth.scatter(1, ranking.tokens[member][:, :, :named].flatten(1), -torch.inf)
                assert (left.amax(1) <= bound[:, named] + 1e-9).all()


@pytest.mark.parametrize("kind", ["by hand", "random"])
def test_cost_grows_slower_than_the_cube_and_is_below_every_logit(kind, by_hand):
    build = by_hand if kind == "by hand" else random_weights
    cost = {n: sandwich(build(n, d_model=64)).operations for n in (100, 200)}
    every_logit = 200**2 * 2 * 202 * (PER_LOGIT + 1)
    assert cost[200] < 0.55 * every_logit
    assert math.log2(cost[200] / cost[100]) < 2.6


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
@pytest.mark.parametrize("prove", [sandwich, brute_force])
def test_refuses_another_architecture(changes, named, prove):
    weights = random_weights(6)
    with pytest.raises(ConfigError, match=named):
        prove(dataclasses.replace(weights, config=weights.config.replace(**changes)))


@pytest.mark.parametrize("prove", [sandwich, brute_force])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_refuses_weights_that_are_not_finite(value, prove):
    weights = random_weights(6)
    weights.unembed[0, 0] = value
    with pytest.raises(ConfigError, match="weights must be finite"):
        prove(weights)
