"""The README's tables and picture come from a run."""

from __future__ import annotations

import base64
import json

import nbformat
import pytest

from listcomp_utils.notebook.show import METADATA_KEY
from listcomp_utils.series.readme import END, START, write_picture, write_results


def test_claims_of_a_run_become_the_readmes_tables(tmp_path):
    claims = [
        dict(name="a|b", value=0.57566, expected=">= 0.5", holds=True),
        dict(name="lists", value=2203, expected="", holds=None),
    ]
    (tmp_path / "claims.json").write_text(json.dumps({"claims": {"01_train": claims}}))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    write_results(readme, tmp_path / "claims.json")
    text = readme.read_text()
    assert "<summary>01_train: 2 figures</summary>" in text
    assert "| figure | value | expected |\n| --- | --- | --- |\n" in text
    assert "| a\\|b | 0.5757 | >= 0.5 |\n| lists | 2,203 | shown |" in text
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    readme.write_text("no markers")
    with pytest.raises(ValueError, match="lacks the markers"):
        write_results(readme, tmp_path / "claims.json")


def test_the_main_figure_is_the_picture(tmp_path):
    output = nbformat.v4.new_output(
        "display_data",
        data={"image/png": base64.b64encode(b"picture").decode()},
        metadata={METADATA_KEY: {"main": True}},
    )
    cell = nbformat.v4.new_code_cell(outputs=[output])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "ran.ipynb")
    write_picture(tmp_path / "readme.png", tmp_path / "ran.ipynb")
    assert (tmp_path / "readme.png").read_bytes() == b"picture"
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "ran.ipynb")
    with pytest.raises(ValueError, match="shows no main figure"):
        write_picture(tmp_path / "readme.png", tmp_path / "ran.ipynb")
