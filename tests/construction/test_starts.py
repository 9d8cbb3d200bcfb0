"""Trainings from other starts: each attempt changes what its name says, and nothing else."""

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.construction import starts
from listcomp_utils.construction.starts import (
    ATTEMPTS,
    GROUPS,
    PENALTIES,
    Attempt,
    put_start,
    train_from,
)
from listcomp_utils.generation import accuracy
from listcomp_utils.hooks import run_all
from listcomp_utils.model import add_hooks, make_native_model
from listcomp_utils.training.loop import train

TINY = Config.preset("ranked", n_digits=8, d_model=16, device="cpu", steps=2, eval_every=2)


def started(attempt, config=TINY):
    model = make_native_model(config)
    put_start(model, config, attempt)
    return model


def weights_of(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("name, start", [("all parts", "ranks"), ("usual start", "random")])
def test_two_attempts_are_the_starts_of_configs(name, start):
    ours = weights_of(started(ATTEMPTS[name]))
    theirs = weights_of(make_native_model(TINY.replace(start=start)))
    assert all(torch.equal(ours[one], theirs[one]) for one in theirs)


@pytest.mark.parametrize("name", [name for name in ATTEMPTS if name != "all parts"])
def test_every_other_attempt_starts_elsewhere(name):
    ours, theirs = weights_of(started(ATTEMPTS[name])), weights_of(make_native_model(TINY))
    assert any(not torch.equal(ours[one], theirs[one]) for one in theirs)


def test_hand_built_weights_copy_before_any_step_and_noise_ends_that():
    assert accuracy(started(Attempt(None, 0.0))).per_list == 1.0
    assert accuracy(started(Attempt(None, 1.0))).per_list < 0.5


@pytest.mark.parametrize("group", GROUPS)
def test_one_group_alone_has_the_noise_and_is_trained(group):
    exact, noisy = started(Attempt(None, 0.0)), started(Attempt(None, 1.0, only=group))
    changed = {
        name
        for (name, old), new in zip(exact.named_parameters(), noisy.parameters(), strict=True)
        if not torch.equal(old, new)
    }
    trained = {name for name, weight in noisy.named_parameters() if weight.requires_grad}
    assert changed == trained != set()
    assert all(any(part in name for part in GROUPS[group]) for name in changed)


def test_a_pulled_group_has_the_penaltys_gradient_beside_its_own():
    model = started(Attempt((), noise=1.0, penalties={"embeddings": 0.5}))
    (model.tok_embed.weight.sum() + model.head.weight.sum()).backward()
    torch.testing.assert_close(
        model.tok_embed.weight.grad, 1 + 0.5 * model.tok_embed.weight.detach()
    )
    assert (model.head.weight.grad == 1).all()


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_adds_its_gradient_to_that_of_the_loss(name):
    model, plain = started(Attempt((), 1.0, penalties={name: 0.5})), started(Attempt((), 1.0))
    ours, theirs = (dict(one.named_parameters()) for one in (model, plain))
    (0.5 * PENALTIES[name](TINY, theirs) + sum(one.sum() for one in plain.parameters())).backward()
    sum(one.sum() for one in model.parameters()).backward()
    assert any(one.grad.std() > 0 for one in ours.values() if one.requires_grad)
    for one in ours:
        torch.testing.assert_close(ours[one].grad, theirs[one].grad)


def test_penalties_are_what_they_say():
    weights = weights_of(started(Attempt((), 1.0)))
    E, U = weights["tok_embed.weight"], weights["head.weight"]
    both = [((E[a] + E[b]) / 2 @ (U[a] - U[b])) ** 2 for a in range(8) for b in range(8)]
    torch.testing.assert_close(PENALTIES["content"](TINY, weights), torch.stack(both).mean())
    model = add_hooks(started(Attempt((), 1.0)))
    to_d1, to_d2 = run_all(model, torch.tensor([[3, 3]])).patterns[0, 0, 0, 2, :2]
    torch.testing.assert_close(PENALTIES["offset"](TINY, weights), (to_d1 / to_d2).log().square())


def test_an_attempts_rates_reach_the_training(monkeypatch):
    asked = {}

    def watched(*arguments, rates, **how):
        asked.update({name: rates(name) for name in weights_of(make_native_model(TINY))})
        return train(*arguments, rates=rates, **how)

    monkeypatch.setattr(starts, "train", watched)
    attempt = "usual start, positions learned 10 times as fast"
    train_from({**TINY.to_dict(), "attempt": attempt})
    assert asked["pos.weight"] == 10 and asked["head.weight"] == 1


def test_a_training_reports_where_it_started_and_ended():
    figures = train_from({**TINY.to_dict(), "attempt": "hand-built, noise 0"})
    assert figures["start_per_list"] == 1.0
    assert figures["scored_on"] == "held-out"
    frozen = "hand-built, positions alone, noise 1"
    assert train_from({**TINY.to_dict(), "attempt": frozen})["start_per_list"] < 1.0


def test_an_unknown_attempt_fails_before_training():
    with pytest.raises(KeyError, match="sideways"):
        train_from({**TINY.to_dict(), "attempt": "sideways"})
