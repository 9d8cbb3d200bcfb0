"""What a run refuses before any kernel starts, by name."""

import nbclient
import pytest

from listcomp_utils.__main__ import main
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.series.checks import check_parameters, select_notebooks, with_whole_paths

(REPRESENTATION,) = select_notebooks(["04"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-p", "list_len", "two"], "list_len must be a whole number, got 'two'"),
        (["-p", "list_len", "0"], "list_len must be at least 1, got"),
        (["-p", "n_digit", "5"], "unknown parameter 'n_digit'; did you mean 'n_digits'"),
        (["-p", "decoding", "beam"], "decoding must be one of"),
        (["-p", "device", "cuda:99"], "device 'cuda:99' is not available here"),
        (["-p", "device", "tpu"], "device must be 'auto', 'cpu', 'cuda'"),
        (["-p", "checkpoint", "absent.pt"], "there is no checkpoint at 'absent.pt'"),
        (["-p", "checkpoint", "pyproject.toml"], "must end in .safetensors or .pt"),
        (["-p", "sample_list", "[8, 33]"], "sample_list must be 2 digits from 0 to 9"),
        (["-p", "sample_list", "[8]", "--only", "02"], "sample_list must be 2 digits"),
        (["-p", "draws", "0"], "draws must be at least 1"),
        (["-p", "n_seeds", "0"], "n_seeds must be at least 1"),
        (["-p", "permutations", "x"], "permutations must be a whole number"),
        (["-p", "random_directions", "0"], "random_directions must be at least 1"),
        (["-p", "k", "200"], "k must be at most d_sae 128, got 200"),
        (["-p", "d_sae", "4"], "d_sae must be at least 5"),
        (["-p", "steer_lists", "1"], "steer_lists must be at least 10"),
        (["-p", "sae_file", "absent.safetensors"], "sae_file: there is no file"),
        (["-p", "live_steps", "0"], "live_steps must be at least 1"),
        (["-p", "drive_dir", "models"], "drive_dir is for Colab only"),
        (["-p", "artifacts_dir", "pyproject.toml"], "cannot be written"),
        (["-p", "draws", "5", "--only", "02"], "unknown parameter 'draws'"),
        (["--only", "99"], "--only must start a notebook's name"),
        (["--only", ""], "--only must start a notebook's name"),
        (["--name", "../up"], "name must be letters"),
        (["--name", ""], "name must be letters"),
    ],
)
def test_wrong_calls_fail_before_anything_runs(arguments, named, runs, capsys, monkeypatch):
    monkeypatch.setattr(nbclient, "NotebookClient", lambda *_, **__: pytest.fail("ran"))
    assert main(["run", *arguments]) == 2
    assert named in capsys.readouterr().err
    assert not runs.exists()


def test_a_checkpoint_is_opened_and_held_against_the_config(tmp_path, trained):
    from listcomp_utils.checkpoints import save_model

    good = save_model(trained.model, tmp_path / "good.safetensors")
    check_parameters(REPRESENTATION, {"checkpoint": str(good)})
    with pytest.raises(ConfigError, match="checkpoint of 04_representation: .* n_digits"):
        check_parameters(REPRESENTATION, {"checkpoint": str(good), "n_digits": 5})
    good.write_bytes(good.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="damaged"):
        check_parameters(REPRESENTATION, {"checkpoint": str(good)})


def test_a_notebook_is_checked_as_it_will_read_its_parameters():
    config, options = check_parameters(REPRESENTATION, {"n_heads": "2", "permutations": "7"})
    assert config == Config(n_heads=2)
    assert (options.permutations, options.probe_lists) == (7, 3000), "its own defaults too"


def test_paths_mean_the_same_in_the_notebooks_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = dict(checkpoint="a.pt", artifacts_dir=None, list_len="3")
    assert with_whole_paths(given) == {**given, "checkpoint": str(tmp_path / "a.pt")}


def test_an_unwritable_runs_folder_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LISTCOMP_RUNS", str(tmp_path / "file" / "runs"))
    assert main(["run"]) == 2
    assert "cannot be written" in capsys.readouterr().err
