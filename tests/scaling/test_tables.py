"""Tables over seeds: runs that left the plateau and those that stayed are kept apart."""

import numpy as np
import pandas as pd
import pytest

from listcomp_utils.scaling import tables
from listcomp_utils.scaling.tables import flag_letters, nearness_to_counts, over_seeds, recipe_words
from listcomp_utils.sweeps.table import read_table


@pytest.fixture
def table():
    """Two settings of five seeds: three of the first left the plateau, none of the second."""
    rows = [
        {
            "n_heads": heads,
            "seed": seed,
            "broke_through": left,
            "per_token": 0.9 + seed / 100 if left else 0.5,
            "per_list": 0.96,
            "alignment": None,
        }
        for heads in (4, 1)
        for seed in range(5)
        for left in [heads == 4 and seed < 3]
    ]
    table = pd.DataFrame(rows)
    table.attrs = {"varied": ["n_heads"]}
    return table


def test_runs_that_stayed_are_counted_apart(table):
    first, second = over_seeds(table).to_dict("records")
    assert (first["n_heads"], first["left"], first["seeds"], first["copying"]) == (4, 3, 5, 5)
    assert first["per_token"] == pytest.approx(0.91)
    assert (first["per_token_min"], first["per_token_max"]) == (0.9, 0.92)
    assert first["all_per_token"] == pytest.approx((0.9 + 0.91 + 0.92 + 0.5 + 0.5) / 5)
    assert (first["all_per_token_min"], first["all_per_token_max"]) == (0.5, 0.92)
    assert (second["n_heads"], second["left"], second["all_per_token"]) == (1, 0, 0.5)
    assert np.isnan(second["per_token"])


def test_a_table_of_one_setting_is_one_row():
    (row,) = over_seeds(read_table("scaling_best")).to_dict("records")
    assert row["seeds"] == 10 and row["left"] == 10 and 0.92 < row["per_token"] < 0.93


def test_runs_that_left_and_those_that_stayed_are_kept_apart():
    table = read_table("plateau")
    rows, own = tables.leaving(table), table[table.embed_scale == 1]
    theirs = rows.loc["the study's"]
    assert (theirs.left, theirs.seeds) == (own.broke_through.sum(), 20)
    assert theirs.stayed == pytest.approx(own[~own.broke_through].per_token.mean())
    assert theirs.stayed < 0.55 < theirs.per_token
    assert pd.isna(rows.stayed["this project's"]), "all of them left"


def test_words_say_how_a_table_was_trained():
    words = recipe_words(read_table("scaling_heads"))
    assert words.startswith("2,500 steps, batch 512, lr 0.005, 5 seeds a cell, 15 runs in 2 min")
    assert "batch" not in recipe_words(read_table("scaling_tuning")), "it differs between rows"
    assert "20 seeds a cell, 40 runs in 42 min" in recipe_words(read_table("plateau"))


def test_flags_are_written_as_the_study_does():
    rows = pd.DataFrame({"layer_norm": [True, False], "bias": [False, False]})
    rows = rows.assign(learn_w_v=True, learn_w_o=False)
    assert flag_letters(rows).tolist() == ["TFTF", "FFTF"]


def test_the_least_depth_is_where_most_seeds_copy():
    runs = [(2, 3, 5), (2, 2, 2), (3, 2, 0), (3, 3, 2), (2, 4, 1), (4, 2, 0)]
    rows = [(*size, seed, True, float(seed < n)) for *size, n in runs for seed in range(5)]
    table = pd.DataFrame(
        rows, columns=["list_len", "n_layers", "seed", "broke_through", "per_list"]
    )
    table.attrs = {"varied": ["list_len", "n_layers"]}
    found = tables.least_depths(table)
    assert found.most.to_dict() == {2: 3, 3: "none", 4: "none"}
    assert found.one.to_dict() == {2: 2, 3: 3, 4: "none"}


def test_the_studys_table_is_held_beside_all_of_its_variants():
    rows = tables.beside_printed(read_table("scaling_table4")).set_index("letters")
    assert len(rows) == 16 and (rows.seeds == 5).all() and rows.printed.is_monotonic_increasing
    assert rows.parts["FFFF"] == "none" and rows.parts["TFTF"] == "LayerNorm, W_V"
    assert rows.kind["FTFT"] == "without LayerNorm, W_O learned"


def test_two_starts_are_compared_at_one_width_with_the_best_depth_tried():
    depth, ranked = read_table("scaling_depth"), read_table("ranked")
    rows = tables.by_start(depth, ranked).set_index(["trained", "list_len", "n_digits"])
    best = rows.loc[[("usual start, best depth tried", 2, 30)]].iloc[0]
    assert best.n_layers == 4 and best.per_list == 1.0
    own = ranked[(ranked.list_len == 3) & (ranked.n_digits == 100) & (ranked.d_model == 64)]
    found = rows.loc[[("ranked start, two layers", 3, 100)]].iloc[0]
    assert found.seeds == len(own) and found.per_list_min == own.per_list.min()
    three = rows.loc[[("usual start, best depth tried", 3, 30)]].iloc[0]
    assert found.copying == 1 and three.copying == 0.6 and three.per_list < tables.ENOUGH


def test_by_share_has_no_held_out_lists_where_all_are_trained_on():
    rows = tables.by_share(read_table("scaling_fraction"))
    whole = rows[rows.train_fraction == 1]
    assert whole.lists.tolist() == ["training lists"] and len(rows) == 7
    assert (rows.right_min <= rows.right).all() and (rows.right <= rows.right_max).all()


def test_a_recipe_is_told_by_what_it_changes():
    assert tables.changes_of({"lr": 0.1, "batch_size": 256}) == "batch_size 256, lr 0.1"
    assert tables.changes_of(read_table("scaling_best").attrs["shared"]) == "the preset's"


def test_the_record_has_every_grid_in_words():
    frames = tables.record()
    assert all(len(frame) for frame in frames.values())
    names = {name for frame in frames.values() for name in frame}
    assert not [name for name in names if "_" in name.replace("W_", "")]


def test_means_of_runs_at_two_levels_are_nearer_than_chance():
    levels = np.linspace(0.5, 0.92, 4)
    made = nearness_to_counts(list(levels) * 4, 0.5, 0.92)
    assert made.levels == pytest.approx(tuple(levels)) and made.distance < 1e-12
    assert made.p_value == 0 and made.by_chance == pytest.approx(0.42 / 3 / 4, rel=0.05)
    between = nearness_to_counts(list(levels[:-1] + 0.07) * 4, 0.5, 0.92)
    assert between.p_value > 0.99


def test_the_studys_means_are_nearer_to_counts_of_three_runs_than_of_others():
    table = read_table("scaling_table4")
    found = tables.clumps(table)
    stayed = table[(table.d_model == 64) & ~table.broke_through].per_token
    assert found.levels[0] == pytest.approx(stayed.mean()) and found.levels[-1] == 0.9215
    assert len(found.table) == 8 and found.three < 0.01 < found.others
    runs = tables.printed_and_runs(table)["here, each seed"]
    assert len(runs) == 80 and {*runs.index} == {*tables.beside_printed(table).parts}
