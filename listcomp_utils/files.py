"""Where checkpoints and reports lie, and writing them whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from listcomp_utils.config import ConfigError

RUNS_VARIABLE = "LISTCOMP_RUNS"
"""Environment variable that names another folder for what runs make."""

REPORT_VARIABLE = "LISTCOMP_REPORT"
"""Environment variable that tells a notebook the folder of the report it runs for."""

HEADLESS_VARIABLE = "LISTCOMP_HEADLESS"
"""Environment variable that is set when nobody watches: plain lines, pages written to files."""

PACKAGE = Path(__file__).resolve().parent
"""The package's folder; an installed one has the notebooks and what ships with them inside."""


def repository_dir() -> Path | None:
    """The clone this package runs from, or None when it was installed without one."""
    root = PACKAGE.parent
    return root if (root / "notebooks").is_dir() and (root / "pyproject.toml").is_file() else None


def shipped_dir() -> Path:
    """The folder of the checkpoints that ship with the project."""
    root = repository_dir()
    return root / "artifacts" if root else PACKAGE / "shipped"


def runs_dir() -> Path:
    """The folder for what runs make: artifacts/runs in a clone, ./artifacts/runs elsewhere."""
    named = os.environ.get(RUNS_VARIABLE)
    return Path(named) if named else (repository_dir() or Path.cwd()) / "artifacts" / "runs"


def working_dir(artifacts_dir: str | Path | None) -> Path:
    """The folder new checkpoints go to: the one named, or runs/checkpoints."""
    return Path(artifacts_dir).expanduser() if artifacts_dir else runs_dir() / "checkpoints"


def check_writable(folder: Path, name: str = "artifacts_dir") -> None:
    """Make a folder and try a file in it; raises ConfigError, naming the setting, if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{name} {str(folder)!r} cannot be written: {error}") from None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename: readers see the old or the new one, whole."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
