"""The command line: wrong calls fail early, a run leaves notebooks, a report and its claims."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from listcomp_utils.__main__ import main
from listcomp_utils.series.readme import END, START, write_results
from listcomp_utils.series.run import series_dir

FIRST = series_dir() / "01_train.ipynb"
QUICK = ["-p", "steps", "20", "-p", "eval_every", "10", "--only", "01"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-p", "list_len", "two"], "list_len must be a whole number, got 'two'"),
        (["-p", "list_len", "0"], "list_len must be at least 1, got 0"),
        (["-p", "n_digit", "5"], "unknown parameter 'n_digit'; did you mean 'n_digits'"),
        (["-p", "decoding", "beam"], "decoding must be one of"),
        (["-p", "retrain", "perhaps"], "retrain must be true or false, got 'perhaps'"),
        (["--only", "99"], "--only must start a notebook's name"),
        (["--name", "../up"], "name must be letters"),
        (["-f", "absent.yaml"], "absent.yaml cannot be read"),
    ],
)
def test_wrong_calls_fail_before_anything_runs(arguments, named, runs, capsys, monkeypatch):
    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **__: pytest.fail("ran"))
    assert main(["run", *arguments]) == 2
    assert named in capsys.readouterr().err
    assert not runs.exists()


def test_an_unwritable_runs_folder_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LISTCOMP_RUNS", str(tmp_path / "file" / "runs"))
    assert main(["run"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_train_command_saves_model_and_history(tmp_path, capsys):
    assert main(["train", "-p", "steps", "4", "-p", "eval_every", "2", "--out", str(tmp_path)]) == 0
    (weights,) = tmp_path.glob("*.safetensors")
    history = json.loads(weights.with_suffix(".history.json").read_text())
    assert [row["step"] for row in history["evaluations"]] == [0, 2, 4]
    assert main(["train", "-p", "stepps", "4"]) == 2
    assert "did you mean 'steps'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One quick run with a parameter file, and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "parameters.yaml").write_text("n_digits: 5\nlist_len: '3'\n")
    saved = os.environ.get("LISTCOMP_RUNS")
    os.environ["LISTCOMP_RUNS"] = str(folder / "runs")
    try:
        status = main(["run", *QUICK, "--name", "quick", "-f", str(folder / "parameters.yaml")])
    finally:
        os.environ.pop("LISTCOMP_RUNS")
        if saved is not None:
            os.environ["LISTCOMP_RUNS"] = saved
    assert status == 0
    return folder / "runs" / "quick"


def test_a_run_leaves_executed_notebooks_and_no_other_folder(finished):
    notebook = nbformat.read(finished / "01_train.ipynb", as_version=4)
    text = json.dumps(notebook)
    assert "125 different lists" in text
    names = {path.name for path in finished.parent.iterdir()}
    assert names == {"quick", "checkpoints"}


def test_the_report_reads_offline(finished):
    pages = [finished / "index.html", finished / "01_train.html"]
    for page in pages:
        text = page.read_text()
        loads = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?:[^"]+)"', text)
        assert [url for url in loads if "colab-badge" not in url] == []
        for target in re.findall(r'href="(?!https?:|#)([^"]+)"', text):
            assert (finished / target).is_file(), target
    index = pages[0].read_text()
    assert "Can a tiny transformer copy a list" in index and "Answer" in index
    assert "n_digits = 5" in index and '<img src="data:image/png' in index
    assert (finished / "figures" / "plotly.min.js").is_file()
    assert 'alt="Left, the training loss' in pages[1].read_text()


def test_claims_of_a_run_become_the_readme_table(finished, tmp_path):
    record = json.loads((finished / "claims.json").read_text())
    claims = {claim["name"]: claim for claim in record["claims"]["01_train"]}
    assert claims["attention of an output to a digit, largest"]["holds"] is True
    assert claims["lists right, all or the sample"]["holds"] is None, "not at other parameters"
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    write_results(readme, finished / "claims.json")
    text = readme.read_text()
    assert "<summary>01_train: " in text and "\n| numbers trained |" in text
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    readme.write_text("no markers")
    with pytest.raises(ValueError, match="lacks the markers"):
        write_results(readme, finished / "claims.json")


def test_a_failing_notebook_is_kept_and_told(runs, capsys, monkeypatch):
    monkeypatch.setenv("LISTCOMP_PACKAGE", "unused")
    blocked = runs.parent / "file"
    blocked.write_text("in the way")
    status = main(["run", *QUICK, "-p", "artifacts_dir", str(blocked / "x"), "--name", "bad"])
    printed = capsys.readouterr().out
    assert status == 1
    assert "FAILED ConfigError: artifacts_dir" in printed
    kept = runs / "bad" / "01_train.ipynb"
    assert str(kept) in printed and kept.is_file()
    assert "This notebook failed" in (runs / "bad" / "index.html").read_text()


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        (dict(list_len="two"), "list_len must be a whole number, got 'two'"),
        (dict(n_digit=5), "unknown parameter 'n_digit'"),
    ],
)
def test_plain_papermill_fails_by_name_too(parameters, named, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        papermill.execute_notebook(
            FIRST, tmp_path / "out.ipynb", parameters, cwd=tmp_path, progress_bar=False
        )
    assert named in error.value.evalue


def test_the_setup_cell_works_on_a_simulated_colab(tmp_path, monkeypatch, runs):
    """A google.colab module on the path, loaded when the kernel starts, as Colab does."""
    module = tmp_path / "site" / "google" / "colab"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text("")
    (module / "drive.py").write_text(
        "from pathlib import Path\ndef mount(where):\n    Path('mounted').write_text(where)\n"
    )
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "colab.py").write_text("import google.colab")
    search_path = os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", search_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    # The package is installed already, so that this asks pip for nothing from outside.
    monkeypatch.setenv("LISTCOMP_PACKAGE", "listcomp_utils")
    notebook = nbformat.read(FIRST, as_version=4)
    last = next(i for i, c in enumerate(notebook.cells) if "artifacts_folder(" in c.source)
    notebook.cells = notebook.cells[: last + 1]
    check = "import os, sys\nprint(folder, 'autoreload' in sys.modules)"
    notebook.cells.append(nbformat.v4.new_code_cell(check))
    nbformat.write(notebook, tmp_path / "colab.ipynb")
    ran = papermill.execute_notebook(
        tmp_path / "colab.ipynb",
        tmp_path / "out.ipynb",
        dict(drive_dir="copier"),
        cwd=tmp_path,
        progress_bar=False,
    )
    assert (tmp_path / "mounted").read_text() == "/content/drive"
    assert str(Path("/content/drive/MyDrive/copier")) in ran.cells[-1].outputs[0].text
