"""Tables of sweeps: beside a sweep's cells, over seeds, and small enough to ship.

summarise(frame, ["n_layers"], ["per_token"])           # seeds, per_token, per_token_sd, ...
write_table(frame, "artifacts/scaling_depth.json", "How many layers ...?")
read_table("scaling_depth")
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from listcomp_utils.config import ConfigError
from listcomp_utils.files import check_writable, shipped_dir, write_atomically
from listcomp_utils.sweeps.workers import OUTCOME


def varied_settings(frame: pd.DataFrame) -> list[str]:
    """Settings that differ between the rows, of a frame of settings or of one by `run_grid`."""
    return [name for name in _settings_of(frame) if frame[name].map(repr).nunique() > 1]


def summarise(frame: pd.DataFrame, by: Sequence[str], figures: Sequence[str]) -> pd.DataFrame:
    """One row for each combination of the columns `by`, in the order in which they first come.

    `seeds` counts its rows; each figure is their mean, with `_sd` (of a sample; NaN for one row),
    `_min` and `_max`. Missing values are left out; true and false count as 1 and 0.
    """
    numbers = frame[[*by]].join(frame[[*figures]].astype(float))
    groups = numbers.groupby([*by] or (lambda row: 0), sort=False, dropna=False)
    summary = groups[[*figures]].agg(["mean", "std", "min", "max"])
    endings = {"mean": "", "std": "_sd", "min": "_min", "max": "_max"}
    summary.columns = [f"{name}{endings[what]}" for name, what in summary.columns]
    summary.insert(0, "seeds", groups.size())
    return summary.reset_index(drop=not by)


def summarise_sweep(frame: pd.DataFrame) -> pd.DataFrame:
    """Cells that differ by their seed only in one row, of a frame that `run_grid` gives.

    `seeds` finished and `failed` did not. The figures are those of `summarise` over the finished
    ones; of trainings, over those that left the plateau: `broke_through` many.
    """
    by = [name for name in _settings_of(frame) if name != "seed"]
    # Settings may be lists, by which pandas does not group.
    group, _ = pd.factorize(pd.Index([repr(row) for row in frame[by].to_numpy().tolist()]))
    done = frame["status"] == "done"
    counts, kept = pd.DataFrame({"seeds": done, "failed": ~done}), done
    if "broke_through" in frame.columns:
        kept = counts["broke_through"] = done & frame["broke_through"].eq(True)
    counts = counts.groupby(group).sum()
    if "broke_through" in counts:
        counts["share_broke_through"] = counts["broke_through"] / counts["seeds"]
    values = frame.drop(columns=[*_settings_of(frame), *OUTCOME, "broke_through"], errors="ignore")
    numbers = [n for n in values if is_numeric_dtype(values[n].dropna().infer_objects())]
    values = values[numbers].where(kept)
    values["seconds"] = frame["seconds"]
    over_seeds = summarise(values.assign(group=group), ["group"], list(values))
    settings = frame.loc[~pd.Index(group).duplicated(), by].reset_index(drop=True)
    return settings.join(counts).join(over_seeds.drop(columns=["group", "seeds"]))


def write_tables(frame: pd.DataFrame, folder: Path) -> None:
    """Write a sweep's table and, where it has seeds, its summary, each as CSV and JSON."""
    tables = {"table": frame}
    if "seed" in frame.columns:
        tables["summary"] = summarise_sweep(frame)
    try:
        for name, rows in tables.items():
            content = json.dumps(_records(rows), indent=1) + "\n"
            write_atomically(folder / f"{name}.csv", rows.to_csv(index=False).encode())
            write_atomically(folder / f"{name}.json", content.encode())
    except OSError as error:
        raise ConfigError(f"no tables in {folder}: {error}; all cells are recorded") from None


def write_table(frame: pd.DataFrame, path: str | Path, question: str = "") -> Path:
    """Write a finished grid as one small JSON file that `read_table` reads.

    Settings that all rows share stand once; a row has the others and its figures, numbers with 5
    significant digits. A failed cell raises RuntimeError.
    """
    path, varied = Path(path), [name for name in varied_settings(frame) if name != "seed"]
    if errors := frame.loc[frame["status"] != "done", "error"].tolist():
        said = f"{len(errors)} of {len(frame)} cells failed, no table is written"
        raise RuntimeError(f"{said}; the first: {errors[0]}")
    shared = [name for name in _settings_of(frame) if name not in {*varied, "seed"}]
    head = {
        "question": question,
        "made": frame.attrs.get("made", {}),
        "shared": _records(frame[shared])[0],
        "varied": varied,
    }
    rows = json.dumps(_records(frame.drop(columns=[*shared, "status", "error"])))
    rows = json.loads(rows, parse_float=lambda text: float(f"{float(text):.5g}"))
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    content = json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n  {lines}\n ]\n}}\n'
    check_writable(path.parent, "path: folder")
    write_atomically(path, content.encode())
    return path


def read_table(name: str, folder: str | Path | None = None) -> pd.DataFrame:
    """The rows of the table NAME.json, as it ships or in a folder.

    `attrs` holds its `question`, `made`, `shared` (settings that all rows have) and `varied` (names
    of the settings that differ, the seed left out).
    """
    path = (shipped_dir() if folder is None else Path(folder)) / f"{name}.json"
    if not path.is_file():
        command = f"python -m listcomp_utils tables {name}"
        raise ConfigError(f"{path.name} is not in {path.parent}: `{command}` makes it")
    try:
        read = json.loads(path.read_text())
        frame = pd.DataFrame.from_records(read["rows"])
        frame.attrs = {key: read[key] for key in ("question", "made", "shared", "varied")}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a table of a sweep: {error!r}") from None
    return frame


def _settings_of(frame: pd.DataFrame) -> list[str]:
    """The columns before `status`, all where there is none."""
    names = list(frame)
    return names[: names.index("status")] if "status" in names else names


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain JSON values, None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")
