"""Figures seed by seed: measured, run through the sweep engine, and those that ship."""

from dataclasses import replace

import pandas as pd
import pytest

from listcomp_utils.ablation.seeds import (
    TABLES,
    core_by_seed,
    cost_of_average_attention,
    how_seeds_carry,
    make_table,
    seed_figures,
    trained_seeds,
)
from listcomp_utils.checkpoints import TrainedModel, load_or_train
from listcomp_utils.config import Config
from listcomp_utils.model import make_model
from listcomp_utils.sweeps.grid import trainings
from listcomp_utils.sweeps.table import read_table
from listcomp_utils.task import all_lists


@pytest.mark.parametrize("name", TABLES)
def test_the_table_that_ships_answers_its_preset_and_is_measured_again(name):
    preset = Config.preset(name.removesuffix("_seeds"))
    table = read_table(name)
    assert Config(**table.attrs["shared"]) == preset
    assert [*table["seed"]] == list(range(8))
    measured = seed_figures(load_or_train(preset))
    row = table.iloc[0]
    for figure, value in measured.items():
        # Of the study preset's pairs of lists a sample is run: two differ by chance.
        chance = 0.01 if name == "study_seeds" and figure.startswith("follows") else 0
        assert row[figure] == pytest.approx(value, rel=1e-4, abs=chance), figure


def test_a_table_is_made_and_read(tmp_path, runs, monkeypatch):
    cells = trainings(dict(n_digits=3, steps=30, eval_every=10, seed=range(2)))
    monkeypatch.setitem(TABLES, "seed_seeds", TABLES["seed_seeds"]._replace(cells=cells))
    path = make_table("seed_seeds", tmp_path, jobs=1)
    assert path == tmp_path / "seed_seeds.json"
    table = read_table("seed_seeds", tmp_path)
    assert [*table["seed"]] == [0, 1]
    shipped = read_table("seed_seeds").columns
    assert set(shipped) <= set(table.columns), "rebuilt tables have what the notebook reads"
    assert table[["follows_o1", "follows_o2"]].stack().between(0, 1).all()


def test_a_model_without_a_history_is_measured_too(trained, tmp_path):
    found = seed_figures(TrainedModel(trained.model, None, tmp_path))
    assert found["broke_through"] is None and found["per_token"] == 1.0


def test_seeds_are_trained_where_that_is_quick_and_else_found(tmp_path):
    config = Config(n_digits=3, steps=5, eval_every=5)
    first = load_or_train(config, tmp_path, progress="none")
    slow = replace(first, history=replace(first.history, seconds=1e3))
    assert [*trained_seeds(config, slow, 3, tmp_path)] == [0]
    models = trained_seeds(config, first, 3, tmp_path)
    assert [*models] == [0, 1, 2] and models[0] is first
    again = trained_seeds(config, slow, 3, tmp_path)
    assert [*again] == [0, 1, 2] and not again[2].trained_now


def test_the_core_is_of_the_seeds_that_copy_every_list(trained):
    untrained = replace(trained, model=make_model(trained.config))
    table = core_by_seed({0: trained, 1: untrained}, all_lists(trained.config)[::5])
    assert [*table.index] == [0] and len(table.columns) == 1 + 13
    assert table.loc[0, "L1 SEP<-d1"] and not table.loc[0, "L1 o1<-o1"]
    assert table.loc[0].drop("edges").sum() <= table.loc[0, "edges"]
    assert core_by_seed({}, all_lists(trained.config)).empty


def test_average_attention_costs_only_where_attention_follows_the_digits(trained):
    # The ten-digit model needs no more than the mean; the hundred-digit model weighs digits.
    lost = cost_of_average_attention({0: trained}, all_lists(trained.config))
    assert [*lost.index] == [0] and lost[0] == 0.0
    study = Config.preset("study")
    lost = cost_of_average_attention({3: load_or_train(study)}, all_lists(study)[::20])
    assert lost[3] > 20


def test_seeds_are_counted_as_routing_composing_or_neither():
    follows = {"follows_o1": [0.0, 0.9, 0.3, 0.0], "follows_o2": [1.0, 0.8, 0.6, 0.0]}
    rows = pd.DataFrame({"model": "a", "broke_through": [True, True, True, False], **follows})
    none = rows.tail(1).assign(model="b")
    table = how_seeds_carry(pd.concat([rows, none]))
    assert [*table.iloc[0]] == ["a", 4, 3, pytest.approx(1 / 3), pytest.approx(1 / 3), 0.0, 0.8]
    assert [*table.iloc[1]][:3] == ["b", 1, 0] and table.iloc[1, 3:].isna().all()
