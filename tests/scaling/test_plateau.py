"""Outcomes of recipes: what counts as left, what is reported, and the file they ship in."""

from __future__ import annotations

import pytest

from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy
from listcomp_utils.scaling.plateau import read_outcomes, study_recipe, try_recipe, write_outcomes
from listcomp_utils.task import split_lists
from listcomp_utils.training.history import breakthrough_step
from listcomp_utils.training.loop import train

SMALL = Config.preset(
    "study", device="cpu", n_digits=10, d_model=16, batch_size=40, steps=40, eval_every=10
)


def test_the_authors_recipe_differs_from_the_preset_in_training_only():
    theirs = study_recipe(steps=7)
    ours = Config.preset("study")
    assert (theirs.lr, theirs.batch_size, theirs.schedule) == (1e-3, 128, "constant")
    assert (theirs.adam_beta2, theirs.weight_decay, theirs.warmup_steps) == (0.999, 0.01, 0)
    assert theirs.embed_scale == 1
    for name in ("list_len", "n_digits", "d_model", "n_layers", "train_fraction", "split_seed"):
        assert getattr(theirs, name) == getattr(ours, name)


def test_an_outcome_is_that_of_training_each_seed_alone(tmp_path):
    outcome = try_recipe("small", SMALL, [0, 4], progress="none")
    alone = train(SMALL.replace(seed=4), progress="none")
    row = outcome.rows[1]
    assert row.seed == 4 and row.train_loss == alone.history.best.train_loss
    held_out = accuracy(alone.model, split_lists(SMALL).held_out)
    assert row.per_token == pytest.approx(held_out.per_token)
    assert row.per_list == pytest.approx(held_out.per_list)
    assert row.breakthrough_step == breakthrough_step(alone.history, SMALL)
    assert outcome.left == 0
    assert outcome.mean_per_token == pytest.approx(sum(r.per_token for r in outcome.rows) / 2)
    write_outcomes([outcome], tmp_path / "plateau.json")
    assert read_outcomes(tmp_path / "plateau.json") == [outcome]
    assert read_outcomes(tmp_path / "absent.json") == []
