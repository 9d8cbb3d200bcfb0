"""The command line: what is wrong is refused in one line, by name, before anything is loaded."""

import json
import subprocess
import sys
import types

import pytest

from listcomp_utils import __main__ as command_line
from listcomp_utils.__main__ import main
from listcomp_utils.config import ConfigError


def refused(arguments, capsys) -> str:
    """The one line on stderr of a call that is refused."""
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "Missing command"),
        (["runn"], "No such command 'runn'"),
        (["run", "--nam", "x"], "No such option"),
        (["run", "-p", "list_len"], "-p takes a name and a value"),
        (["train", "-p", "stepps", "4"], "unknown parameter 'stepps'; did you mean 'steps'"),
        (["train", "-p", "weight_decay", "-1"], "weight_decay must be at least 0"),
        (["train", "-p", "draws", "2"], "unknown parameter 'draws'"),
        (["train", "--jobs", "2"], "No such option"),
        (["sweep", "--jobs", "two"], "'--jobs'"),
    ],
)
def test_wrong_calls_are_refused_in_one_line(arguments, named, capsys):
    assert named in refused(arguments, capsys)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{1: 2}", "must hold 'name: value' lines, got {1: 2}"),
        ("- list_len\n- 3\n", "must hold 'name: value' lines"),
        ("list_len: [", "cannot be read"),
        ("\x00", "cannot be read"),
        ("", "must hold 'name: value' lines, got None"),
        ("list_len: {a: 1}", "list_len must be a whole number"),
        ("seed: 2020-01-01", "seed must be a whole number"),
    ],
)
def test_a_wrong_file_of_parameters_is_refused(text, named, tmp_path, capsys):
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    assert named in refused(["train", "-f", str(file)], capsys)
    assert "cannot be read" in refused(["train", "-f", str(tmp_path)], capsys)
    assert "absent.yaml cannot be read" in refused(["train", "-f", "absent.yaml"], capsys)


def test_the_command_line_wins_over_the_file(tmp_path, capsys):
    file = tmp_path / "given.yaml"
    file.write_text("steps: 4\neval_every: 4\nn_digits: '5'\n")
    more = ["-p", "eval_every", "2", "-p", "device", "cpu", "--out", str(tmp_path)]
    assert main(["train", "-f", str(file), *more]) == 0
    (weights,) = tmp_path.glob("*digits5*.safetensors")
    assert f"saved {weights}" in capsys.readouterr().out
    history = json.loads(weights.with_suffix(".history.json").read_text())
    assert [row["step"] for row in history["evaluations"]] == [0, 2, 4]


def test_train_refuses_a_folder_it_cannot_save_to(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "models"):
        assert "cannot be written" in refused(["train", "--out", str(folder)], capsys)


def test_a_training_that_diverges_is_said_in_one_line(tmp_path, capsys):
    values = dict(lr="1e30", schedule="constant", layer_norm="false", steps="4", eval_every="2")
    given = [word for pair in values.items() for word in ("-p", *pair)]
    assert main(["train", "--out", str(tmp_path), *given]) == 1
    assert capsys.readouterr().err.startswith("error: training diverged")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["parameters"]])
def test_help_comes_without_loading_pytorch(arguments):
    code = (
        "import sys\nfrom listcomp_utils.__main__ import main\n"
        f"assert main({arguments!r}) == 0\n"
        "assert not {'torch', 'transformer_lens'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_parameters_lists_every_field_and_option(capsys):
    from listcomp_utils.notebook.parameters import CONFIG_NAMES, Options

    assert main(["parameters"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert {*CONFIG_NAMES, *Options.model_fields} <= set(lines)
    assert "10" in lines["n_digits"] and "100" in lines["n_digits"], "of both presets"
    assert "'masked'" in lines["decoding"] and ">= 5" in lines["d_sae"]
    assert "06" in lines["d_sae"] and "03" not in lines["d_sae"]


@pytest.fixture
def rooms(monkeypatch):
    """Two rooms with tables, in place of the project's; what was made there."""
    made = []
    for room, names in (("a", ("depth", "width")), ("b", ("features_released",))):
        module = types.SimpleNamespace(
            TABLES=names, make_table=lambda *given, **more: made.append((*given, more)) or "x.json"
        )
        monkeypatch.setitem(sys.modules, room, module)
    monkeypatch.setattr(command_line, "TABLE_ROOMS", ("a", "b"))
    return made


def test_tables_are_made_by_their_rooms(rooms, tmp_path, capsys):
    assert main(["tables", "--jobs", "2", "--out", str(tmp_path)]) == 0
    assert rooms == [("depth", tmp_path, 2, {}), ("width", tmp_path, 2, {})]
    assert main(["tables", "features_released", "--checkpoint", "x.pt"]) == 0
    assert rooms[2][0] == "features_released" and rooms[2][-1] == {"checkpoint": "x.pt"}
    assert "saved x.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["dept"], "unknown table 'dept'; did you mean 'depth'"),
        (["depth", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["depth", "--checkpoint", "x.pt"], "--checkpoint FILE belongs to the table features_r"),
        (["features_released"], "--checkpoint FILE belongs to the table features_released"),
    ],
)
def test_wrong_tables_are_refused_before_any_is_made(arguments, named, rooms, capsys):
    assert named in refused(["tables", *arguments], capsys)
    assert rooms == []


@pytest.mark.parametrize("name", command_line.TABLE_ROOMS)
def test_every_room_with_tables_makes_those_and_refuses_others(name, tmp_path):
    room = command_line.importlib.import_module(name)
    assert room.TABLES
    with pytest.raises(ConfigError, match="'no_table'"):
        room.make_table("no_table", tmp_path, jobs=1)
