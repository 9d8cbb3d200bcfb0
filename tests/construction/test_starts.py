"""Trainings from other starts: each attempt changes what its name says, and nothing else."""

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.construction.starts import ATTEMPTS, GROUPS, Attempt, put_start, train_from
from listcomp_utils.generation import accuracy
from listcomp_utils.model import make_native_model

TINY = Config.preset("ranked", n_digits=8, d_model=16, device="cpu", steps=2, eval_every=2)


def started(attempt, config=TINY):
    model = make_native_model(config)
    put_start(model, config, attempt)
    return model


def weights_of(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def test_all_parts_are_the_configs_own_start():
    ours, theirs = weights_of(started(ATTEMPTS["all parts"])), weights_of(make_native_model(TINY))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_usual_start_is_the_random_one():
    ours = weights_of(started(ATTEMPTS["usual start"]))
    theirs = weights_of(make_native_model(TINY.replace(start="random")))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


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
    model = started(Attempt((), noise=1.0, pull={"embeddings": 0.5}))
    (model.tok_embed.weight.sum() + model.head.weight.sum()).backward()
    torch.testing.assert_close(
        model.tok_embed.weight.grad, 1 + 0.5 * model.tok_embed.weight.detach()
    )
    assert (model.head.weight.grad == 1).all()


def test_a_training_reports_where_it_started_and_ended():
    figures = train_from({**TINY.to_dict(), "attempt": "hand-built, noise 0"})
    assert figures["start_per_list"] == 1.0
    assert figures["scored_on"] == "held-out"
    frozen = "hand-built, positions alone, noise 1"
    assert train_from({**TINY.to_dict(), "attempt": frozen})["start_per_list"] < 1.0


def test_an_unknown_attempt_fails_before_training():
    with pytest.raises(KeyError, match="sideways"):
        train_from({**TINY.to_dict(), "attempt": "sideways"})
