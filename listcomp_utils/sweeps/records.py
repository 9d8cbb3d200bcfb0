"""The record of a sweep: one JSON line a run, kept whole through kill -9.

with open_records(folder) as records:                     # one process at a time
    records.append(cell, {"status": "done", ...})
for record in read_records(folder / RECORDS): ...         # any time, by anyone

The sweeping process alone writes, one line by one call in append mode, and syncs it to the disk
before it counts as done: a kill leaves at most a torn last line, which the next opening drops.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.files import check_writable
from listcomp_utils.sweeps.grid import Cell

RECORDS = "runs.jsonl"
"""File of the records in the folder of a sweep."""


class Records:
    """The latest record of every cell that ran; made by `open_records`."""

    def __init__(self, path: Path) -> None:
        _mend(path)
        self._file = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644
        )
        self._path = path
        self._latest = {cell_of(record).key: record for record in read_records(path)}

    def get(self, cell: Cell) -> dict[str, Any] | None:
        """The latest record of a cell, or None when it has not run."""
        return self._latest.get(cell.key)

    def all(self) -> list[dict[str, Any]]:
        """The latest record of every cell, in the order in which cells were first recorded."""
        return list(self._latest.values())

    def append(self, cell: Cell, outcome: Mapping[str, Any]) -> dict[str, Any]:
        """Write one run's record to the disk, and give it back; a later one of a cell counts.

        Raises:
            OSError: when the disk is full; the file is then as it was.
        """
        record = {"notebook": cell.notebook, "settings": dict(cell.settings), **outcome}
        line = (json.dumps(record, sort_keys=True, allow_nan=False) + "\n").encode()
        before = os.fstat(self._file).st_size
        if os.write(self._file, line) != len(line):
            os.ftruncate(self._file, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        os.fsync(self._file)
        self._latest[cell.key] = record
        return record

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@contextlib.contextmanager
def open_records(folder: Path) -> Iterator[Records]:
    """The records in a folder, for this process alone; the lock goes when the process does.

    Raises:
        ConfigError: when another process holds them, the folder cannot be written, or a line
            other than the last is damaged.
    """
    check_writable(folder)
    # The system's own lock (flock, LockFileEx): it is gone with the process that held it.
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ConfigError(
            f"a sweep named {folder.name!r} is running already: wait for it, or choose another name"
        ) from None
    try:
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()
        records = Records(folder / RECORDS)
        try:
            yield records
        finally:
            records.close()
    finally:
        lock.release()


def read_records(path: Path) -> list[dict[str, Any]]:
    """Every record in a file in the order of writing, without a torn last line; [] if no file.

    Raises:
        ConfigError: naming a line that is damaged and not the last.
    """
    records = []
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for number, line in enumerate(lines, start=1):
        record = _parse(line)
        if record is not None:
            records.append(record)
        elif number < len(lines):
            raise ConfigError(
                f"line {number} of {path.name} is damaged: remove it, and its cell runs again"
            )
    return records


def cell_of(record: Mapping[str, Any]) -> Cell:
    """The cell of a record; fields that `Config` gained since have the values they then had."""
    settings = record["settings"]
    if record["notebook"] is None:
        with contextlib.suppress(ConfigError):  # a field or value that is no more: kept as it is
            settings = Config.from_dict(settings).to_dict()
    return Cell(record["notebook"], settings)


def _mend(path: Path) -> None:
    """End the file with a whole line: drop a torn one, or finish one that lacks its end only."""
    content = path.read_bytes() if path.exists() else b""
    whole, torn = content.rfind(b"\n") + 1, content[content.rfind(b"\n") + 1 :]
    if not torn:
        return
    with open(path, "r+b") as file:
        if _parse(torn) is None:
            file.truncate(whole)
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        file.flush()
        os.fsync(file.fileno())


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(record, dict) and {"notebook", "settings", "status"} <= record.keys()
    return record if whole else None
