"""The record of a sweep: one SQLite file, a row a finished cell, whole through kill -9.

with open_records(folder) as records:                   # one process at a time
    records.add("my work", {"seed": 0}, outcome)
    records.found[identity({"seed": 0})].figures
read_records(folder)                                    # any time, by anyone

The sweeping process alone writes, one transaction a cell: a kill leaves the cell or nothing of it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, Json, ValidationError

from listcomp_utils.config import ConfigError

FILE = "cells.sqlite"
"""File of the records in the folder of a sweep."""


class Record(BaseModel):
    """One finished cell, as its columns in the file; those of JSON are read."""

    work: str
    """Name of what ran: one kind a folder."""
    settings: Json[dict[str, Any]]
    status: Literal["done", "failed"]
    figures: Json[dict[str, Any]]
    error: str | None
    """Type and message of a failed cell's exception."""
    seconds: float
    finished: str
    """Date and time, ISO 8601, UTC."""
    versions: Json[dict[str, str]]


class Records:
    """The records in a folder, by the identity of their settings; made by `open_records`."""

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database, self._path = database, path
        with _naming(path), database:
            if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                columns = ", ".join(f"{name} TEXT" for name in Record.model_fields)
                database.execute(f"CREATE TABLE cells (identity TEXT PRIMARY KEY, {columns})")
        self.found = {identity(one.settings): one for one in _all_of(database, path)}

    def add(self, work: str, settings: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        """Write the outcome of a cell to the disk, in place of an earlier one.

        Raises:
            ConfigError: when the disk is full; the file is then as it was.
        """
        row = {"identity": identity(settings), "work": work, "settings": settings, **outcome}
        row = {k: json.dumps(v) if isinstance(v, Mapping) else v for k, v in row.items()}
        names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
        with _naming(self._path), self._database as database:
            database.execute(f"REPLACE INTO cells ({names}) VALUES ({places})", row)
        self.found[row.pop("identity")] = Record(**row)


def identity(settings: Mapping[str, Any]) -> str:
    """Settings as canonical JSON: the same for equal settings, as 1 and 1.0, in any order.

    Raises:
        TypeError, ValueError: for what is not plain JSON.
    """

    def number(text: str) -> int | float:
        return int(float(text)) if float(text).is_integer() else float(text)

    text = json.dumps(settings, allow_nan=False)
    return json.dumps(json.loads(text, parse_float=number), sort_keys=True)


@contextlib.contextmanager
def open_records(folder: Path) -> Iterator[Records]:
    """The records in a folder, for this process alone; the lock goes when the process does.

    Raises:
        ConfigError: when another process holds them, the folder cannot be written, or the file is
            damaged or not of a sweep.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The system's own lock (flock, LockFileEx): it is gone with the process that held it.
        held = FileLock(folder / ".lock").acquire(blocking=False)
    except Timeout:
        raise ConfigError(
            f"a sweep named {folder.name!r} is running already: wait for it, or choose another name"
        ) from None
    except OSError as error:
        raise ConfigError(f"the folder {str(folder)!r} cannot be written: {error}") from None
    with held, _naming(folder / FILE), contextlib.closing(sqlite3.connect(folder / FILE)) as opened:
        yield Records(opened, folder / FILE)


def read_records(folder: Path) -> list[Record]:
    """Every record in a folder, also while a sweep runs there; [] when there are none.

    Raises:
        ConfigError: when the file is damaged or not of a sweep.
    """
    path = (folder / FILE).resolve()
    if not path.exists():
        return []
    with _naming(path), contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
        return _all_of(database, path)


def _all_of(database: sqlite3.Connection, path: Path) -> list[Record]:
    names = list(Record.model_fields)
    with _naming(path):
        rows = database.execute(f"SELECT {', '.join(names)} FROM cells ORDER BY rowid").fetchall()
    try:
        return [Record(**dict(zip(names, row, strict=True))) for row in rows]
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{path} holds a cell of an unknown shape ({first['loc'][0]}: {first['msg']}): "
            "move the file away, or choose another name"
        ) from None


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of SQLite as one that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise ConfigError(
            f"{path} cannot be read or written as the record of a sweep: {error}"
        ) from None
