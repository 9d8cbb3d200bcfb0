"""A run leaves executed notebooks and a whole report, or the last whole one untouched."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from listcomp_utils.__main__ import main
from listcomp_utils.config import Config
from listcomp_utils.series import run as series_run

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FIRST = NOTEBOOKS / "01_train.ipynb"


def cell_outputs(path: Path) -> str:
    return json.dumps([cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells])


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_series):
    """A run of the tiny series with a file of parameters; every notebook works."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "parameters.yaml").write_text("n_digits: 5\nlist_len: '3'\ndraws: 7\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LISTCOMP_RUNS", str(folder / "runs"))
        assert main(["run", "--name", "quick", "-f", str(folder / "parameters.yaml")]) == 0
    return folder / "runs" / "quick"


def test_a_run_leaves_executed_notebooks_a_report_and_no_other_folder(finished):
    assert [path.name for path in finished.parent.iterdir()] == ["quick"]
    assert {path.name for path in finished.iterdir()} == {
        *("01_one.ipynb", "02_two.ipynb", "05_five.ipynb"),
        *("01_one.html", "02_two.html", "05_five.html"),
        *("index.html", "claims.json", "plotly.min.js", "mechanism.png", "explorer.html"),
    }


def test_notebooks_get_every_field_and_their_own_options_alone(finished):
    slug = Config(n_digits=5, list_len=3).slug
    assert f"{slug} None" in cell_outputs(finished / "01_one.ipynb")
    assert f"{slug} 7" in cell_outputs(finished / "02_two.ipynb")


def test_a_failing_notebook_is_kept_and_told_and_the_others_run(runs, capsys, tiny_series):
    status = main(["run", "--only", "01", "05", "-p", "seed", "13", "--name", "bad"])
    printed = capsys.readouterr().out
    assert status == 1
    assert "05_five FAILED ValueError: <13>" in printed and "01_one done" in printed
    kept = runs / "bad" / "05_five.ipynb"
    assert f"kept: {kept}" in printed and "A bar" in cell_outputs(kept)
    index = (runs / "bad" / "index.html").read_text()
    assert "1 of 2 notebooks failed: 05_five" in index
    assert "This notebook failed: ValueError: &lt;13&gt;" in index


@pytest.fixture
def whole(runs) -> Path:
    """The report of an earlier run, which is not to be lost."""
    (runs / "latest").mkdir(parents=True)
    (runs / "latest" / "index.html").write_text("the last whole report")
    yield runs / "latest"
    assert [path.name for path in runs.iterdir()] == ["latest"], "no working folder stays"
    assert (runs / "latest" / "index.html").read_text() == "the last whole report"


def executing(monkeypatch, happens):
    """Let `happens()` take the place of executing 02; 01 is done, 05 waits until it is stopped."""
    stopped = []

    async def execute(notebook, output, parameters, each_cell):
        output.write_text("a part")
        if notebook.stem.startswith("01"):
            return
        if notebook.stem.startswith("02"):
            happens()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(notebook.stem[:2])
            raise

    monkeypatch.setattr(series_run, "_execute", execute)
    monkeypatch.setattr("joblib.cpu_count", lambda: 3)
    return stopped


@pytest.mark.usefixtures("tiny_series")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_the_last_whole_report(sent, whole, monkeypatch, capsys):
    stopped = executing(monkeypatch, lambda: os.kill(os.getpid(), sent))
    before = signal.getsignal(signal.SIGTERM)
    assert main(["run"]) == 130
    assert sorted(stopped) == ["02", "05"] and signal.getsignal(signal.SIGTERM) == before
    assert "interrupted" in capsys.readouterr().err


def full(*_):
    raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_the_last_whole_report(whole, monkeypatch, capsys, tiny_series):
    stopped = executing(monkeypatch, full)
    assert main(["run"]) == 1
    assert stopped == ["05"], "the others are stopped"
    assert "No space left on device; what was there before stays" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_leaves_the_last_whole_one(whole, monkeypatch, tiny_series):
    async def execute(notebook, output, *_):
        output.write_text(notebook.read_text())

    monkeypatch.setattr(series_run, "_execute", execute)
    monkeypatch.setattr("listcomp_utils.series.report.write_atomically", full)
    assert main(["run", "--only", "01"]) == 1


def test_long_notebooks_start_first_and_reports_keep_the_order(runs, monkeypatch, tiny_series):
    started, reported = [], []

    async def execute(notebook, *_):
        started.append(notebook.stem[:2])

    monkeypatch.setattr(series_run, "_execute", execute)
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)
    report = "listcomp_utils.series.report.write_report"
    monkeypatch.setattr(report, lambda done, *_: reported.extend(done))
    assert main(["run"]) == 0
    assert started == ["01", "05", "02"], "the first may train what the others load"
    assert [path.stem for path in reported] == ["01_one", "02_two", "05_five"]


def executed(folder: Path, code: str) -> tuple[str | None, nbformat.NotebookNode]:
    """What went wrong in a notebook of one cell, and the cell."""
    source, output = folder / "in.ipynb", folder / "out.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), source)
    error = series_run.execute_notebook(source, output, {})
    return error, nbformat.read(output, as_version=4).cells[0]


def test_a_kernel_that_dies_is_one_failed_notebook(tmp_path):
    error, _ = executed(tmp_path, "import os\nos._exit(3)")
    assert "its kernel is gone" in error


def test_kernels_run_on_one_thread_and_leave_this_environment_alone(tmp_path):
    before = dict(os.environ)
    code = "import os\nprint(os.environ['OMP_NUM_THREADS'], os.environ['LISTCOMP_REPORT'])"
    error, cell = executed(tmp_path, code)
    assert error is None and dict(os.environ) == before
    assert cell.outputs[0].text == f"1 {tmp_path}\n"


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        (dict(list_len="two"), "list_len must be a whole number, got 'two'"),
        (dict(n_digit=5), "unknown parameter 'n_digit'"),
        (dict(draws=5), "unknown parameter 'draws'"),
    ],
)
def test_plain_papermill_fails_by_name_too(parameters, named, tmp_path):
    how = dict(cwd=tmp_path, progress_bar=False)
    with pytest.raises(papermill.PapermillExecutionError) as error:
        papermill.execute_notebook(FIRST, tmp_path / "out.ipynb", parameters, **how)
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
    check = "print(folder)"
    notebook.cells.append(nbformat.v4.new_code_cell(check))
    source, output = tmp_path / "colab.ipynb", tmp_path / "out.ipynb"
    nbformat.write(notebook, source)
    how = dict(cwd=tmp_path, progress_bar=False)
    ran = papermill.execute_notebook(source, output, dict(drive_dir="copier"), **how)
    assert (tmp_path / "mounted").read_text() == "/content/drive"
    assert str(Path("/content/drive/MyDrive/copier")) in ran.cells[-1].outputs[0].text
