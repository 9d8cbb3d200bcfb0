"""Keeping each notebook's two files, `.py` (the source) and `.ipynb` (with outputs), the same.

sync(Path("notebooks/01_train.py"))                     # True when the .ipynb changed
copy_outputs(run / "01_train.ipynb", Path("notebooks/01_train.py"))
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from listcomp_utils.files import write_atomically
from listcomp_utils.notebook.claims import outputs_with
from listcomp_utils.notebook.show import PLOTLY_MIME
from listcomp_utils.series.checks import series_dir

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def notebook_sources(folder: Path) -> list[Path]:
    """The `.py` halves of the series, in order."""
    return sorted(folder.glob("[0-9][0-9]_*.py"))


def sync_series() -> int:
    """Bring every pair in line, with the project's address in it, and say which changed; 0."""
    address = repository_address(series_dir().parent)
    for source in notebook_sources(series_dir()):
        changed = [stamp_address(source, address), sync(source)]
        print(f"{source.stem}: {'updated' if any(changed) else 'in step'}")
    return 0


def sync(source: Path) -> bool:
    """Bring the `.ipynb` in line with its `.py`, outputs of unchanged cells kept; True if new."""
    target = source.with_suffix(".ipynb")
    notebook = jupytext.read(source, fmt="py:percent")
    if target.exists():
        old = nbformat.read(target, as_version=4)
        notebook = combine_inputs_with_outputs(notebook, old, fmt="py:percent")
    return _write(notebook, target)


def copy_outputs(executed: Path, source: Path) -> None:
    """Put the outputs of an executed notebook into the pair's `.ipynb`, and nothing else of it.

    Raises:
        ValueError: when the executed notebook's cells are not the pair's.
    """
    notebook = jupytext.read(source, fmt="py:percent")
    ran, _ = CoalesceStreamsPreprocessor().preprocess(nbformat.read(executed, as_version=4), {})
    if [c.source.strip() for c in ran.cells] != [c.source.strip() for c in notebook.cells]:
        raise ValueError(f"{executed} does not hold the cells of {source}; run it again")
    for cell, done in zip(notebook.cells, ran.cells, strict=True):
        if cell.cell_type == "code":
            cell.execution_count = done.execution_count
            cell.outputs = [one for one in done.outputs if one.get("name") != "stderr"]
    _write(notebook, source.with_suffix(".ipynb"))


def repository_address(root: Path) -> str:
    """The project's address: stated once, in pyproject.toml."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    return settings["project"]["urls"]["Repository"].rstrip("/")


def stamp_address(source: Path, address: str) -> bool:
    """Write the address into a notebook's Colab link and setup cell; True if that changed it."""
    text = source.read_text()
    path = address.removeprefix("https://github.com/")
    link = (
        f"https://colab.research.google.com/github/{path}/blob/main/notebooks/{source.stem}.ipynb"
    )
    stamped = re.sub(r"https://colab\.research\.google\.com/github/[^)\s]+", link, text)
    stamped = re.sub(r'git\+https://github\.com/[^"\s]+', f"git+{address}", stamped)
    if stamped != text:
        source.write_text(stamped)
    return stamped != text


def _write(notebook: nbformat.NotebookNode, target: Path) -> bool:
    """Write a notebook, each figure's JSON on one line: indented it is twice as long."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{target.stem[:2]}-{number:02d}"
    figures = {}
    for output in outputs_with(notebook, PLOTLY_MIME):
        mark = f"figure {len(figures)}"
        figures[f'"{mark}"'] = json.dumps(output.data[PLOTLY_MIME], sort_keys=True)
        output.data[PLOTLY_MIME] = mark
    text = nbformat.writes(notebook) + "\n"
    for mark, figure in figures.items():
        text = text.replace(f'"{PLOTLY_MIME}": {mark}', f'"{PLOTLY_MIME}": {figure}')
    if target.exists() and target.read_text() == text:
        return False
    write_atomically(target, text.encode())
    return True
