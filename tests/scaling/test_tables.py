"""The grids of 07_scaling: their cells, tables, counts of runs, and what order figures say."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from listcomp_utils.__main__ import main
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.generation import accuracy, generate
from listcomp_utils.model import make_model, make_native_model
from listcomp_utils.scaling.averaging import judging_lists, measure_recipe, train_averaged
from listcomp_utils.scaling.grids import (
    GRIDS,
    PRINTED_FLAGS,
    PRINTED_WIDTHS,
    check_grid,
    grid_cells,
)
from listcomp_utils.scaling.order_by_head import fair_share, measure_order, order_figures
from listcomp_utils.scaling.tables import (
    flag_letters,
    least_depth,
    make_table,
    nearness_to_counts,
    read_table,
    recipe_words,
    summary,
    write_table,
)
from listcomp_utils.task import all_lists, split_lists
from listcomp_utils.training.lean_forward import LeanForward
from listcomp_utils.training.loop import train

TINY = dict(n_digits=5, d_model=8, steps=4, eval_every=2, warmup_steps=1)


def study(**changes):
    return Config.preset("study", device="cpu", **{**TINY, **changes})


@pytest.fixture
def tiny(monkeypatch):
    """A grid that takes a second; each part of it as in the real ones."""

    def make(name="heads", **changes):
        grid = GRIDS[name]
        parts = tuple((values, {**shared, **TINY, **changes}) for values, shared in grid.parts)
        parts = tuple(
            ({k: v for k, v in values.items() if k not in TINY}, shared) for values, shared in parts
        )
        monkeypatch.setitem(GRIDS, name, dataclasses.replace(grid, parts=parts))
        return name

    return make


def test_the_grids_ask_what_the_study_left_open():
    flags = {flag_letters(cell.settings) for cell in grid_cells(GRIDS["table4"])}
    assert flags == set(PRINTED_FLAGS) and len(flags) == 16
    widths = {
        c.settings["d_model"]
        for c in grid_cells(GRIDS["table4"])
        if flag_letters(c.settings) == "FFFF"
    }
    assert widths == set(PRINTED_WIDTHS)
    for name, grid in GRIDS.items():
        cells = grid_cells(grid)
        assert len({cell.key for cell in cells}) == len(cells), name
        seeds = {cell.settings["seed"] for cell in cells}
        assert seeds == set(grid.seeds) and (len(seeds) >= 5 or name == "tuning")
    tuning_seeds = set(GRIDS["tuning"].seeds)
    assert not tuning_seeds & {s for name, g in GRIDS.items() if name != "tuning" for s in g.seeds}


def test_a_table_is_made_kept_and_read_back(tiny, tmp_path):
    name = tiny("heads")
    table = make_table(name, folder=tmp_path / "runs", progress="none")
    assert table.varied == ("n_heads",) and len(table.rows) == 15
    assert table.shared["steps"] == 4 and "n_heads" not in table.shared
    path = write_table(table, tmp_path)
    assert read_table(name, tmp_path) == table and json.loads(path.read_text())["made"]
    again = make_table(name, folder=tmp_path / "runs", progress="none")
    assert again == table, "nothing is trained twice"
    rows = summary(table)
    assert [row["n_heads"] for row in rows] == [1, 2, 4]
    assert all(row["seeds"] == 5 and 0 <= row["mean_attention_spread"] <= 0.5 for row in rows)
    assert "4 steps" in recipe_words(table) and "5 seeds a cell" in recipe_words(table)
    assert read_table("depth", tmp_path) is None


def test_the_command_writes_the_tables_asked_for(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LISTCOMP_RUNS", str(tmp_path / "runs"))
    tiny("heads")
    command = ["scaling", "--only", "heads", "--jobs", "1", "--out", str(tmp_path)]
    assert main(command) == 0
    assert "scaling_heads.json" in capsys.readouterr().out
    assert [path.name for path in tmp_path.glob("*.json")] == ["scaling_heads.json"]
    assert main(["scaling", "--only", "nonsense"]) != 0
    assert "nonsense" in capsys.readouterr().err


def test_an_unknown_grid_is_named():
    with pytest.raises(ConfigError, match="unknown grid 'dept'; did you mean 'depth'"):
        check_grid("dept")


def test_a_summary_keeps_runs_that_stayed_apart(tiny, tmp_path):
    table = make_table(tiny("heads"), folder=tmp_path, progress="none")
    rows = []
    for number, row in enumerate(table.rows):
        through = number % 5 < 3
        accuracy_here = 0.9 + number % 5 / 100 if through else 0.5
        rows.append({**row, "broke_through": through, "per_token": accuracy_here, "per_list": 0.96})
    (first, *_) = summary(dataclasses.replace(table, rows=tuple(rows)))
    assert (first["left"], first["seeds"], first["copying"]) == (3, 5, 5)
    assert first["per_token"] == pytest.approx(0.91)
    assert first["mean_per_token"] == pytest.approx((0.9 + 0.91 + 0.92 + 0.5 + 0.5) / 5)
    assert (first["per_token_min"], first["per_token_max"]) == (0.9, 0.92)


def test_the_least_depth_is_where_most_seeds_copy():
    def row(length, layers, copying):
        return {"list_len": length, "n_layers": layers, "copying": copying, "seeds": 5}

    rows = [row(2, 3, 5), row(2, 2, 2), row(3, 2, 0), row(3, 3, 2), row(2, 4, 1)]
    assert least_depth(rows) == {2: 3, 3: None}
    assert least_depth(rows, share=0) == {2: 2, 3: 3}


def test_means_of_runs_at_two_levels_are_nearer_than_chance():
    levels = np.linspace(0.5, 0.92, 4)
    made = nearness_to_counts(list(levels) * 4, 0.5, 0.92, runs=3)
    assert made.levels == pytest.approx(tuple(levels)) and made.distance < 1e-12
    assert made.p_value == 0 and made.by_chance == pytest.approx(0.42 / 3 / 4, rel=0.05)
    between = nearness_to_counts(list(levels[:-1] + 0.07) * 4, 0.5, 0.92, runs=3)
    assert between.p_value > 0.99


@pytest.mark.parametrize("positions", ["rotary", "none"])
@pytest.mark.parametrize("flags", [dict(), dict(learn_w_v=True, learn_w_o=True, bias=True)])
def test_without_places_at_most_one_order_of_a_pair_is_right(positions, flags):
    # Trained on one order of each pair, which can be learned: the other must then be lost.
    config = study(n_digits=8, d_model=32, embed_scale=1, positions=positions, **flags)
    model = make_native_model(config)
    lists = all_lists(config)
    rising = lists[lists[:, 0] < lists[:, 1]]
    forward, weights = LeanForward(config, model), dict(model.named_parameters())
    optimizer = torch.optim.AdamW((w for w in weights.values() if w.requires_grad), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(forward(weights, rising).flatten(0, 1), rising.flatten()).backward()
        optimizer.step()
    right = (generate(model, rising) == rising).all(1)
    turned = (generate(model, rising.flip(1)) == rising.flip(1)).all(1)
    assert right.double().mean() > 0.2, "it has learned, so that the rule is put to the test"
    assert not (right & turned).any()
    score = accuracy(model)
    assert score.per_token <= fair_share(8)[0] and score.per_list <= fair_share(8)[1]


def test_with_learned_positions_both_orders_can_be_right_and_positions_carry_it():
    config = Config.preset(
        "study", device="cpu", n_digits=20, train_fraction=1.0, steps=1500, warmup_steps=500
    )
    figures = measure_order(train(config, progress="none"))
    assert figures["both_right"] > 0.5 and figures["alignment"] > 0.8
    assert figures["position_weights_reverse"] > 0.5 > figures["content_weights_reverse"]
    assert figures["both_weights_reverse"] <= 1


def test_without_positions_the_separator_is_the_same_for_both_orders():
    figures = order_figures(make_model(study(positions="none")))
    assert figures["order_distance"] < 1e-5 and figures["alignment"] is None
    with pytest.raises(ConfigError, match="layer_norm"):
        order_figures(make_model(study(layer_norm=True)))


def test_a_recipe_is_chosen_on_lists_that_nothing_else_sees():
    inner = study(n_digits=10, train_fraction=0.7)
    whole = split_lists(inner.replace(train_fraction=0.8))
    chosen_on = {tuple(row) for row in judging_lists(inner).tolist()}
    assert len(chosen_on) == 10 and chosen_on <= {tuple(row) for row in whole.train.tolist()}
    assert not chosen_on & {tuple(row) for row in split_lists(inner).train.tolist()}
    assert torch.equal(judging_lists(inner.replace(train_fraction=0.8)), whole.held_out)


def test_averaged_weights_are_the_mean_over_the_last_evaluations():
    config = study(steps=10, eval_every=1, warmup_steps=1, schedule="constant")
    (result,) = train_averaged([config])
    expected = [
        train(config.replace(steps=steps), progress="none").last_model.W_E for steps in (8, 9, 10)
    ]
    torch.testing.assert_close(result.averaged.W_E, sum(expected) / 3, rtol=1e-4, atol=1e-5)
    figures = measure_recipe(result)
    assert figures["judged_on"] == "held-out" and 0 <= figures["averaged_per_token"] <= 1


@pytest.mark.parametrize("name", sorted(GRIDS))
def test_shipped_tables_answer_their_grids(name):
    table = read_table(name)
    if table is None:
        pytest.skip("not made yet")
    varied = [*table.varied, "seed"]
    made = {json.dumps([row[field] for field in varied]) for row in table.rows}
    wanted = {json.dumps([c.settings[field] for field in varied]) for c in grid_cells(GRIDS[name])}
    assert made == wanted
    for cell in grid_cells(GRIDS[name]):
        assert all(table.shared[k] == v for k, v in cell.settings.items() if k not in varied)
