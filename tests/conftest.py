"""What several tests share: models, the reference files, a folder for runs."""

import os
import subprocess
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


@pytest.fixture(scope="session")
def case(trained):
    """The trained model, all its lists, and what it computes on them."""
    from listcomp_utils.hooks import run_all
    from listcomp_utils.task import all_lists

    lists = all_lists(trained.config)
    return trained.model, lists, run_all(trained.model, lists)


@pytest.fixture(scope="session")
def study_model():
    """The shipped checkpoint of the study preset."""
    from listcomp_utils.checkpoints import find_trained
    from listcomp_utils.config import Config

    return find_trained(Config.preset("study", device="cpu")).model


@pytest.fixture(scope="session")
def study(study_model):
    """Its weights in float64."""
    import torch

    from listcomp_utils.circuit.formula import weights_of

    return weights_of(study_model, torch.float64)


@pytest.fixture
def released(reference):
    """The model that was published with the study."""
    from listcomp_utils.checkpoints import load_model
    from listcomp_utils.config import Config

    return load_model(reference("published_len2_n100_d64.pt"), Config.preset("study"))


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
def tracked() -> list[str]:
    """The files that git knows."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.split()


@pytest.fixture
def displayed(monkeypatch) -> list:
    """What a notebook displays: the data and the keywords of each call."""
    seen = []
    display = "listcomp_utils.notebook.show.display"
    monkeypatch.setattr(display, lambda data, **more: seen.append((data, more)))
    return seen


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    """A folder that takes the place of artifacts/runs."""
    monkeypatch.setenv("LISTCOMP_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"
