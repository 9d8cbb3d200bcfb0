"""The table of a sweep: a row a cell, a summary over seeds, as text, CSV and JSON.

rows = [table_row(record) for record in read_records("runs.jsonl")]
print(text_table(*shown_rows(rows)))
write_table(summary_rows(rows), folder / "summary")     # summary.csv, summary.json
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from listcomp_utils.files import write_atomically
from listcomp_utils.notebook.claims import format_value

Row = dict[str, Any]

ACCURACIES = ("per_token", "per_list")
"""Figures that the summary gives for the seeds that broke through."""

_AFTER_SETTINGS = ("status", "error", "seconds")
_SHOWN = (
    "broke_through",
    "breakthrough_step",
    *ACCURACIES,
    "loss",
    "claims_held",
    "claims_checked",
)


def table_row(record: Mapping[str, Any]) -> Row:
    """One record of a run as flat columns: settings, status, error, seconds, figures."""
    error = record.get("error")
    result = dict(record.get("result", {}))
    claims = {f"claim: {claim['name']}": claim["value"] for claim in result.pop("claims", [])}
    return {
        **({} if record["notebook"] is None else {"notebook": record["notebook"]}),
        **record["settings"],
        "status": record["status"],
        "error": f"{error['type']}: {error['message']}" if error else None,
        "seconds": record["seconds"],
        **result,
        **claims,
    }


def summary_rows(rows: Sequence[Row]) -> list[Row]:
    """Trainings that differ by their seed only in one row.

    `seeds` finished and `failed` did not; `share_broke_through` is of the finished ones, and the
    accuracies are mean and standard deviation (None for a single one) of those that broke through.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        rest = {name: row[name] for name in _setting_names(row) if name != "seed"}
        groups.setdefault(json.dumps(rest, sort_keys=True), []).append(row)
    summary = []
    for key, group in groups.items():
        done = [row for row in group if row["status"] == "done"]
        through = [row for row in done if row["broke_through"]]
        figures: Row = {
            "seeds": len(done),
            "failed": len(group) - len(done),
            "broke_through": len(through),
            "share_broke_through": len(through) / len(done) if done else None,
        }
        for name in ACCURACIES:
            values = [row[name] for row in through]
            figures[name] = statistics.fmean(values) if values else None
            figures[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else None
        steps = [row["breakthrough_step"] for row in through]
        figures["breakthrough_step_median"] = statistics.median(steps) if steps else None
        figures["seconds"] = statistics.fmean(row["seconds"] for row in group)
        summary.append({**json.loads(key), **figures})
    return summary


def shown_rows(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Head and cells of the table to print: the settings that vary, then the main figures."""
    varied = [
        name for name in _setting_names(rows[0]) if len({repr(r.get(name)) for r in rows}) > 1
    ]
    figures = [name for name in _SHOWN if any(row.get(name) is not None for row in rows)]
    last = ["seconds", *(["error"] if any(row["error"] for row in rows) else [])]
    head = [*varied, "status", *figures, *last]
    return [name.replace("_", " ") if name not in varied else name for name in head], [
        [_shown(row.get(name)) for name in head] for row in rows
    ]


def shown_summary(summary: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Head and cells of the summary to print, with `mean ± standard deviation`."""
    settings = list(summary[0])[: list(summary[0]).index("seeds")]
    varied = [name for name in settings if len({repr(row.get(name)) for row in summary}) > 1]
    failed = ["failed"] if any(row["failed"] for row in summary) else []
    head = [*varied, "seeds", *failed, "broke through"]
    head += [f"{name.replace('_', ' ')}, given that" for name in ACCURACIES]
    cells = []
    for row in summary:
        share = row["share_broke_through"]
        through = "" if share is None else f"{row['broke_through']} of {row['seeds']} ({share:.0%})"
        cells.append([_shown(row[name]) for name in [*varied, "seeds", *failed]] + [through])
        for name in ACCURACIES:
            mean, spread = row[name], row[f"{name}_sd"]
            text = "" if mean is None else f"{mean:.4f}"
            cells[-1].append(text if spread is None else f"{text} ± {spread:.4f}")
    return head, cells


def text_table(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Aligned columns for a terminal."""
    lines = [head, *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([padded[0], "  ".join("-" * width for width in widths), *padded[1:]])


def write_table(rows: Sequence[Row], stem: Path) -> list[Path]:
    """Write rows as STEM.csv and STEM.json, each whole or not at all; the two paths."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    paths = [stem.with_suffix(".csv"), stem.with_suffix(".json")]
    write_atomically(paths[0], text.getvalue().encode())
    write_atomically(paths[1], (json.dumps(list(rows), indent=1) + "\n").encode())
    return paths


def _setting_names(row: Row) -> list[str]:
    return list(row)[: list(row).index(_AFTER_SETTINGS[0])]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else format_value(value)
