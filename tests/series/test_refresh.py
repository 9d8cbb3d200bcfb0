"""`make refresh`: pictures, the README from a run, what is missing said before anything runs."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sys

import nbformat
import plotly.graph_objects as go
import pytest
from PIL import Image

from listcomp_utils.__main__ import main
from listcomp_utils.notebook.show import METADATA_KEY, PLOTLY_MIME, slim_json
from listcomp_utils.series import refresh


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


def broken():
    raise RuntimeError("no such browser")


@pytest.mark.parametrize(
    ("missing", "named"), [("kaleido", r"pip install '.[maintain]'"), ("browser", "Chromium")]
)
def test_what_is_missing_is_said_before_anything_runs(missing, named, monkeypatch, capsys):
    monkeypatch.setattr(refresh, "run_series", lambda *_, **__: pytest.fail("ran"))
    monkeypatch.setattr(refresh, "sync_series", lambda: pytest.fail("wrote"))
    if missing == "kaleido":
        monkeypatch.setitem(sys.modules, "kaleido", None)
    else:
        monkeypatch.setattr(refresh, "_drawing", broken)
    assert main(["refresh"]) == 2
    assert named in capsys.readouterr().err


def test_claims_of_a_run_become_the_readmes_tables(tmp_path):
    claims = [
        dict(name="a|b", value=0.57566, expected=">= 0.5", holds=True),
        dict(name="lists", value=2203, expected="", holds=None),
    ]
    (tmp_path / "claims.json").write_text(json.dumps({"claims": {"01_train": claims}}))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{refresh.START}\nold\n{refresh.END}\nafter\n")
    refresh.write_results(readme, tmp_path / "claims.json")
    text = readme.read_text()
    assert "<summary>01_train: 2 figures</summary>" in text
    assert "| figure | value | expected |\n| --- | --- | --- |\n" in text
    assert "| a\\|b | 0.5757 | >= 0.5 |\n| lists | 2,203 | shown |" in text
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    readme.write_text("no markers")
    with pytest.raises(ValueError, match="lacks the markers"):
        refresh.write_results(readme, tmp_path / "claims.json")


def test_the_main_figure_is_the_picture(tmp_path):
    output = nbformat.v4.new_output(
        "display_data",
        data={"image/png": base64.b64encode(b"picture").decode()},
        metadata={METADATA_KEY: {"main": True}},
    )
    cell = nbformat.v4.new_code_cell(outputs=[output])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "ran.ipynb")
    refresh.write_picture(tmp_path / "readme.png", tmp_path / "ran.ipynb")
    assert (tmp_path / "readme.png").read_bytes() == b"picture"
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "ran.ipynb")
    with pytest.raises(ValueError, match="shows no main figure"):
        refresh.write_picture(tmp_path / "readme.png", tmp_path / "ran.ipynb")
