"""Stacked models compute, learn and score what the same models do one by one."""

from __future__ import annotations

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy, loss, mean_loss
from listcomp_utils.model import make_native_model
from listcomp_utils.task import all_lists, input_tokens, sample_lists, target_tokens
from listcomp_utils.training.fast_gradients import NAMES, FastCopier, has_closed_form
from listcomp_utils.training.loop import train, train_many
from listcomp_utils.training.stacks import ClosedFormStack, LeanStack, ModelStack, make_stack

SEEDS = [3, 0, 7]
ANY = [
    dict(),
    dict(decoding="masked", loss_on="outputs", bias=False, n_layers=3, n_heads=2, list_len=3),
    dict(layer_norm=False, learn_w_v=True, n_digits=7),
    dict(decoding="masked", loss_on="outputs", bias=False, layer_norm=False, positions="rotary"),
    dict(decoding="masked", loss_on="outputs", bias=False, layer_norm=False, positions="none"),
]


def study(**changes):
    return Config.preset("study", device="cpu", **{"n_digits": 9, "d_model": 16, **changes})


def autograd(config, seed, lists):
    model = make_native_model(config.replace(seed=seed)).double()
    value = loss(model(input_tokens(config, lists)), target_tokens(config, lists))
    value.backward()
    return value.item(), {name: weight.grad for name, weight in model.named_parameters()}


@pytest.mark.parametrize("list_len", [1, 2, 3, 4])
def test_the_hand_written_gradients_are_autograds(list_len):
    config = study(list_len=list_len)
    models = [make_native_model(config.replace(seed=seed)).double() for seed in SEEDS]
    copier = FastCopier(
        config,
        {name: torch.stack([m.get_parameter(name).detach() for m in models]) for name in NAMES},
    )
    lists = torch.stack([sample_lists(config, 33, seed) for seed in SEEDS])
    lists[:, 0] = lists[:, 0, :1]
    losses = copier.loss_and_gradients(lists)
    for number, seed in enumerate(SEEDS):
        value, gradients = autograd(config, seed, lists[number])
        assert losses[number].item() == pytest.approx(value, abs=1e-12)
        for name in NAMES:
            torch.testing.assert_close(
                copier.gradients[name][number], gradients[name], atol=1e-13, rtol=1e-9
            )


@pytest.mark.parametrize("list_len", [1, 2, 3])
def test_the_closed_form_logits_are_the_models(list_len):
    config = study(list_len=list_len)
    stack = make_stack(config, SEEDS)
    assert isinstance(stack, ClosedFormStack)
    lists = sample_lists(config, 50, seed=1)
    copier = FastCopier(config, stack.weights)
    logits = copier.logits(lists.expand(len(SEEDS), -1, -1))
    for number, member in enumerate(stack.members):
        full = member(input_tokens(config, lists))[:, config.prediction_positions]
        torch.testing.assert_close(logits[:, number].transpose(0, 1), full, atol=5e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        (dict(layer_norm=True), LeanStack),
        (dict(bias=True), LeanStack),
        (dict(learn_w_v=True), LeanStack),
        (dict(learn_w_o=True), LeanStack),
        (dict(n_layers=3), LeanStack),
        (dict(n_heads=2), LeanStack),
        (dict(positions="rotary"), LeanStack),
        (dict(decoding="autoregressive"), ModelStack),
        (dict(loss_on="all"), ModelStack),
    ],
)
def test_other_architectures_take_another_way(changes, kind):
    assert has_closed_form(study())
    assert not has_closed_form(study(**changes))
    assert type(make_stack(study(**changes), [0])) is kind


@pytest.mark.parametrize("changes", ANY)
@pytest.mark.parametrize("seeds", [[3], SEEDS])
def test_a_general_stack_has_each_models_loss_and_gradients(changes, seeds):
    config = Config(device="cpu", **changes)
    stack = make_stack(config, seeds)
    lists = torch.stack([sample_lists(config, 20, seed) for seed in seeds])
    for _ in range(2):
        losses = stack.loss_and_gradients(lists)
    for number, seed in enumerate(seeds):
        value, gradients = autograd(config, seed, lists[number])
        assert losses[number].item() == pytest.approx(value, abs=1e-5)
        assert {name for name, slope in gradients.items() if slope is not None} >= set(
            stack.gradients
        )
        for name, slope in stack.gradients.items():
            torch.testing.assert_close(
                slope[number].double(), gradients[name], atol=1e-6, rtol=1e-4
            )


@pytest.mark.parametrize("config", [Config(device="cpu"), study()])
def test_a_stack_scores_each_model_as_it_would_be_alone(config):
    stack, lists = make_stack(config, SEEDS), all_lists(config)
    for (value, right), member in zip(stack.evaluate(lists), stack.members, strict=True):
        assert value == pytest.approx(mean_loss(member, lists), abs=1e-5)
        assert right == accuracy(member, lists)


def test_members_follow_the_stack():
    stack = make_stack(Config(device="cpu"), SEEDS)
    stack.weights["head.weight"][1].zero_()
    assert not stack.members[1].head.weight.any() and stack.members[0].head.weight.any()


@pytest.mark.parametrize("changes", ANY)
def test_training_together_is_training_alone_up_to_rounding(changes):
    config = Config(device="cpu", steps=20, eval_every=10, **changes)
    for together in train_many(config, SEEDS, progress="none"):
        alone = train(together.config, progress="none")
        for one, other in zip(together.history.evaluations, alone.history.evaluations, strict=True):
            assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)


def test_the_studys_models_trained_together_are_those_trained_alone_to_the_bit():
    config = study(steps=30, eval_every=10, batch_size=32)
    for together in train_many(config, SEEDS, progress="none"):
        alone = train(together.config, progress="none")
        assert together.history.evaluations == alone.history.evaluations
        for name, weight in alone.last_model.state_dict().items():
            assert torch.equal(weight, together.last_model.state_dict()[name]), name


def test_the_fast_way_trains_like_the_general_way(monkeypatch):
    config = study(steps=20, eval_every=10, batch_size=32)
    fast = train(config, progress="none")
    monkeypatch.setattr("listcomp_utils.training.stacks.has_closed_form", lambda config: False)
    slow = train(config, progress="none")
    for name, weight in slow.last_model.state_dict().items():
        torch.testing.assert_close(
            fast.last_model.state_dict()[name], weight, atol=2e-4, rtol=1e-3, msg=name
        )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("config", [Config(), study()])
def test_cuda_gives_the_same_within_tolerance(config):
    config = config.replace(steps=20, eval_every=10, batch_size=32)
    here = train_many(config.replace(device="cpu"), SEEDS, progress="none")
    there = train_many(config.replace(device="cuda"), SEEDS, progress="none")
    for one, other in zip(here, there, strict=True):
        last, its = one.history.evaluations[-1], other.history.evaluations[-1]
        assert last.train_loss == pytest.approx(its.train_loss, rel=1e-3)
