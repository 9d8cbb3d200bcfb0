"""Notebooks are texts with code in them: short cells, more words than code, questions."""

import re
import statistics
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
READ = sorted(path.stem for path in NOTEBOOKS.glob("*.py") if path.stem[0].isdigit())


def cells_of(name):
    return jupytext.read(NOTEBOOKS / f"{name}.py").cells


def code_lines(cell):
    """Lines of code: blank ones and comments alone are not counted."""
    return [line for line in cell.source.splitlines() if line.strip() and line.strip()[0] != "#"]


def is_set_up(cell):
    return bool({"setup", "parameters"} & set(cell.metadata.get("tags", [])))


@pytest.mark.parametrize("name", READ)
def test_a_notebook_is_a_text_with_code_in_it(name):
    cells = [cell for cell in cells_of(name) if not is_set_up(cell)]
    lines = [len(code_lines(cell)) for cell in cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    words = len(re.findall(r"\w[\w'-]*", prose))
    said = f"{name}: {lines} lines, {words / sum(lines):.1f} words a line"
    assert statistics.median(lines) <= 8, said
    assert max(lines) <= 25, said
    assert sum(lines) <= 220, said
    assert words >= 5 * sum(lines), said
    assert prose.count("<details>") >= 2, said
