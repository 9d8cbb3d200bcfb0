"""Keeping each notebook's two files, `.py` (the source) and `.ipynb` (with outputs), the same.

sync(Path("notebooks/01_train.py"))           # True when the .ipynb changed
differences(Path("notebooks/01_train.py"))    # [] when both say the same
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
    notebook = _read_source(source)
    if target.exists():
        old = nbformat.read(target, as_version=4)
        notebook = combine_inputs_with_outputs(notebook, old, fmt="py:percent")
    return _write(notebook, target)


def differences(source: Path) -> list[str]:
    """Where a pair differs, cell by cell: empty when the two files say the same."""
    target = source.with_suffix(".ipynb")
    if not target.exists():
        return [f"{target.name} is missing"]
    ours, theirs = _cells(source), _cells(target)
    found = [
        f"{source.stem} cell {number}: {one[:60]!r} is not {other[:60]!r}"
        for number, ((kind, one, meta), (other_kind, other, other_meta)) in enumerate(
            zip(ours, theirs, strict=False)
        )
        if (kind, one, meta) != (other_kind, other, other_meta)
    ]
    if len(ours) != len(theirs):
        found.append(f"{source.stem}: {len(ours)} cells in .py, {len(theirs)} in .ipynb")
    return found


def copy_outputs(executed: Path, source: Path) -> None:
    """Put the outputs of an executed notebook into the pair's `.ipynb`, and nothing else of it.

    Raises:
        ValueError: when the executed notebook's cells are not the pair's, or a cell failed.
    """
    notebook = _read_source(source)
    ran = nbformat.read(executed, as_version=4)
    ran, _ = CoalesceStreamsPreprocessor().preprocess(ran, {})
    cells = [
        cell for cell in ran.cells if "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    if [c.source.strip() for c in cells] != [c.source.strip() for c in notebook.cells]:
        raise ValueError(f"{executed} does not hold the cells of {source}; run it again")
    count = 0
    for cell, done in zip(notebook.cells, cells, strict=True):
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = []
        for output in done.outputs:
            if output.output_type == "error":
                raise ValueError(f"{executed}: cell {count} failed: {output.ename}")
            if output.get("name") == "stderr":
                continue
            if "execution_count" in output:
                output.execution_count = count
            cell.outputs.append(output)
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


def _read_source(source: Path) -> nbformat.NotebookNode:
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.stem[:2]}-{number:02d}"
    return notebook


def _cells(path: Path) -> list[tuple[str, str, dict]]:
    return [
        (cell.cell_type, cell.source.strip(), dict(cell.metadata))
        for cell in jupytext.read(path).cells
    ]


def _write(notebook: nbformat.NotebookNode, target: Path) -> bool:
    """Write a notebook, each figure's JSON on one line: indented it is twice as long."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    figures = []
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if PLOTLY_MIME in output.get("data", {}):
            figures.append(json.dumps(output.data[PLOTLY_MIME], sort_keys=True))
            output.data[PLOTLY_MIME] = f"figure {len(figures)}"
    text = nbformat.writes(notebook) + "\n"
    for number, figure in enumerate(figures, start=1):
        text = text.replace(f'"{PLOTLY_MIME}": "figure {number}"', f'"{PLOTLY_MIME}": {figure}')
    if target.exists() and target.read_text() == text:
        return False
    write_atomically(target, text.encode())
    return True
