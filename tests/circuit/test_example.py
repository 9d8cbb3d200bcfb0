"""A list worked through step by step is what the model does."""

import pytest
import torch

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.circuit.example import worked_through
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.hooks import run_all
from listcomp_utils.model import make_model


def test_the_steps_are_the_models_own():
    model = load_or_train(Config.preset("study", device="cpu")).model
    lists = [(60, 44), (44, 60), (7, 7)]
    steps = worked_through(model.listcomp_config, weights_of(model, torch.float64), lists)
    seen = run_all(model.double(), torch.tensor(lists))
    for row, (a, b) in enumerate(lists):
        step = steps.iloc[row]
        o1, o2 = seen.logits[row, 3], seen.logits[row, 4]
        told = [step.alpha_1, step.beta, step.o1_a, step.o1_b, step.o2_a, step.o2_b]
        patterns = seen.patterns[row, :, 0]
        true = [patterns[0, 2, 0], patterns[1, 4, 2], o1[a], o1[b], o2[a], o2[b]]
        assert told == pytest.approx([float(x) for x in true], abs=1e-9)
        assert step.written == f"{int(o1.argmax())}, {int(o2.argmax())}"
    assert steps.s_a[0] == steps.s_b[1] != steps.s_a[1]


def test_another_architecture_is_refused():
    config = Config.preset("study", n_digits=5, d_model=8, list_len=3, device="cpu")
    with pytest.raises(ConfigError, match="list_len"):
        worked_through(config, weights_of(make_model(config)), [(1, 2)])
