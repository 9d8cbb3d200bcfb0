"""Stacked models compute, learn and score what the same models do one by one."""

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy, loss, mean_loss
from listcomp_utils.model import make_native_model
from listcomp_utils.task import all_lists, input_tokens, sample_lists, target_tokens
from listcomp_utils.training.stacks import ModelStack

SEEDS = [3, 0, 7]
MASKED = dict(decoding="masked", loss_on="outputs", bias=False)
ANY = [
    dict(),
    dict(layer_norm=False, learn_w_v=True, n_digits=7),
    dict(**MASKED, n_layers=3, n_heads=2, list_len=3),
    dict(**MASKED, layer_norm=False, positions="rotary"),
    dict(**MASKED, layer_norm=False, positions="none", n_layers=3),
    dict(**MASKED, layer_norm=False, learn_w_o=False, n_layers=3),
]


def by_autograd(config, seed, lists):
    model = make_native_model(config.replace(seed=seed)).double()
    loss(model(input_tokens(config, lists)), target_tokens(config, lists)).backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


@pytest.mark.parametrize("changes", ANY, ids=str)
@pytest.mark.parametrize("seeds", [[3], SEEDS], ids=str)
def test_a_stack_has_each_models_gradients_on_its_own_lists(changes, seeds):
    config = Config(device="cpu", **changes)
    stack = ModelStack(config, seeds)
    lists = torch.stack([sample_lists(config, 20, seed) for seed in seeds])
    for _ in range(2):  # nothing is left over from the last call
        stack.backward(lists)
    for number, seed in enumerate(seeds):
        expected = by_autograd(config, seed, lists[number])
        for name, weight in stack.weights.items():
            found = torch.zeros_like(weight) if weight.grad is None else weight.grad
            found = found if len(seeds) == 1 else found[number]
            torch.testing.assert_close(
                found.double(), expected[name], atol=1e-6, rtol=1e-4, msg=name
            )


@pytest.mark.parametrize("changes", [{}, ANY[2], ANY[5]], ids=str)
def test_a_stack_scores_each_model_as_it_would_be_alone(changes):
    config = Config(device="cpu", **{**changes, "n_digits": 6})
    stack, lists = ModelStack(config, SEEDS), all_lists(config)
    for (value, right), model in zip(stack.evaluate(lists), stack.models, strict=True):
        assert value == pytest.approx(mean_loss(model, lists), abs=1e-5)
        assert right == accuracy(model, lists)


def test_models_get_the_stepped_weights():
    stack = ModelStack(Config(device="cpu"), SEEDS)
    with torch.no_grad():
        stack.weights["head.weight"][1].zero_()
    stack.update_models()
    assert not stack.models[1].head.weight.any() and stack.models[0].head.weight.any()
