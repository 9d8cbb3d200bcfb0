"""The plateau: who leaves it, how aligned a run is when, and that both factors are needed."""

from __future__ import annotations

import pandas as pd
import pytest

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.scaling.dynamics import course_rows
from listcomp_utils.scaling.plateau import (
    LN_2,
    difference_at_sep,
    leaving,
    passages,
    with_recipe,
)
from listcomp_utils.sweeps.table import read_table


def test_runs_that_left_and_those_that_stayed_are_kept_apart():
    table = read_table("plateau")
    theirs = leaving(table).loc["the study's"]
    own = table[table.embed_scale == 1]
    assert (theirs.left, theirs.seeds) == (own.broke_through.sum(), 20)
    assert theirs.stayed == pytest.approx(own[~own.broke_through].per_token.mean())
    assert theirs.stayed < 0.55 < theirs.per_token
    assert pd.isna(leaving(table).stayed["this project's"]), "all of them left"


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
    assert found.passing[[0, 1]].tolist() == [0.7, 0.8] and found.halved[[0, 1]].tolist() == [
        0.9,
        1,
    ]
    assert pd.isna(found.waiting[1]) and pd.isna(found.halved[2])


def test_shipped_courses_are_of_both_recipes():
    found = passages(with_recipe(course_rows(read_table("dynamics"))))
    assert sorted(set(found.index.get_level_values("recipe"))) == ["the study's", "this project's"]
    assert len(found) == 6


def test_either_factor_alone_tells_no_list_from_its_reverse():
    config = Config.preset("study", n_digits=6, d_model=8, device="cpu")
    assert difference_at_sep(config, places=0) < 1e-12
    assert difference_at_sep(config, scores=0) < 1e-12
    assert difference_at_sep(config) > 0.01
    with pytest.raises(ConfigError, match="list_len"):
        difference_at_sep(config.replace(list_len=3))
