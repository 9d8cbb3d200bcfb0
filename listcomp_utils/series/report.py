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
"""Files that ship with the project and go beside the index, where they are there."""

_PAGES = jinja2.Environment(autoescape=True)
_PAGE = _PAGES.from_string(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 15px/1.5 system-ui, Arial, sans-serif; color: #222; max-width: 1040px; margin: 2em auto; padding: 0 1em }
a { color: #1f5a99 } h1 { line-height: 1.25 } img { max-width: 100%; height: auto }
table { border-collapse: collapse; margin: 1em 0 } th, td { border: 1px solid #ccc; padding: 3px 9px; text-align: left }
th { background: #f2f4f7 } pre { background: #f6f8fa; padding: .7em 1em; white-space: pre-wrap; font-size: 13px; line-height: 1.4 }
.no { color: #b00020; font-weight: bold } .card { border: 1px solid #ddd; border-radius: 8px; padding: 0 1.2em 1em; margin: 1.5em 0 }
table, math[display=block] { display: block; overflow-x: auto } summary { color: #1f5a99; cursor: pointer } nav li { margin: .2em 0 }
figure { margin: 1em 0; overflow-x: auto } figcaption { color: #555; font-size: 13px } .prompt, .anchor-link { display: none }
.skip { position: absolute; left: -99em } .skip:focus { position: static }
{{ code_css }}
.highlight [class^=c] { color: #35605e } .highlight .o, .highlight .ow { color: #8a2be2 }
</style></head><body>
<a class="skip" href="#main">to the text</a>
{{ navigation }}
<main id="main">{{ body }}</main>
<script src="plotly.min.js"></script>
<script>
for (const source of document.querySelectorAll("script.figure")) {
  const {data, layout} = JSON.parse(source.textContent);
  Plotly.newPlot(source.previousElementSibling, data, layout, {responsive: true, displaylogo: false});
}
for (const code of document.querySelectorAll(".input_area")) {
  const fold = document.createElement("details");
  fold.innerHTML = "<summary>code</summary>";
  code.replaceWith(fold);
  fold.append(code);
}
const contents = document.querySelector("nav ol");
for (const heading of contents ? document.querySelectorAll("main h2[id]") : []) {
  const line = document.createElement("li"), link = document.createElement("a");
  link.href = "#" + heading.id;
  link.textContent = heading.textContent.replace("¶", "");
  line.append(link);
  contents.append(line);
}
</script>
</body></html>
"""
)
_NAVIGATION = _PAGES.from_string(
    """<nav aria-label="notebooks and sections"><p><a href="index.html">← all notebooks</a>
{%- for label, name in {"before": before, "next": after}.items() if name %} · {{ label }}: <a href="{{ name }}.html">{{ name }}</a>{% endfor %}</p>
<ol></ol></nav>"""
)
_INDEX = _PAGES.from_string(
    """<h1>How does a tiny attention-only transformer carry an ordered list through a single token?</h1>
{% set failed = runs|selectattr("error")|list %}
{% set refuted = runs|map(attribute="claims")|sum(start=[])|selectattr("holds", "false")|list %}
{% if failed %}<p class="no">{{ failed|length }} of {{ runs|length }} notebooks failed: {{ failed|map(attribute="name")|join(", ") }}</p>{% endif %}
{% if refuted %}<p class="no">Claims that do not hold: {{ refuted|map(attribute="name")|join("; ") }}</p>{% endif %}
<p>This report is of {{ runs|length }} notebook{{ "s" if runs|length != 1 }}{% if parameters %}, with
{% for name, value in parameters.items() %}<code>{{ name }} = {{ value }}</code>{{ ", " if not loop.last }}{% endfor %}
{% else %}, at their default parameters{% endif %}.</p>
<h2>What the series finds{% if parameters %}, at its default parameters{% endif %}</h2>
{{ answer }}
<p><img src="mechanism.png" alt="The list 60, 44 and its reverse, worked through: the separator takes more of the digit that scores higher; the first output reads which place got more, the second turns the reading round."></p>
{% if explorer %}<p><a href="explorer.html">Play with it</a>: choose two digits, cut an edge, push the separator along the order.</p>{% endif %}
<nav aria-label="notebooks"><ul>{% for run in runs %}<li><a href="{{ run.name }}.html">{{ run.name }}: {{ run.question }}</a></li>{% endfor %}</ul></nav>
{% for run in runs %}
<section class="card">
<h2><a href="{{ run.name }}.html">{{ run.name }}: {{ run.question }}</a></h2>
{% if run.error %}<p class="no">This notebook failed: {{ run.error }}</p>{% endif %}
{{ run.answer }}
{{ run.figure }}
{% if run.claims %}<details><summary>{{ run.claims|length }} claims{% if run.claims|selectattr("holds", "false")|list %}, <span class="no">not all hold</span>{% endif %}</summary>
<table><tr><th>claim</th><th>value</th><th>expected</th><th>holds</th></tr>
{% for claim in run.claims %}<tr><td>{{ claim.name }}</td><td>{{ shown(claim.value) }}</td>
<td>{{ claim.expected }}</td><td{% if claim.holds == False %} class="no"{% endif %}>{{ verdicts[claim.holds] }}</td></tr>{% endfor %}</table></details>{% endif %}
</section>
{% endfor %}
"""
)
_FIGURE = _PAGES.from_string(
    """<figure><div role="img" aria-label="{{ alt }}" style="min-height: {{ height }}px"></div>
<script type="application/json" class="figure">{{ figure }}</script><figcaption>{{ alt }}</figcaption></figure>"""
)
_FRAME = _PAGES.from_string(
    """<p><a href="{{ page }}">{{ words }}</a></p>
<iframe src="{{ page }}" title="{{ words }}" loading="lazy" style="width: 100%; height: {{ height }}px; border: 1px solid #ccc"></iframe>"""
)


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
    record = {
        "parameters": dict(parameters),
        "claims": {run["name"]: run["claims"] for run in runs},
    }
    write_atomically(folder / "claims.json", json.dumps(record, indent=1, default=str).encode())
    write_atomically(folder / "plotly.min.js", get_plotlyjs().encode())
    for name in BESIDE:
        if (shipped_dir() / name).is_file():
            write_atomically(folder / name, (shipped_dir() / name).read_bytes())
    body = _INDEX.render(
        runs=runs,
        parameters=parameters,
        answer=Markup(markdown2html((shipped_dir() / "ANSWER.md").read_text())),
        explorer=(folder / "explorer.html").is_file(),
        shown=format_value,
        verdicts=VERDICTS,
    )
    page = _PAGE.render(title="An ordered list through a single token: report", body=Markup(body))
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
        figure = _figure(output.data[PLOTLY_MIME], note["alt"])
        output.data = {"text/html": figure}
        main = figure if note["main"] else main
    for output in outputs_with(notebook, "text/plain"):
        note = output.metadata.get(METADATA_KEY, {})
        if "page" in note:
            page = _FRAME.render(**note, words=output.data["text/plain"])
            output.data = {"text/html": page}
    exporter = HTMLExporter(template_name="basic", preprocessors=[CoalesceStreamsPreprocessor])
    body, resources = exporter.from_notebook_node(notebook)
    page = _PAGE.render(
        title=f"{path.stem}: {question}",
        navigation=Markup(_NAVIGATION.render(before=before, after=after)),
        body=Markup(body),
        code_css=Markup("\n".join(resources["inlining"]["css"])),
    )
    write_atomically(folder / f"{path.stem}.html", page.encode())
    return {
        "name": path.stem,
        "question": question,
        "answer": Markup(markdown2html(answer)),
        "figure": main,
        "claims": recorded_claims(notebook),
    }


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


def _figure(figure: Mapping[str, Any], alt: str) -> Markup:
    """A figure's place in a page, with its JSON, which the page's script draws there."""
    # Inside a script element only "</" ends it.
    text = json.dumps(figure).replace("</", "<\\/")
    height = figure["layout"].get("height", 450)
    return Markup(_FIGURE.render(figure=Markup(text), alt=alt, height=height))
