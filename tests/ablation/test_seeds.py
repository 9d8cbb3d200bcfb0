"""Figures seed by seed: measured, run through the sweep engine, and those that ship."""

from __future__ import annotations

import pytest

from listcomp_utils.ablation import seeds
from listcomp_utils.ablation.seeds import TABLES, make_table, seed_figures
from listcomp_utils.checkpoints import TrainedModel, load_or_train
from listcomp_utils.config import PRESETS, Config
from listcomp_utils.sweeps.table import read_table


@pytest.mark.parametrize("name", TABLES)
def test_the_table_that_ships_answers_its_preset_and_is_measured_again(name):
    preset = Config.preset(name.removesuffix("_seeds"))
    table = read_table(name)
    assert {**table.attrs["shared"], "seed": 0} == preset.to_dict()
    assert [*table["seed"]] == list(range(seeds.SEEDS))
    measured = seed_figures(load_or_train(preset))
    row = table.iloc[0]
    for figure, value in measured.items():
        # Of the study preset's pairs of lists a sample is run: two differ by chance.
        chance = 0.01 if name == "study_seeds" and figure.startswith("follows") else 0
        assert row[figure] == pytest.approx(value, rel=1e-4, abs=chance), figure


def test_a_table_is_made_and_read(tmp_path, runs, monkeypatch):
    monkeypatch.setitem(PRESETS, "seed", dict(n_digits=3, steps=30, eval_every=10))
    monkeypatch.setattr(seeds, "SEEDS", 2)
    path = make_table("seed_seeds", tmp_path, jobs=1, progress="none")
    assert path == tmp_path / "seed_seeds.json"
    table = read_table("seed_seeds", tmp_path)
    assert [*table["seed"]] == [0, 1] and [*table["n_scored"]] == [9, 9]
    shipped = read_table("seed_seeds").columns
    assert set(shipped) <= set(table.columns), "rebuilt tables have what the notebook reads"
    assert table[["follows_o1", "follows_o2"]].stack().between(0, 1).all()


def test_a_model_without_a_history_is_measured_too(trained, tmp_path):
    found = seed_figures(TrainedModel(trained.model, None, tmp_path, trained_now=False))
    assert found["broke_through"] is None and found["per_list"] == 1.0
