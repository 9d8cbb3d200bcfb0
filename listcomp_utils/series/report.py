"""The HTML report of a run: an index and a page a notebook, all of it readable offline."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import nbformat
import plotly.graph_objects as go
from nbconvert import HTMLExporter
from nbconvert.filters.markdown import markdown2html
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from listcomp_utils.files import write_atomically
from listcomp_utils.notebook.claims import format_value, recorded_claims
from listcomp_utils.notebook.show import METADATA_KEY, PLOTLY_MIME
from listcomp_utils.series.run import NotebookRun

_PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title|e }}</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 15px/1.5 system-ui, Arial, sans-serif; color: #222; max-width: 1040px; margin: 2em auto; padding: 0 1em }
a { color: #1f5a99 } h1 { line-height: 1.25 } img { max-width: 100%; height: auto }
table { border-collapse: collapse; margin: 1em 0 } th, td { border: 1px solid #ccc; padding: 3px 9px; text-align: left }
th { background: #f2f4f7 } pre { background: #f6f8fa; padding: .7em 1em; white-space: pre-wrap; font-size: 13px; line-height: 1.4 }
.no { color: #b00020; font-weight: bold } .card { border: 1px solid #ddd; border-radius: 8px; padding: 0 1.2em 1em; margin: 1.5em 0 }
figure { margin: 1em 0 } figcaption { color: #555; font-size: 13px } .prompt, .anchor-link { display: none }
{{ code_css }}
</style></head><body>
{{ body }}
</body></html>
"""
)

_INDEX = jinja2.Template(
    """<h1>How does a tiny attention-only transformer carry an ordered list through one token?</h1>
<p>{{ runs|length }} notebook{{ "s" if runs|length != 1 }}{% if parameters %}, with
{% for name, value in parameters.items() %}<code>{{ name|e }} = {{ value|e }}</code>{{ ", " if not loop.last }}{% endfor %}
{% else %}, at their default parameters{% endif %}.</p>
{% for run in runs %}
<div class="card">
<h2><a href="{{ run.name }}.html">{{ run.name }}: {{ run.question|e }}</a></h2>
{% if run.error %}<p class="no">This notebook failed: {{ run.error|e }}</p>{% endif %}
{{ run.answer }}
{% if run.figure %}{{ run.figure }}{% endif %}
{% if run.claims %}<table><tr><th>claim</th><th>value</th><th>expected</th><th>holds</th></tr>
{% for claim in run.claims %}<tr><td>{{ claim.name|e }}</td><td>{{ claim.shown|e }}</td>
<td>{{ claim.expected|e }}</td><td{% if claim.holds == False %} class="no"{% endif %}>
{{ {True: "yes", False: "no", None: "shown"}[claim.holds] }}</td></tr>{% endfor %}</table>{% endif %}
</div>
{% endfor %}
"""
)


def write_report(runs: Sequence[NotebookRun], folder: Path, parameters: Mapping[str, Any]) -> Path:
    """Write index.html, a page a notebook, interactive figures and claims.json to `folder`."""
    summaries = [_write_notebook_page(run, folder) for run in runs]
    records = {s["name"]: s["claims"] for s in summaries}
    record = {"parameters": dict(parameters), "claims": records}
    write_atomically(folder / "claims.json", json.dumps(record, indent=1, default=str).encode())
    for summary in summaries:
        for claim in summary["claims"]:
            claim["shown"] = format_value(claim["value"])
    body = _INDEX.render(runs=summaries, parameters=parameters)
    page = _PAGE.render(title="List copier: report", body=body, code_css="")
    write_atomically(folder / "index.html", page.encode())
    return folder / "index.html"


def _write_notebook_page(run: NotebookRun, folder: Path) -> dict[str, Any]:
    notebook = nbformat.read(run.path, as_version=4)
    summary = {"name": run.name, "error": run.error, "figure": None}
    summary |= _question_and_answer(notebook) | {"claims": recorded_claims(notebook)}
    count = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            page = output.get("metadata", {}).get(METADATA_KEY, {}).get("page")
            if page:
                link = f'<a href="{page}">{html.escape(data["text/plain"])}</a>'
                output["data"] = {"text/html": f"<p>{link}</p>"}
            if PLOTLY_MIME not in data:
                continue
            count += 1
            note = output.metadata.get(METADATA_KEY, {})
            picture = _write_figure(data, note.get("alt", ""), folder, f"{run.name}-{count}")
            if note.get("main"):
                summary["figure"] = picture
            output["data"] = {"text/html": picture}
            output["metadata"] = {}
    exporter = HTMLExporter(template_name="basic", preprocessors=[CoalesceStreamsPreprocessor])
    body, resources = exporter.from_notebook_node(notebook)
    css = "\n".join(resources.get("inlining", {}).get("css", []))
    back = '<p><a href="index.html">← all notebooks</a></p>'
    page = _PAGE.render(title=f"{run.name}: {summary['question']}", body=back + body, code_css=css)
    write_atomically(folder / f"{run.name}.html", page.encode())
    return summary


def _write_figure(data: Mapping[str, Any], alt: str, folder: Path, name: str) -> str:
    """Write the interactive copy; the HTML of the picture that links to it."""
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    path = figures / f"{name}.html"
    go.Figure(data[PLOTLY_MIME]).write_html(path, include_plotlyjs="directory")
    link, text = f"figures/{name}.html", html.escape(alt, quote=True)
    image = f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="{text}">'
    caption = f'<figcaption>{text} (<a href="{link}">interactive</a>)</figcaption>'
    return f'<figure><a href="{link}">{image}</a>{caption}</figure>'


def _question_and_answer(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """The title of a notebook and its paragraph that starts with **Answer**, as HTML."""
    source = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    title = re.search(r"^# (.+)$", source, re.MULTILINE)
    answer = re.search(r"(\*\*Answer\.?\*\*.+?)(?:\n\s*\n|\Z)", source, re.DOTALL)
    return {
        "question": title.group(1).strip() if title else "",
        "answer": markdown2html(answer.group(1)) if answer else "",
    }
