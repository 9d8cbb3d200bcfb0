"""What several tests share: one tiny trained model, the reference files, a folder for runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

os.environ["LISTCOMP_HEADLESS"] = "1"
# What a clone's own runs left behind must not decide a test.
os.environ["LISTCOMP_RUNS"] = tempfile.mkdtemp(prefix="listcomp-runs-")

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("LISTCOMP_REFERENCE", ROOT.parent / "shared" / "reference"))


@pytest.fixture(scope="session")
def trained():
    """The seed preset, trained once: about a second."""
    from listcomp_utils.config import Config
    from listcomp_utils.training.loop import train

    return train(Config.preset("seed"), progress="none")


@pytest.fixture
def reference():
    """A function that gives a reference file's path, or skips with the reason."""

    def find(name: str) -> Path:
        path = REFERENCE / name
        if not path.is_file():
            pytest.skip(f"reference file {name} is not here; set LISTCOMP_REFERENCE to its folder")
        return path

    return find


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    """A folder that takes the place of artifacts/runs."""
    monkeypatch.setenv("LISTCOMP_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"
