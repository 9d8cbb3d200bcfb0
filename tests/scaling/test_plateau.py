"""The plateau: what is measured while a model trains, how a run passes, and what it takes."""

import types

import pandas as pd
import pytest
import torch

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.order_axis import separator
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.model import make_native_model
from listcomp_utils.scaling.grids import TABLES
from listcomp_utils.scaling.plateau import (
    LN_2,
    Course,
    course_panels,
    course_rows,
    difference_at_sep,
    passages,
    scores_and_c,
)
from listcomp_utils.sweeps.engine import run_grid
from listcomp_utils.sweeps.table import read_table, write_table
from listcomp_utils.sweeps.training import TrainCell
from listcomp_utils.task import all_lists

STUDY = Config.preset("study", device="cpu")
SMALL = STUDY.replace(n_digits=10, d_model=16, steps=20, eval_every=10, batch_size=16)


def alignment(config, model):
    course = Course(config)
    course(config.seed, 0, model)
    return course.alignments[0]


def test_the_published_models_alignment(released):
    assert alignment(STUDY, released) == pytest.approx(0.981, abs=5e-4)


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
    course, evaluation = Course(SMALL), types.SimpleNamespace(step=0, train_loss=1.0)
    history = types.SimpleNamespace(evaluations=[evaluation])
    with pytest.raises(ValueError, match="zip"):
        course.figures(types.SimpleNamespace(history=history))


def test_shipped_courses_begin_at_the_models_that_training_starts_from():
    rows = course_rows(read_table("dynamics")).query("step == 0").set_index(["steps", "seed"])
    for cell in TABLES["dynamics"].cells:
        config, row = Config(**cell), rows.loc[(cell["steps"], cell["seed"])]
        found = alignment(config, make_native_model(config))
        assert row.order_alignment == pytest.approx(found, rel=1e-4)


@pytest.mark.parametrize("changes", [dict(layer_norm=True), dict(list_len=3)])
def test_other_architectures_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        Course(STUDY.replace(**changes))
    with pytest.raises(ConfigError, match=next(iter(changes))):
        difference_at_sep(STUDY.replace(**changes))


def test_a_passage_is_read_off_the_loss():
    losses = {0: [3.0, *[LN_2] * 6, 0.6, 0.3], 1: [3.0, 0.5, 0.2], 2: [3.0, LN_2, LN_2]}
    aligned = {0: [0, *[0.1] * 6, 0.7, 0.9], 1: [0, 0.8, 1.0], 2: [0, 0.2, 0.4]}
    rows = [
        dict(recipe="own", seed=seed, eval_every=50, train_loss=loss, order_alignment=one)
        for seed in losses
        for loss, one in zip(losses[seed], aligned[seed], strict=True)
    ]
    found = passages(pd.DataFrame(rows)).loc["own"]
    assert found.steps.tolist() == [300, 0, 100] and found.waited.tolist() == [True, False, False]
    assert found.waiting[0] == pytest.approx(0.1) and found.waiting[2] == pytest.approx(0.3)
    assert found.highest[[0, 2]].tolist() == [0.1, 0.4], "before the loss falls"
    assert found.ending.tolist() == [0.9, 1.0, 0.4]
    assert found.passing[[0, 1]].tolist() == [0.7, 0.8]
    assert found.halved[[0, 1]].tolist() == [0.9, 1]
    assert pd.isna(found.waiting[1]) and pd.isna(found.halved[2])


def test_shipped_courses_are_of_both_recipes():
    found = passages(course_rows(read_table("dynamics")))
    assert sorted(set(found.index.get_level_values("recipe"))) == ["the study's", "this project's"]
    recipes = read_table("plateau")
    for seed, course in found.loc["the study's"].iterrows():
        kept = recipes[(recipes.embed_scale == 1) & (recipes.seed == seed)].broke_through.item()
        assert kept == pd.notna(course.halved) == (seed < 3)
    assert len(found) == 9


def test_either_factor_alone_tells_no_list_from_its_reverse():
    config = STUDY.replace(n_digits=6, d_model=8)
    assert difference_at_sep(config, places=0) < 1e-12
    assert difference_at_sep(config, scores=0) < 1e-12
    assert difference_at_sep(config) > 0.01
    assert difference_at_sep(config, scores=0, c=1) > 0.01, "with c the digits tell it too"


def test_the_difference_is_the_models_own():
    config = STUDY.replace(n_digits=6, d_model=8)
    weights, lists = weights_of(make_native_model(config), torch.float64), all_lists(config)
    here, there = (separator(weights, rows).vectors for rows in (lists, lists.flip(1)))
    own = (here - there).abs().max().item()
    assert difference_at_sep(config, c=1) == pytest.approx(own)


def test_in_the_trained_model_the_places_add_little_to_the_scores():
    spread, c = scores_and_c(load_or_train(STUDY).model)
    assert abs(c) < spread / 2


def test_courses_that_stay_have_panels_of_their_own():
    panels = course_panels(course_rows(read_table("dynamics")))
    stays = panels["the study's, not left: loss (nats)"]
    assert list(stays) == ["seed 3", "seed 6", "seed 7"] and stays.iloc[5:].min().min() > LN_2 / 2
    assert list(panels["the study's recipe: alignment"]) == ["seed 0", "seed 1", "seed 2"]
    assert len(panels) == 6
