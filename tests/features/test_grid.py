"""The tables of SAEs: their rows, that they are those of the grid, and that making them is safe.

The follow-up's figures stand beside ours.
"""

import functools

import pytest

from listcomp_utils.checkpoints import CheckpointError
from listcomp_utils.config import ConfigError
from listcomp_utils.features import grid
from listcomp_utils.features.expected import HIGHEST, LOWEST, REPORTED, beside_follow_up
from listcomp_utils.features.grid import (
    TABLES,
    make_table,
    score_sae,
    shipped_tables,
    tables_of,
    two_active,
    with_size,
)
from listcomp_utils.features.sae import SAEConfig, train_sae
from listcomp_utils.features.sae_files import load_sae
from listcomp_utils.features.separator import codes_by_hand, separator_of
from listcomp_utils.model import make_model
from listcomp_utils.sweeps.table import read_table


def test_figures_of_an_sae(separator):
    sae, _ = train_sae(separator.vectors, SAEConfig(d_sae=128, k=3, steps=150))
    row = score_sae(separator, sae)
    assert 0 < row["explained"] < 1 and 2 < row["l0"] < 4 and row["dead"] < 128
    assert row["held_out_per_list"] <= row["held_out_per_token"]


@pytest.mark.parametrize("name", TABLES)
def test_shipped_tables_are_those_of_the_grid(name):
    """A change of the grid, or of SAEConfig's defaults, asks for the tables to be made anew."""
    model = read_table(name).attrs["shared"]["model"]
    for table, (_, cells, *_) in tables_of(name, model, None).items():
        frame = read_table(table)
        settings = frame.assign(**frame.attrs["shared"])[list(cells[0])].to_dict("records")
        assert settings == [*cells]
        assert frame.drop(columns="seconds").notna().all(axis=None)


def test_a_model_has_its_own_tables(separator):
    found = shipped_tables(separator)
    assert found[0].equals(read_table("features")) and len(found[1]) == 20
    others = shipped_tables(separator_of(make_model(separator.config)))
    assert [len(frame) for frame in others] == [0, 0] and "per_token" in others[0]


def test_a_width_without_a_row_is_trained_for_each_k(separator, small, tmp_path):
    shipped, _ = shipped_tables(separator)
    assert with_size(separator, shipped, SAEConfig(d_sae=128, k=3)) is shipped
    few = with_size(small, shipped[:0], SAEConfig(d_sae=5, k=3, steps=5), tmp_path)
    assert few.k.tolist() == [1, 2, 3, 4, 5] and few.per_token.notna().all()
    assert with_size(small, few, SAEConfig(d_sae=5, k=1, steps=5), tmp_path) is few
    more = with_size(small, few[few.k < 3], SAEConfig(d_sae=5, k=1, steps=5), tmp_path)
    assert more.k.tolist() == few.k.tolist() and more.per_token.notna().all()
    two = two_active(few, codes_by_hand(small, 5, [1]))
    assert two["outputs right"].iloc[0] == few.per_token[1] and len(two) == 3


@pytest.fixture
def tiny(small, runs, monkeypatch):
    """The grid on a small model, with few and short trainings."""
    shipped = tuple(SAEConfig(d_sae=12, k=3, steps=20, seed=seed) for seed in (0, 1))
    planted = ({"n_digits": 6, "d_model": 12, "share": 1.0, "steps": 20, "seed": 0},)
    sizes = dict(KS=(2, 3), WIDTHS=(8, 12), SEEDS=(0, 1), FOLLOW_UP=((1, 5),), LONG=((2, 12),))
    sizes |= dict(LONG_STEPS=40, SHIPPED=shipped, PLANTED=planted)
    sizes |= dict(SAEConfig=functools.partial(SAEConfig, steps=20))
    for name, value in sizes.items():
        monkeypatch.setattr(grid, name, value)
    monkeypatch.setattr(grid, "study_separator", lambda checkpoint=None: small)


def test_making_tables_resumes_and_deletes_nothing(tiny, tmp_path, monkeypatch):
    out = tmp_path / "named by the user"
    out.mkdir()
    kept = out / "sae-k9-mine.safetensors"
    kept.write_text("mine")
    calls = []
    train = grid.train_sae
    monkeypatch.setattr(grid, "train_sae", lambda *args: calls.append(args) or train(*args))
    assert make_table("features", out, jobs=1) == out / "features.json"
    assert len(calls) == 12 and kept.read_text() == "mine"
    table, stable = read_table("features", out), read_table("features_stability", out)
    assert [len(table), len(stable), len(read_table("features_recovery", out))] == [12, 4, 1]
    assert sorted(table.steps.unique()) == [20, 40] and table.attrs["shared"]["lr"] == 5e-3
    saes = [load_sae(path) for path in out.glob("sae-*.safetensors") if path != kept]
    assert sorted((sae.d_sae, sae.k, sae.config.seed) for sae in saes) == [(12, 3, 0), (12, 3, 1)]
    make_table("features", out, jobs=1)
    assert len(calls) == 12


def test_a_failed_training_leaves_the_folder_as_it_was(tiny, tmp_path, monkeypatch):
    kept = tmp_path / "sae-k3-latents12-seed0-old.safetensors"
    kept.write_text("mine")

    def fail(*args):
        raise RuntimeError("no memory")

    monkeypatch.setattr(grid, "train_sae", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        make_table("features", tmp_path, jobs=1)
    assert [path.name for path in tmp_path.glob("*.*")] == [kept.name]


@pytest.mark.parametrize(
    "name, checkpoint, message",
    [
        ("features", "released.pt", "table features takes no checkpoint, got checkpoint 'rel"),
        ("features_released", None, "table features_released needs a checkpoint"),
        ("features_released", "absent.pt", "there is no checkpoint at 'absent.pt'"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, name, checkpoint, message):
    with pytest.raises((ConfigError, CheckpointError), match=message):
        make_table(name, tmp_path, jobs=1, checkpoint=checkpoint)


def test_ours_are_those_of_the_same_k_and_width():
    ours = read_table("features_released")
    table = beside_follow_up({"ours": ours, "none": ours[:0]})
    assert len(table) == len(REPORTED) and table["ours, none: number"].eq(0).all()
    row = table.iloc[-1]
    same = ours[(ours.k == 5) & (ours.d_sae == 512)].per_token
    assert row["ours, ours: best"] == same.max() and row["ours, ours: number"] == len(same) == 3
    assert table["ours, ours: number"][1] > 3  # any width where none is printed


def test_a_claim_is_named_once():
    names = [name for name, *_ in (*LOWEST, *HIGHEST)]
    assert len(set(names)) == len(names)
