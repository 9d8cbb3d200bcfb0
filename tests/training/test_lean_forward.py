"""The short forward passes: equal to the native model's, in logits and in gradients."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from listcomp_utils.config import Config
from listcomp_utils.generation import loss
from listcomp_utils.model import make_native_model
from listcomp_utils.task import input_tokens, sample_lists, target_tokens
from listcomp_utils.training.lean_forward import LeanForward, has_lean_forward
from listcomp_utils.training.loop import train

FLAGS = ["layer_norm", "bias", "learn_w_v", "learn_w_o"]
COVERED = [
    *(dict(zip(FLAGS, flags, strict=True)) for flags in itertools.product([False, True], repeat=4)),
    dict(n_heads=2),
    dict(n_heads=4, learn_w_o=True, layer_norm=True, bias=True, list_len=3),
    dict(positions="rotary", list_len=3),
    dict(positions="rotary", n_heads=2, layer_norm=True),
    dict(positions="none"),
    dict(n_layers=1),
    dict(n_layers=3, list_len=3),
    dict(n_layers=4, positions="none"),
    dict(n_layers=3, layer_norm=True, bias=True, learn_w_v=True, learn_w_o=True, n_heads=2),
    dict(n_layers=4, list_len=3, positions="rotary", bias=True),
    dict(n_layers=5, list_len=4),
    dict(list_len=1),
]


def study(**changes):
    return Config.preset("study", device="cpu", **{"n_digits": 6, "d_model": 16, **changes})


@pytest.mark.parametrize("changes", COVERED, ids=str)
def test_logits_and_gradients_are_the_native_models(changes):
    config = study(**changes)
    assert has_lean_forward(config)
    model = make_native_model(config).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # biases and LayerNorms start at values that would hide a mistake
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.3 * torch.randn(weight.shape, generator=generator).double()
    lists = sample_lists(config, 40, 0)
    logits = model(input_tokens(config, lists))
    loss(logits, target_tokens(config, lists)).backward()
    expected = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    short = LeanForward(model)(dict(model.named_parameters()), lists)
    F.cross_entropy(short.flatten(0, 1), lists.T.flatten()).backward()
    # Rotary's angles are float32 in both.
    full = logits[:, config.prediction_positions].transpose(0, 1)
    torch.testing.assert_close(short, full, rtol=0, atol=1e-10)
    for name, weight in model.named_parameters():
        if expected[name] is not None:
            slope = torch.zeros_like(weight) if weight.grad is None else weight.grad
            torch.testing.assert_close(slope, expected[name], rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.parametrize("changes", [dict(decoding="autoregressive"), dict(loss_on="all")], ids=str)
def test_positions_that_carry_loss_are_not_left_out(changes):
    assert not has_lean_forward(study(**changes))


def test_training_by_it_is_training_by_the_native_model(monkeypatch):
    config = study(layer_norm=True, learn_w_v=True, steps=20, eval_every=10, batch_size=20)
    short = train(config, progress="none").history
    monkeypatch.setattr("listcomp_utils.training.stacks.has_lean_forward", lambda config: False)
    long = train(config, progress="none").history
    last, its = short.evaluations[-1], long.evaluations[-1]
    assert last.train_loss == pytest.approx(its.train_loss, rel=1e-3)
