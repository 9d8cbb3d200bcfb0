"""The HTML report of a run: an index and a page a notebook, all of it readable offline.

write_report({folder / "01_train.ipynb": None}, folder, {"seed": 1})

Figures stand interactive in their places, drawn by one copy of plotly.js beside the pages;
formulas are MathML, which browsers draw themselves; code is folded until it is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters.markdown import markdown2html
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from plotly.offline import get_plotlyjs

from listcomp_utils.files import shipped_dir, write_atomically
from listcomp_utils.notebook.claims import VERDICTS, format_value, outputs_with, recorded_claims
from listcomp_utils.notebook.show import METADATA_KEY, PLOTLY_MIME

BESIDE = ("mechanism.png", "explorer.html")
"""Files that ship with the project and go beside the index."""

_TEMPLATES = jinja2.Environment(loader=jinja2.PackageLoader(__package__), autoescape=True)
_PARTS = _TEMPLATES.get_template("parts.html").module


def write_report(
    errors: Mapping[Path, str | None], folder: Path, parameters: Mapping[str, Any]
) -> None:
    """Write index.html, a page a notebook, plotly.js and claims.json to `folder`.

    `errors` says of each executed notebook what went wrong in it, None when nothing did.
    """
    names = [None, *(path.stem for path in errors), None]
    runs = [
        _write_notebook_page(path, folder, before, after) | {"error": errors[path]}
        for path, before, after in zip(errors, names, names[2:], strict=False)
    ]
    claims = {run["name"]: run["claims"] for run in runs}
    record = json.dumps({"parameters": dict(parameters), "claims": claims}, indent=1, default=str)
    write_atomically(folder / "claims.json", record.encode())
    write_atomically(folder / "plotly.min.js", get_plotlyjs().encode())
    for name in BESIDE:
        write_atomically(folder / name, (shipped_dir() / name).read_bytes())
    answer = Markup(markdown2html((shipped_dir() / "ANSWER.md").read_text()))
    how = dict(answer=answer, shown=format_value, verdicts=VERDICTS)
    page = _TEMPLATES.get_template("index.html").render(runs=runs, parameters=parameters, **how)
    write_atomically(folder / "index.html", page.encode())


def _write_notebook_page(
    path: Path, folder: Path, before: str | None, after: str | None
) -> dict[str, Any]:
    """Write a notebook's page, with links to those before and after; what the index says of it."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _for_a_page(cell.source)
    question, answer = notebook.cells[0].source.removeprefix("# ").split("\n\n")[:2]
    main = ""
    for output in outputs_with(notebook, PLOTLY_MIME):
        note = output.metadata[METADATA_KEY]
        figure = _PARTS.figure(output.data[PLOTLY_MIME], note["alt"])
        output.data = {"text/html": figure}
        main = figure if note["main"] else main
    for output in outputs_with(notebook, "text/plain"):
        note = output.metadata.get(METADATA_KEY, {})
        if "page" in note:
            output.data = {"text/html": _PARTS.frame(**note, words=output.data["text/plain"])}
    exporter = HTMLExporter(template_name="basic", preprocessors=[CoalesceStreamsPreprocessor])
    body, resources = exporter.from_notebook_node(notebook)
    run = {
        "name": path.stem,
        "question": question,
        "answer": Markup(markdown2html(answer)),
        "figure": main,
        "claims": recorded_claims(notebook),
    }
    code_css = Markup("\n".join(resources["inlining"]["css"]))
    page = _TEMPLATES.get_template("notebook.html").render(
        run, before=before, after=after, body=Markup(body), code_css=code_css
    )
    write_atomically(folder / f"{path.stem}.html", page.encode())
    return run


def _for_a_page(text: str) -> str:
    """Markdown with its formulas as MathML, and without badges, which are pictures from outside."""
    text = re.sub(r"\[!\[[^\]]*\]\([^)]*\)\]\([^)]*\)", "", text)
    parts = re.split(r"(`[^`]*`)", text)  # what is code is no formula

    def converted(found: re.Match[str]) -> str:
        block = found[1] is not None
        return convert(found[1] or found[2], display="block" if block else "inline")

    formula = re.compile(r"\$\$(.+?)\$\$|\$([^$\n](?:[^$]*[^$\s])?)\$", re.DOTALL)
    parts[::2] = [formula.sub(converted, part) for part in parts[::2]]
    return "".join(parts)
