"""The order mechanism's figures over training: right on a solved model, refused elsewhere."""

from __future__ import annotations

import pytest
import torch

from listcomp_utils.checkpoints import load_model
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.model import make_native_model
from listcomp_utils.scaling.dynamics import (
    edge_costs,
    measure,
    read_courses,
    training_dynamics,
    write_courses,
)
from listcomp_utils.task import input_tokens, lists_to_score, split_lists
from listcomp_utils.training.stacks import make_stack

STUDY = Config.preset("study", device="cpu")


def test_the_published_models_order_axis(reference):
    bridge = load_model(reference("published_len2_n100_d64.pt"), STUDY)
    model = make_native_model(STUDY)
    theirs = {
        "tok_embed.weight": bridge.W_E,
        "pos.weight": bridge.W_pos,
        "head.weight": bridge.W_U.T,
    }
    for layer in range(2):
        for part, weight in (
            ("q", bridge.blocks[layer].attn.W_Q),
            ("k", bridge.blocks[layer].attn.W_K),
        ):
            theirs[f"layers.{layer}.attn.{part}.weight"] = weight[0].T
    model.load_state_dict(theirs, strict=False)
    found = measure(STUDY, model)
    assert found["order_alignment"] == pytest.approx(0.981, abs=5e-4)
    assert found["score_spread"] == pytest.approx(0.427, abs=5e-3)
    assert found["attention_mean"] == pytest.approx(0.509, abs=5e-3)
    assert found["attention_spread"] == pytest.approx(0.139, abs=2e-3)
    costs = edge_costs(model, split_lists(STUDY).held_out)
    assert costs["L0 SEP<-d1"] == pytest.approx(0.509, abs=2e-3)
    assert costs["L1 o2<-o1"] == pytest.approx(0.231, abs=2e-3)
    assert "L1 SEP<-d1" not in costs


def test_attention_is_what_the_model_does():
    config = STUDY.replace(n_digits=12, d_model=16)
    (model,) = make_stack(config, [5]).members
    lists = lists_to_score(config, 1000)
    patterns = []
    model.layers[0].attn.register_forward_hook(lambda *seen: patterns.append(seen[-1][1]))
    with torch.no_grad():
        model(input_tokens(config, lists))
    first = patterns[0][:, 0, 2, 0]
    found = measure(config, model)
    assert found["attention_mean"] == pytest.approx(first.mean().item(), abs=1e-6)
    assert found["attention_spread"] == pytest.approx(first.std(correction=0).item(), abs=1e-6)


def test_a_course_has_a_row_for_each_evaluation_and_survives_its_file(tmp_path):
    config = STUDY.replace(n_digits=10, d_model=16, steps=20, eval_every=10, batch_size=16)
    courses = training_dynamics(config, [0, 3], progress="none")
    assert [course.config["seed"] for course in courses] == [0, 3]
    assert [row.step for row in courses[0].rows] == [0, 10, 20]
    assert courses[0].rows[0].order_alignment != courses[0].rows[2].order_alignment
    write_courses(courses, tmp_path / "dynamics.json")
    (again, _), row = read_courses(tmp_path / "dynamics.json"), courses[0].rows[2]
    assert again.config == courses[0].config and len(again.rows) == 3
    assert again.rows[2].order_alignment == pytest.approx(row.order_alignment, rel=1e-4)
    assert again.rows[2].edge_costs.keys() == row.edge_costs.keys()
    assert read_courses(tmp_path / "absent.json") == []


@pytest.mark.parametrize("changes", [dict(layer_norm=True), dict(list_len=3)])
def test_other_architectures_are_refused(changes):
    with pytest.raises(ConfigError, match="study"):
        training_dynamics(STUDY.replace(**changes), [0])
