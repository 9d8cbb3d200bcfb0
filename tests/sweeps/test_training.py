"""Trainings in a sweep: the figures are those of the training, and nothing overwrites them."""

import pytest

from listcomp_utils.checkpoints import find_trained
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.generation import accuracy
from listcomp_utils.sweeps.engine import run_grid
from listcomp_utils.sweeps.grid import config_cells
from listcomp_utils.sweeps.training import TrainCell, run_sweep
from listcomp_utils.training.loop import train

TINY = dict(steps=4, eval_every=2, n_digits=3, d_model=4, batch_size=9)


def quiet(folder, work=None, **values):
    cells = config_cells({"seed": [2]}, {**TINY, **values})
    return run_grid(cells, work or TrainCell(), folder, jobs=1, progress="none").iloc[0]


def test_the_figures_are_those_of_the_training(tmp_path):
    row = quiet(tmp_path / "all")
    trained = train(Config(**TINY, seed=2), progress="none")
    assert row["per_token"] == accuracy(trained.model).per_token
    assert row["train_loss"] == trained.history.best.train_loss
    assert (row["scored_on"], row["n_scored"]) == ("all", 9)
    assert quiet(tmp_path / "part", train_fraction=0.7)["scored_on"] == "held-out"


def test_own_figures_kept_models_and_what_was_observed(tmp_path):
    class Steps:
        def __init__(self, config):
            self.seen = []

        def __call__(self, seed, step, model):
            self.seen.append([seed, step, model.training])

        def figures(self, trained):
            return {"seen": self.seen}

    def measure(model):
        return {"width": model.cfg.d_model}

    row = quiet(tmp_path / "x", TrainCell(measure, tmp_path / "models", Steps))
    assert row["width"] == 4
    assert [seen[:2] for seen in row["seen"]] == [[2, 0], [2, 2], [2, 4]]
    assert find_trained(Config(**TINY, seed=2), tmp_path / "models") is not None
    with pytest.raises(ConfigError, match="holds trainings with .*measure with .*Steps, not"):
        quiet(tmp_path / "x", TrainCell(measure))


@pytest.mark.parametrize("name", ["per_token", "train_loss", "lr", "status"])
def test_a_measure_overwrites_nothing(tmp_path, name):
    row = quiet(tmp_path, TrainCell(lambda _: {name: 1}))
    assert row["status"] == "failed" and row["lr"] == 0.01
    assert row["error"].startswith("ValueError: figures under names") and name in row["error"]


def test_a_training_that_diverges_fails(tmp_path):
    assert "training diverged" in quiet(tmp_path, lr=1e30)["error"]


def test_run_sweep_is_the_grid_in_one_call(tmp_path):
    how = dict(jobs=1, progress="none")
    frame = run_sweep({"seed": range(2)}, Config(**TINY), tmp_path / "x", **how)
    assert list(frame["seed"]) == [0, 1] and set(frame["status"]) == {"done"}


def test_a_folder_for_models_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="models .*file/z' cannot be written"):
        TrainCell(models=tmp_path / "file" / "z")
