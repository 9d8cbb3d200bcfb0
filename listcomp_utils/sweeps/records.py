"""The record of a sweep: one SQLite file, a row a finished cell, whole through kill -9.

with open_records(folder) as records:                   # one process at a time
    records.add("trainings", {"seed": 0}, outcome)
    records.found[identity({"seed": 0})].figures
read_records(folder)                                    # any time, by anyone
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, Json, ValidationError

from listcomp_utils.config import ConfigError

FILE = "cells.sqlite"


class Record(BaseModel):
    """One finished cell, as its columns in the file; `work` is the name of what ran."""

    work: str
    settings: Json[dict[str, Any]]
    status: Literal["done", "failed"]
    error: str | None
    seconds: float
    finished: str
    figures: Json[dict[str, Any]]
    versions: Json[dict[str, str]]


_COLUMNS = ", ".join(Record.model_fields)


class Records:
    """The records of an open sweep: `found` has them by the identity of their settings."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.found = {identity(one.settings): one for one in _all_of(database)}
        database.execute(f"CREATE TABLE IF NOT EXISTS cells (identity PRIMARY KEY, {_COLUMNS})")

    def add(self, work: str, settings: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        """Write the outcome of a cell to the disk, in place of an earlier one; whole or not."""
        row = {"work": work, "settings": settings, **outcome}
        row = {k: json.dumps(v) if isinstance(v, Mapping) else v for k, v in row.items()}
        key, names = identity(settings), ", ".join(row)
        insert = f"REPLACE INTO cells (identity, {names}) VALUES (?{', ?' * len(row)})"
        with self._database as database:  # one transaction: a kill leaves the cell or nothing of it
            database.execute(insert, (key, *row.values()))
        self.found[key] = Record(**row)


def identity(settings: Mapping[str, Any]) -> str:
    """Settings as canonical JSON: the same for equal settings, as 1 and 1.0, in any order.

    Raises TypeError or ValueError for what is not plain JSON.
    """

    def number(text: str) -> int | float:
        return int(float(text)) if float(text).is_integer() else float(text)

    text = json.dumps(settings, allow_nan=False)
    return json.dumps(json.loads(text, parse_float=number), sort_keys=True)


@contextmanager
def open_records(folder: Path) -> Iterator[Records]:
    """The records in a folder, for this process alone; the lock goes when the process does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The system's own lock (flock, LockFileEx): it is gone with the process that held it.
        lock = FileLock(folder / ".lock").acquire(blocking=False)
    except Timeout:
        raise ConfigError(
            f"a sweep named {folder.name!r} is running already: wait for it, or choose another name"
        ) from None
    except OSError as error:
        raise ConfigError(f"the folder {str(folder)!r} cannot be written: {error}") from None
    with lock, _opened(folder / FILE) as database:
        for leftover in folder.glob(".*.tmp"):  # of a table that a kill cut off
            leftover.unlink()
        yield Records(database)


def read_records(folder: Path) -> list[Record]:
    """Every record in a folder, also while a sweep runs there."""
    if not (folder / FILE).exists():
        return []
    with _opened(folder / FILE) as database:
        return _all_of(database)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, timeout=60)) as database:
            yield database
    except sqlite3.Error as error:
        raise ConfigError(f"{path} is not a sweep's record, or cannot be used: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{path} holds a cell of an unknown shape ({first['loc'][0]}: {first['msg']}): "
            "move the file away, or choose another name"
        ) from None


def _all_of(database: sqlite3.Connection) -> list[Record]:
    if not database.execute("SELECT name FROM sqlite_master").fetchall():
        return []  # a sweep that has just begun
    database.row_factory = sqlite3.Row
    rows = database.execute(f"SELECT {_COLUMNS} FROM cells ORDER BY rowid")
    return [Record(**dict(row)) for row in rows]
