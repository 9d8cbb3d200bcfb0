"""The notebooks' two files agree, stay small, hold nothing of a machine, and read as texts."""

import json
import re
import shutil
import statistics
from pathlib import Path

import jupytext
import nbformat
import pytest

from listcomp_utils.__main__ import main
from listcomp_utils.notebook.claims import CLAIMS_MIME
from listcomp_utils.notebook.parameters import CONFIG_NAMES, PARAMETERS_CELL, Options
from listcomp_utils.notebook.show import METADATA_KEY, PLOTLY_MIME
from listcomp_utils.series import pairs
from listcomp_utils.series.checks import declared_parameters
from listcomp_utils.series.pairs import repository_address, stamp_address, sync

ROOT = Path(__file__).resolve().parents[2]
SOURCES = pairs.notebook_sources(ROOT / "notebooks")
BUDGET = 300 * 1024

each_notebook = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def read(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def written_back(source: Path) -> str:
    """The `.py` that the `.ipynb` would write."""
    notebook = jupytext.read(source.with_suffix(".ipynb"))
    notebook.metadata["jupytext"] = {
        "notebook_metadata_filter": "kernelspec,-jupytext",
        "cell_metadata_filter": "tags,nbmake,-all",
    }
    return jupytext.writes(notebook, fmt="py:percent")


def outputs(source: Path) -> list[nbformat.NotebookNode]:
    return [output for cell in read(source).cells for output in cell.get("outputs", [])]


@each_notebook
def test_notebook_turns_back_into_its_source_to_the_letter(source):
    """JupyterLab refuses a pair whose newer .ipynb would write another .py, even in key order."""
    assert written_back(source) == source.read_text()


@each_notebook
def test_notebook_is_valid_small_and_clean(source):
    path = source.with_suffix(".ipynb")
    notebook = read(source)
    nbformat.validate(notebook)
    assert path.stat().st_size <= BUDGET
    assert set(notebook.metadata) == {"kernelspec"}
    text = path.read_text()
    assert not re.search(r"/(home|root|Users|work|tmp|private)/", text), "an absolute path"
    for word in ("papermill", "widget-state", "injected-parameters"):
        assert word not in text.replace("papermill -p", "")


@each_notebook
def test_outputs_are_figures_with_pictures_and_words(source):
    kinds = [output.get("data", {}) for output in outputs(source)]
    for output, data in zip(outputs(source), kinds, strict=True):
        assert output.output_type != "error" and output.get("name") != "stderr"
        if PLOTLY_MIME in data:
            assert "image/png" in data and "text/html" not in data
            assert output.metadata["image/png"]["alt"].endswith(".")
            assert "bdata" not in json.dumps(data[PLOTLY_MIME])
            assert data[PLOTLY_MIME]["layout"]["template"]["layout"]["colorway"]
    notes = [output.get("metadata", {}).get(METADATA_KEY, {}) for output in outputs(source)]
    assert sum(note.get("main", False) for note in notes) == 1
    assert any(CLAIMS_MIME in data for data in kinds)


@each_notebook
def test_first_cell_asks_and_answers(source):
    first = read(source).cells[0].source
    assert re.match(r"# .+\?\n", first), "a title that is a question"
    for word in ("**Answer.**", "**You need**", "**It takes**"):
        assert word in first
    assert ("colab-badge.svg" in first) == bool(repository_address(ROOT))


@each_notebook
def test_the_parameters_cell_is_short_known_and_explained(source):
    (cell,) = [c for c in read(source).cells if "parameters" in c.metadata.get("tags", [])]
    assert cell.source.startswith(PARAMETERS_CELL), "what read_parameters looks for"
    declared = declared_parameters(source.with_suffix(".ipynb"))
    assert set(declared) <= {*CONFIG_NAMES, *Options.model_fields}
    assert "preset" in declared and len(declared) <= 11
    told = [line for line in cell.source.splitlines() if "  # " in line]
    assert len(told) == len(declared), "every parameter has a comment"


@each_notebook
def test_a_notebook_is_a_text_with_code_in_it(source):
    """Short cells, more words than code, questions; blank lines and parameters are not counted."""
    cells = jupytext.read(source).cells
    cells = [cell for cell in cells if "parameters" not in cell.metadata.get("tags", [])]
    code = [cell.source.splitlines() for cell in cells if cell.cell_type == "code"]
    lines = [sum(bool(line.strip()) for line in cell) for cell in code]
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    words = len(re.findall(r"\w[\w'-]*", prose))
    said = f"{source.stem}: {lines} lines, {words / sum(lines):.1f} words a line"
    assert statistics.median(lines) <= 8, said
    assert max(lines) <= 25 and sum(lines) <= 220, said
    assert words >= 5 * sum(lines), said
    assert prose.count("<details>") >= 2, said


@each_notebook
def test_address_stands_as_in_pyproject(source):
    before = source.read_text()
    assert not stamp_address(source, repository_address(ROOT)), "make sync writes the address"
    assert source.read_text() == before


@pytest.fixture
def copied(tmp_path) -> Path:
    for file in (SOURCES[0], SOURCES[0].with_suffix(".ipynb"), ROOT / "notebooks/jupytext.toml"):
        shutil.copy(file, tmp_path)
    return tmp_path / SOURCES[0].name


def test_sync_mends_drift_keeping_outputs(copied):
    before = len(outputs(copied))
    for old, new in (("## The mask", "## The rule"), ('tags=["setup"]', 'tags=["set-up"]')):
        copied.write_text(copied.read_text().replace(old, new))
        assert written_back(copied) != copied.read_text()
        assert sync(copied) and written_back(copied) == copied.read_text()
    assert len(outputs(copied)) == before
    assert not sync(copied), "nothing left to do"
    more = re.sub(r"# %% \[markdown\]\n# ## The rule", "# %%\n1 + 1\n\n\\g<0>", copied.read_text())
    copied.write_text(more)
    assert sync(copied) and written_back(copied) == more
    assert len({cell["id"] for cell in read(copied).cells}) == len(read(copied).cells)


def test_address_is_stamped_everywhere_and_taken_out_again(copied):
    stamp_address(copied, None)
    without = copied.read_text()
    assert "colab.research" not in without and "git+" not in without
    assert 'raise RuntimeError("set LISTCOMP_PACKAGE' in without
    assert stamp_address(copied, "https://github.com/someone/copier")
    text = copied.read_text()
    badge = "github/someone/copier/blob/main/notebooks/01_train.ipynb)\n\n# %% tags="
    assert text.count(badge) == 1 and '"git+https://github.com/someone/copier"' in text
    assert not stamp_address(copied, "https://github.com/someone/copier")
    assert stamp_address(copied, None) and copied.read_text() == without


def test_pairs_are_written_in_a_clone_only(monkeypatch, capsys):
    monkeypatch.setattr("listcomp_utils.series.checks.repository_dir", lambda: None)
    assert main(["sync"]) == 2
    assert "in a clone of the project" in capsys.readouterr().err


def test_only_outputs_are_copied_and_only_from_the_same_cells(copied, tmp_path):
    ran = read(copied)
    ran.metadata["papermill"] = {"output_path": "/anywhere/x"}
    figure = {"data": [{"y": [1, 2, 3]}], "layout": {}}
    ran.cells[-1].outputs = [
        nbformat.v4.new_output("display_data", data={PLOTLY_MIME: figure}),
        nbformat.v4.new_output("stream", name="stdout", text="done"),
    ]
    executed = tmp_path / "executed.ipynb"
    nbformat.write(ran, executed)
    pairs.copy_outputs(executed, copied)
    assert outputs(copied)[-2].data == {PLOTLY_MIME: figure} and outputs(copied)[-1].text == "done"
    assert f'"{PLOTLY_MIME}": {json.dumps(figure)}\n' in copied.with_suffix(".ipynb").read_text()
    assert "papermill" not in read(copied).metadata
    assert written_back(copied) == copied.read_text()
    ran.cells[3].source += "\n1 + 1"
    nbformat.write(ran, executed)
    with pytest.raises(ValueError, match="does not hold the cells"):
        pairs.copy_outputs(executed, copied)
