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
from listcomp_utils.series.checks import clone_dir, series_dir

BADGE = """\
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]\
(https://colab.research.google.com/github/{path}/blob/main/notebooks/{name}.ipynb)
"""
"""The end of a notebook's opening, where the project has an address."""

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def notebook_sources(folder: Path) -> list[Path]:
    """The `.py` halves of the series, in order."""
    return sorted(folder.glob("[0-9][0-9]_*.py"))


def sync_series() -> int:
    """Bring every pair in line, with the project's address in it, and say which changed."""
    address = repository_address(clone_dir())
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
    """Put the outputs of an executed notebook into the pair's `.ipynb`, and nothing else of it."""
    notebook = jupytext.read(source, fmt="py:percent")
    ran, _ = CoalesceStreamsPreprocessor().preprocess(nbformat.read(executed, as_version=4), {})
    if [c.source.strip() for c in ran.cells] != [c.source.strip() for c in notebook.cells]:
        raise ValueError(f"{executed} does not hold the cells of {source}; run it again")
    for cell, done in zip(notebook.cells, ran.cells, strict=True):
        if cell.cell_type == "code":
            cell.execution_count = done.execution_count
            cell.outputs = [one for one in done.outputs if one.get("name") != "stderr"]
    _write(notebook, source.with_suffix(".ipynb"))


def repository_address(root: Path) -> str | None:
    """The project's address, as pyproject.toml states it."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    address = settings["project"].get("urls", {}).get("Repository")
    return address and address.rstrip("/")


def stamp_address(source: Path, address: str | None) -> bool:
    """Write the address into a notebook's Colab badge and set-up cell; True if that changed it.

    Without an address there is no badge, and on Colab the set-up cell asks for LISTCOMP_PACKAGE.
    """
    text = source.read_text()
    path = (address or "").removeprefix("https://github.com/")
    badge = BADGE.format(path=path, name=source.stem) if address else ""
    package = f"git+{address}" if address else ""
    stamped = re.sub(r"#\n# \[!\[Open in Colab\][^\n]*\n", "", text)
    stamped = re.sub(r'\n# %% tags=\["setup"\]', lambda found: badge + found[0], stamped, count=1)
    stamped = re.sub(r'(?<="LISTCOMP_PACKAGE", ")[^"]*', package, stamped, count=1)
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
