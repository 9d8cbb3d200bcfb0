"""The README's figures and its picture, taken from a run: nothing there is typed by hand.

write_results(Path("README.md"), run / "claims.json")
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import nbformat

from listcomp_utils.files import write_atomically
from listcomp_utils.notebook.claims import format_value
from listcomp_utils.notebook.show import METADATA_KEY

PICTURE_FROM = "02_attention"
START, END = "<!-- results: written by make refresh -->", "<!-- end of results -->"


def results_tables(claims_file: Path) -> str:
    """The claims of every notebook of a run: a Markdown table each, folded away under its name."""
    record = json.loads(claims_file.read_text())
    parts = []
    for notebook, claims in record["claims"].items():
        rows = [[c["name"], format_value(c["value"]), c["expected"] or "shown"] for c in claims]
        table = _markdown_table([["figure", "value", "expected"], ["---"] * 3, *rows])
        head = f"<details><summary>{notebook}: {len(claims)} figures</summary>"
        parts.append(f"{head}\n\n{table}\n\n</details>")
    return "\n".join(parts)


def write_results(readme: Path, claims_file: Path) -> None:
    """Put the tables between the README's markers; raises ValueError when they are missing."""
    text = readme.read_text()
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{readme.name} lacks the markers {START!r} and {END!r}")
    new = f"{before}{START}\n{results_tables(claims_file)}\n{END}{after}"
    write_atomically(readme, new.encode())


def write_picture(path: Path, executed: Path) -> None:
    """Save the main figure of an executed notebook; raises ValueError when it has none."""
    for cell in nbformat.read(executed, as_version=4).cells:
        for output in cell.get("outputs", []):
            if output.get("metadata", {}).get(METADATA_KEY, {}).get("main"):
                write_atomically(path, base64.b64decode(output["data"]["image/png"]))
                return
    raise ValueError(f"{executed.name} shows no main figure")


def _markdown_table(rows: list[list[str]]) -> str:
    """Rows as Markdown; bars inside a cell are escaped."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)
