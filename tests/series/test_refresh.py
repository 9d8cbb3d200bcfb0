"""`make refresh`: pictures, the README from a run, what is missing said before anything runs."""

import base64
import contextlib
import io
import sys
from pathlib import Path

import nbformat
import plotly.graph_objects as go
import pytest
from PIL import Image

from listcomp_utils.__main__ import main
from listcomp_utils.notebook.claims import recorded_claims
from listcomp_utils.notebook.show import METADATA_KEY, PLOTLY_MIME, slim_json
from listcomp_utils.series import refresh, summary

ROOT = Path(__file__).resolve().parents[2]


def shipped_claims():
    """The claims in the committed notebooks' outputs."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return {path.stem: recorded_claims(nbformat.read(path, as_version=4)) for path in paths}


@pytest.fixture
def drawn(monkeypatch):
    """A browser's place taken: what was asked for, in order."""
    asked = []

    def draw(figure, options):
        asked.append((figure, options))
        picture = io.BytesIO()
        Image.effect_noise((options["width"], options["height"]), 60).save(picture, format="png")
        return picture.getvalue()

    monkeypatch.setattr(refresh, "_drawing", lambda: contextlib.nullcontext(draw))
    return asked


def figure_output(interactive: bool, **layout):
    figure = go.Figure(go.Scatter(y=[1, 2]), layout=layout)
    return nbformat.v4.new_output(
        "display_data",
        data={PLOTLY_MIME: slim_json(figure), "text/plain": "Figure: A line."},
        metadata={METADATA_KEY: dict(alt="A line.", main=True, interactive=interactive)},
    )


def test_every_figure_gets_a_small_picture_with_its_words(drawn, tmp_path):
    outputs = [figure_output(True, height=300), figure_output(False, width=500)]
    outputs.append(nbformat.v4.new_output("stream", text="words"))
    cell = nbformat.v4.new_code_cell(outputs=outputs)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "ran.ipynb")
    refresh.add_pictures([tmp_path / "ran.ipynb"])
    both, picture, text = nbformat.read(tmp_path / "ran.ipynb", as_version=4).cells[0].outputs
    assert set(both.data) == {PLOTLY_MIME, "image/png", "text/plain"}
    assert set(picture.data) == {"image/png", "text/plain"}, "not interactive: the picture alone"
    assert both.metadata["image/png"]["alt"] == "A line." and text.text == "words"
    for output, size in ((both, (700, 300)), (picture, (500, 450))):
        image = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        assert image.size == size and image.mode == "P"
    assert [figure.data[0].type for figure, _ in drawn] == ["scatter", "scatter"]


@pytest.mark.parametrize(
    ("missing", "named"), [("kaleido", r"pip install '.[maintain]'"), ("browser", "Chromium")]
)
def test_what_is_missing_is_said_before_anything_runs(missing, named, monkeypatch, capsys):
    monkeypatch.setattr(refresh, "run_series", lambda *_, **__: pytest.fail("ran"))
    monkeypatch.setattr(refresh, "sync_series", lambda: pytest.fail("wrote"))
    if missing == "kaleido":
        monkeypatch.setitem(sys.modules, "kaleido", None)
    else:
        monkeypatch.setattr(refresh, "_drawing", lambda: 1 / 0)
    assert main(["refresh"]) == 2
    assert named in capsys.readouterr().err


def test_parts_of_a_page_are_replaced_between_their_markers(tmp_path):
    readme = tmp_path / "README.md"
    marked = "<!-- {0}: written by make refresh -->\nold\n<!-- end of {0} -->"
    readme.write_text(f"before\n{marked.format('answer')}\nbetween\n{marked.format('results')}\n")
    text = refresh.filled(readme, {"answer": "new\n", "results": "| a |"})
    assert text.startswith("before\n<!-- answer: written by make refresh -->\n\nnew\n\n<!-- end")
    assert "between" in text and "| a |" in text and "old" not in text
    readme.write_text("no markers")
    with pytest.raises(ValueError, match="lacks the markers .*answer"):
        refresh.filled(readme, {"answer": ""})


def test_what_was_found_goes_into_the_readme_and_beside_it(tmp_path):
    (tmp_path / "artifacts").mkdir()
    page, claims = (ROOT / "README.md").read_text(), shipped_claims()
    (tmp_path / "README.md").write_text(page)
    name = "reversed by exchanging position weights"
    next(claim for claim in claims["05_circuit"] if claim["name"] == name)["value"] = 0.123
    refresh.write_summary(tmp_path, claims)
    text, found = (tmp_path / "README.md").read_text(), tmp_path / "artifacts"
    assert "12.3% of the" in text and "12.3% of the" in (found / "ANSWER.md").read_text()
    assert "| 60, 44 | 0.506, 0.706 | 0.461, 0.539 |" in text
    every = (found / "CLAIMS.md").read_text()
    assert all(f"## {name}\n" in every for name in claims)
    assert Image.open(found / "mechanism.png").width > 800


def test_the_committed_summary_is_of_the_committed_notebooks():
    claims = shipped_claims()
    assert (ROOT / "artifacts" / "CLAIMS.md").read_text() == summary.record(claims)
    assert (ROOT / "artifacts" / "ANSWER.md").read_text() == summary.answer(claims)
    readme = (ROOT / "README.md").read_text()
    assert summary.answer(claims) in readme and summary.key_results(claims) in readme
