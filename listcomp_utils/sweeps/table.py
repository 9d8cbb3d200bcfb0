"""Tables of sweeps: beside a sweep's cells, over seeds, and small enough to ship.

write_frame(frame, folder / "table")                    # table.csv, table.json
summarise(frame, ["n_layers"], ["per_token"])           # seeds, per_token, per_token_sd, ...
write_table(frame, "artifacts/scaling_depth.json", question="How many layers ...?")
read_table("scaling_depth").attrs["shared"]["n_digits"]
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from listcomp_utils.config import ConfigError
from listcomp_utils.files import check_writable, shipped_dir, write_atomically
from listcomp_utils.sweeps.workers import OUTCOME


def settings_of(frame: pd.DataFrame) -> list[str]:
    """Names of the columns that are settings: those before `status`.

    Raises:
        KeyError: when the frame has no column `status`.
    """
    return list(frame.columns[: frame.columns.get_loc(OUTCOME[0])])


def varied_settings(frame: pd.DataFrame) -> list[str]:
    """Settings that differ between the rows."""
    return [name for name in settings_of(frame) if frame[name].map(repr).nunique() > 1]


def summarise(frame: pd.DataFrame, by: Sequence[str], figures: Sequence[str]) -> pd.DataFrame:
    """One row for each combination of the columns `by`, in the order in which they first come.

    `seeds` counts its rows; each figure is their mean, with `_sd` (of a sample; NaN for one row),
    `_min` and `_max`. Missing values are left out; true and false count as 1 and 0.
    """
    keys = [frame[name] for name in by] or [pd.Series(0, index=frame.index)]
    groups = frame[list(figures)].astype(float).groupby(keys, sort=False, dropna=False)
    summary = groups.agg(["mean", "std", "min", "max"])
    endings = {"mean": "", "std": "_sd", "min": "_min", "max": "_max"}
    summary.columns = [f"{name}{endings[what]}" for name, what in summary.columns]
    summary.insert(0, "seeds", groups.size())
    return summary.reset_index(drop=not by)


def summarise_sweep(frame: pd.DataFrame) -> pd.DataFrame:
    """Cells that differ by their seed only in one row, of a frame that `run_grid` gives.

    `seeds` finished and `failed` did not. The figures are those of `summarise` over the finished
    ones; of trainings, over those that left the plateau (see `history.breakthrough_step`), which
    are `broke_through` many, a share `share_broke_through`.
    """
    settings = settings_of(frame)
    by = [name for name in settings if name != "seed"]
    groups, _ = pd.factorize(pd.Index([repr(row) for row in frame[by].to_numpy().tolist()]))
    done = frame["status"] == "done"
    counted, kept = {"seeds": done, "failed": ~done}, done
    if "broke_through" in frame.columns:
        kept = counted["broke_through"] = done & frame["broke_through"].eq(True)
    figures = [
        name
        for name in frame.columns[len(settings) + len(OUTCOME) :]
        if name != "broke_through"
        and pd.api.types.is_numeric_dtype(frame[name].dropna().infer_objects())
    ]
    counts = pd.DataFrame(counted).groupby(groups).sum()
    if "broke_through" in counts:
        counts["share_broke_through"] = counts["broke_through"] / counts["seeds"]
    if "breakthrough_step" in figures:
        steps = frame["breakthrough_step"].where(kept)
        counts["breakthrough_step_median"] = steps.groupby(groups).median()
    shown = frame[figures].where(kept).assign(group=groups, seconds=frame["seconds"])
    over_seeds = summarise(shown, ["group"], [*figures, "seconds"])
    settings = frame[by][~pd.Series(groups).duplicated().to_numpy()].reset_index(drop=True)
    return settings.join(counts).join(over_seeds[over_seeds.columns[2:]])


def write_frame(frame: pd.DataFrame, stem: Path) -> None:
    """Write STEM.csv and STEM.json (a list of rows, null for missing), each whole or not at all.

    Raises:
        OSError: when the disk is full or the folder cannot be written.
    """
    write_atomically(stem.with_suffix(".csv"), frame.to_csv(index=False).encode())
    content = json.dumps(_records(frame), indent=1)
    write_atomically(stem.with_suffix(".json"), f"{content}\n".encode())


def write_table(
    frame: pd.DataFrame,
    path: str | Path,
    question: str = "",
    made: Mapping[str, Any] | None = None,
) -> Path:
    """Write a finished grid as one small JSON file that `read_table` reads.

    Settings that all rows share stand once; a row has the others and its figures, numbers with 5
    significant digits. `made` says when, by which versions and in how many seconds (default: as
    `run_grid` says in the frame's `attrs`).

    Raises:
        RuntimeError: when a cell failed; nothing is written.
        ConfigError: for a folder that cannot be written.
    """
    path, settings, varied = Path(path), settings_of(frame), varied_settings(frame)
    failed = frame[frame["status"] != "done"]
    if len(failed):
        raise RuntimeError(
            f"{len(failed)} of {len(frame)} cells failed, no table is written; the first: "
            f"{failed['error'].iloc[0]}"
        )
    kept = [name for name in settings if name in varied or name == "seed"]
    rows = _records(frame[[*kept, "seconds", *frame.columns[len(settings) + len(OUTCOME) :]]])
    shared = _records(frame[[name for name in settings if name not in kept]].head(1))
    head = {
        "question": question,
        "made": dict(frame.attrs.get("made", {}) if made is None else made),
        "shared": shared[0] if shared else {},
        "varied": [name for name in varied if name != "seed"],
    }
    lines = ",\n  ".join(json.dumps(_rounded(row)) for row in rows)
    content = json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n  {lines}\n ]\n}}\n'
    check_writable(path.parent)
    try:
        write_atomically(path, content.encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}") from None
    return path


def read_table(name: str, folder: str | Path | None = None) -> pd.DataFrame:
    """The rows of the table NAME.json, as it ships or in a folder.

    `attrs` holds its `question`, `made`, `shared` (settings that all rows have) and `varied` (names
    of the settings that differ, the seed left out).

    Raises:
        ConfigError: when it is not there, or is not a table.
    """
    path = (shipped_dir() if folder is None else Path(folder)) / f"{name}.json"
    if not path.is_file():
        made = f"`python -m listcomp_utils tables {name}` makes it"
        raise ConfigError(f"{path.name} is not in {path.parent}: {made}")
    try:
        read = json.loads(path.read_text())
        frame = pd.DataFrame.from_records(read["rows"])
        frame.attrs = {key: read[key] for key in ("question", "made", "shared", "varied")}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a table of a sweep: {error!r}") from None
    return frame


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain JSON values, None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
