"""The grids of 07_scaling: what they ask, and that shipped tables are theirs and still come out."""

import pandas as pd
import pytest
import torch

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy
from listcomp_utils.scaling.grids import (
    FLAGS,
    PRINTED_FLAGS,
    PRINTED_WIDTHS,
    STUDY_RECIPE,
    TABLES,
    AveragedWeights,
    judging_lists,
    make_table,
    small_grid,
)
from listcomp_utils.scaling.tables import flag_letters
from listcomp_utils.sweeps.table import read_table
from listcomp_utils.task import split_lists
from listcomp_utils.training.loop import train, train_many

TINY = dict(n_digits=5, d_model=8, steps=4, eval_every=2, warmup_steps=1)


@pytest.fixture
def tiny(monkeypatch, runs):
    """A grid of one seed that takes a second, each part of it as in the real one."""

    def make(name, **changes):
        table = TABLES[name]
        cells = [cell | TINY | changes for cell in table.cells if cell["seed"] == 3]
        monkeypatch.setitem(TABLES, name, table._replace(cells=cells))
        return name

    return make


def test_the_grids_ask_what_the_study_left_open():
    cells = pd.DataFrame(TABLES["scaling_table4"].cells)
    assert set(flag_letters(cells)) == set(PRINTED_FLAGS) and len(PRINTED_FLAGS) == 16
    plain = cells[flag_letters(cells) == "F" * len(FLAGS)]
    assert set(plain.d_model) == set(PRINTED_WIDTHS)
    tuned_on = {cell["seed"] for cell in TABLES["scaling_tuning"].cells}
    for name, table in TABLES.items():
        cells = pd.DataFrame(table.cells)
        assert not cells.duplicated().any(), name
        assert name == "scaling_tuning" or not tuned_on & set(cells.seed)


def test_the_authors_recipe_differs_from_the_preset_in_training_only():
    theirs, ours = Config.preset("study", **STUDY_RECIPE), Config.preset("study")
    assert (theirs.lr, theirs.batch_size, theirs.schedule) == (1e-3, 128, "constant")
    assert (theirs.adam_beta2, theirs.weight_decay, theirs.warmup_steps) == (0.999, 0.01, 0)
    assert theirs.embed_scale == 1
    for name in ("list_len", "n_digits", "d_model", "n_layers", "train_fraction", "split_seed"):
        assert getattr(theirs, name) == getattr(ours, name)


def test_a_table_is_made_once_and_has_the_columns_that_ship(tiny, tmp_path):
    path = make_table(tiny("scaling_heads"), tmp_path, jobs=1)
    assert path == tmp_path / "scaling_heads.json"
    table, shipped = read_table("scaling_heads", tmp_path), read_table("scaling_heads")
    assert table.attrs["varied"] == ["n_heads"] and list(table.n_heads) == [1, 2, 4]
    assert set(table) == set(shipped)
    assert table.attrs["shared"]["steps"] == 4 and set(table.attrs) == set(shipped.attrs)
    make_table("scaling_heads", tmp_path / "again", jobs=1)
    assert (tmp_path / "again" / path.name).read_text() == path.read_text(), "not trained twice"


def test_a_recipe_s_table_has_accuracy_on_the_lists_it_is_judged_by(tiny, tmp_path):
    make_table(tiny("scaling_best", n_digits=10), tmp_path, jobs=1)
    table = read_table("scaling_best", tmp_path)
    assert set(table) == set(read_table("scaling_best"))
    assert list(table.scored_on) == ["held-out"]


@pytest.mark.parametrize("name", TABLES)
def test_shipped_tables_answer_their_grids(name):
    table, cells = read_table(name), pd.DataFrame(TABLES[name].cells)
    varied = [*table.attrs["varied"], "seed"]
    made, wanted = (frame[varied].sort_values(varied).values.tolist() for frame in (table, cells))
    assert made == wanted
    for setting, value in table.attrs["shared"].items():
        assert cells[setting].unique().tolist() == [value], setting
    # Fields that are younger than a table have the value that they had before they were there.
    for setting in set(cells) - {*varied, *table.attrs["shared"]}:
        assert cells[setting].unique().tolist() == [Config.model_fields[setting].default], setting


def test_a_shipped_cell_trained_again_ends_where_its_seeds_did():
    seeds = read_table("scaling_digits").query("n_digits == 10 and d_model == 32 and broke_through")
    table = TABLES["scaling_digits"]
    cell = next(c for c in table.cells if (c["n_digits"], c["d_model"], c["seed"]) == (10, 32, 0))
    figures = table.work(cell)
    assert figures["broke_through"] and len(seeds) == 4
    assert figures["scored_on"] == seeds.scored_on.iloc[0]
    # Rounding of floats differs between machines and grows over training: seeds, not digits.
    for name, within in {"per_token": 0.1, "train_per_token": 0.03, "train_loss": 0.05}.items():
        assert seeds[name].min() - within <= figures[name] <= seeds[name].max() + within, name


def test_the_shipped_model_is_the_seed_of_its_tables():
    """The study preset's checkpoint is seed 0 of two tables: three ways to one accuracy."""
    config = Config.preset("study", device="cpu")
    right = accuracy(load_or_train(config).model, judging_lists(config))
    best = read_table("scaling_best").query("seed == 0").iloc[0]
    plateau = read_table("plateau").query("seed == 0 and embed_scale == 10").iloc[0]
    for row in (best, plateau):
        assert row.per_token == pytest.approx(right.per_token, abs=1e-9)
        assert row.per_list == pytest.approx(right.per_list, abs=1e-9)


def test_a_small_grid_runs_here_and_goes_on_where_it_was(tmp_path, monkeypatch):
    config = Config.preset("seed", n_digits=5, d_model=8, warmup_steps=9, device="cpu")
    rows = small_grid(config, layers=2, seeds=2, steps=4, folder=tmp_path)
    assert rows.n_layers.tolist() == [1, 1, 2, 2] and rows.seed.tolist() == [0, 1, 0, 1]
    assert set(rows.steps) == {4} and set(rows.warmup_steps) == {2}
    assert small_grid(config, 2, 2, 4, tmp_path).seconds.tolist() == rows.seconds.tolist()
    failed = rows.assign(error="it failed")
    monkeypatch.setattr("listcomp_utils.scaling.grids.run_sweep", lambda *_, **how: failed)
    with pytest.raises(RuntimeError, match="it failed"):
        small_grid(config, 2, 2, 4, tmp_path)


def small(**changes):
    return Config.preset("study", device="cpu", **{**TINY, "steps": 10, "eval_every": 1, **changes})


def test_a_recipe_is_chosen_on_lists_that_nothing_else_sees():
    inner = small(n_digits=10, train_fraction=0.7)
    whole = split_lists(inner.replace(train_fraction=0.8))
    chosen_on = {tuple(row) for row in judging_lists(inner).tolist()}
    assert len(chosen_on) == 10 and chosen_on <= {tuple(row) for row in whole.train.tolist()}
    assert not chosen_on & {tuple(row) for row in split_lists(inner).train.tolist()}
    assert torch.equal(judging_lists(inner.replace(train_fraction=0.8)), whole.held_out)


def test_averaged_weights_are_the_mean_over_the_last_evaluations():
    config = small(schedule="constant")
    average = AveragedWeights(config)
    (result,) = train_many(config, [config.seed], "none", callback=average)
    states = [
        train(config.replace(steps=steps), progress="none").last_model.W_E for steps in (8, 9, 10)
    ]
    own = average.average.module.tok_embed.weight
    torch.testing.assert_close(own, sum(states) / 3, rtol=1e-4, atol=1e-5)
    figures = average.figures(result)
    assert figures["judged_scored_on"] == "held-out" and 0 <= figures["averaged_per_token"] <= 1
