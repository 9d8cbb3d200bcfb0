"""The README's figures: written from the claims of a run, between two markers."""

from __future__ import annotations

import json
from pathlib import Path

from listcomp_utils.claims import format_value
from listcomp_utils.display import markdown_table
from listcomp_utils.files import write_atomically

START, END = "<!-- results: written by make refresh -->", "<!-- end of results -->"


def results_table(claims_file: Path) -> str:
    """The claims of every notebook of a run as one Markdown table."""
    record = json.loads(claims_file.read_text())
    rows = [
        [notebook, claim["name"], format_value(claim["value"]), claim["expected"] or "shown"]
        for notebook, claims in record["claims"].items()
        for claim in claims
    ]
    return markdown_table(["notebook", "figure", "value", "expected"], rows)


def write_results(readme: Path, claims_file: Path) -> None:
    """Put the table between the README's markers; raises ValueError when they are missing."""
    text = readme.read_text()
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{readme.name} lacks the markers {START!r} and {END!r}")
    new = f"{before}{START}\n{results_table(claims_file)}\n{END}{after}"
    write_atomically(readme, new.encode())
