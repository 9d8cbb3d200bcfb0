"""The order mechanism's figures over training: right on a solved model, refused elsewhere."""

from __future__ import annotations

import types

import pytest
import torch

from listcomp_utils.checkpoints import load_model
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.model import make_native_model
from listcomp_utils.scaling.dynamics import (
    LISTS,
    Course,
    course_rows,
    label_costs,
    measure_mechanism,
)
from listcomp_utils.scaling.grids import GRIDS, grid_cells
from listcomp_utils.sweeps.engine import run_grid
from listcomp_utils.sweeps.table import read_table, write_table
from listcomp_utils.sweeps.training import TrainCell
from listcomp_utils.task import input_tokens, lists_to_score, split_lists

STUDY = Config.preset("study", device="cpu")
SMALL = STUDY.replace(n_digits=10, d_model=16, steps=20, eval_every=10, batch_size=16)


def test_the_published_models_order_axis(reference):
    model = load_model(reference("published_len2_n100_d64.pt"), STUDY)
    found = measure_mechanism(model)
    assert found["order_alignment"] == pytest.approx(0.981, abs=5e-4)
    assert found["score_spread"] == pytest.approx(0.427, abs=5e-3)
    assert found["attention_mean"] == pytest.approx(0.509, abs=5e-3)
    assert found["attention_spread"] == pytest.approx(0.139, abs=2e-3)
    costs = label_costs(model, split_lists(STUDY).held_out)
    assert costs["L0 SEP<-d1"] == pytest.approx(0.509, abs=2e-3)
    assert costs["L1 o2<-o1"] == pytest.approx(0.231, abs=2e-3)
    assert costs["L1 SEP<-d1"] == 0


def test_attention_is_what_the_model_does():
    config = STUDY.replace(n_digits=12, d_model=16, seed=5)
    model, patterns = make_native_model(config), []
    model.layers[0].attn.register_forward_hook(lambda *seen: patterns.append(seen[-1][1]))
    with torch.no_grad():
        model(input_tokens(config, lists_to_score(config, 1000)))
    first = patterns[0][:, 0, 2, 0]
    found = measure_mechanism(model)
    assert found["attention_mean"] == pytest.approx(first.mean().item(), abs=1e-6)
    assert found["attention_spread"] == pytest.approx(first.std(correction=0).item(), abs=1e-6)


def test_a_course_has_a_row_for_each_evaluation_and_survives_its_file(tmp_path):
    cells = [SMALL.replace(seed=seed).to_dict() for seed in (0, 3)]
    work = TrainCell(observe=Course)
    made = run_grid(cells, work, tmp_path / "runs", jobs=1, progress="none")
    write_table(made, tmp_path / "dynamics.json")
    rows = course_rows(read_table("dynamics", tmp_path))
    assert rows.seed.tolist() == [0, 0, 0, 3, 3, 3] and rows.step.tolist() == [0, 10, 20] * 2
    shipped = read_table("dynamics")
    assert {*course_rows(shipped)} - {*shipped.attrs["varied"]} == {*rows}
    assert rows.order_alignment[0] != rows.order_alignment[2]
    last = made.course[1]["order_alignment"][-1]
    assert rows.order_alignment[5] == pytest.approx(last, rel=1e-4)


def test_evaluations_that_were_not_measured_are_an_error():
    course, evaluation = Course(SMALL), types.SimpleNamespace(step=0, train_loss=1.0, train=None)
    history = types.SimpleNamespace(evaluations=[evaluation])
    with pytest.raises(ValueError, match="zip"):
        course.figures(types.SimpleNamespace(history=history))


def test_shipped_courses_begin_at_the_models_that_training_starts_from():
    cells, lists = grid_cells(GRIDS["dynamics"]), lists_to_score(STUDY, LISTS)
    rows = course_rows(read_table("dynamics")).query("step == 0")
    for cell in cells:
        of_cell = (rows.seed == cell["seed"]) & (rows.steps == cell["steps"])
        (row,), model = rows[of_cell].to_dict("records"), make_native_model(Config(**cell))
        for name, value in measure_mechanism(model).items():
            assert row[name] == pytest.approx(value, rel=1e-4), name
        # Shipped costs are of another sample of lists: untrained, few outputs are right in any.
        for name, value in label_costs(model, lists).items():
            assert row[name] == pytest.approx(value, abs=5e-3), name


@pytest.mark.parametrize("changes", [dict(layer_norm=True), dict(list_len=3)])
def test_other_architectures_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        Course(STUDY.replace(**changes))
