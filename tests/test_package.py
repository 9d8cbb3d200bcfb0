"""The wheel: it holds all that the series reads, and says of itself what is so."""

import importlib.resources
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import listcomp_utils
from listcomp_utils.files import shipped_dir
from listcomp_utils.series.checks import series_dir

ROOT = Path(__file__).resolve().parent.parent
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
HOMES = {"artifacts": "listcomp_utils/shipped", "notebooks": "listcomp_utils/notebooks"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the tree, so that nothing is left in it; opened."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in ("listcomp_utils", *HOMES):
        left_out = shutil.ignore_patterns("__pycache__", "runs")
        shutil.copytree(ROOT / name, tree / name, ignore=left_out)
    subprocess.run(
        [sys.executable, "-c", BUILD, str(tree)], cwd=tree, check=True, capture_output=True
    )
    (built,) = tree.glob("*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel) -> str:
    """The headers of the wheel's METADATA, without the README that follows."""
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return wheel.read(name).decode().split("\n\n", 1)[0]


def test_the_wheel_holds_every_file_of_the_package_its_notebooks_and_artifacts(wheel, tracked):
    inside = set(wheel.namelist())
    for name in tracked:
        folder, _, rest = name.partition("/")
        if folder in ("listcomp_utils", *HOMES):
            assert f"{HOMES.get(folder, folder)}/{rest}" in inside, name
    assert "listcomp_utils/py.typed" in inside and "listcomp_utils/explorer/page.html" in inside
    pairs = {name for name in inside if re.search(r"/notebooks/\d\d_", name)}
    assert len(pairs) == 16
    assert not any("/runs/" in name or "__pycache__" in name for name in inside)


def test_the_version_is_the_same_everywhere(metadata):
    assert f"\nVersion: {listcomp_utils.__version__}\n" in metadata
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(cited["version"]) == listcomp_utils.__version__


def test_the_metadata_holds_no_placeholder(metadata):
    assert not re.search(r"OWNER|REPOSITORY|example\.(com|org)|TODO|\.\.\.", metadata)
    assert "\nLicense-Expression: MIT\n" in metadata


def test_every_requirement_is_closed_above_and_torch_below_its_cuda_builds(metadata):
    needs = re.findall(r"^Requires-Dist: (.+)$", metadata, re.MULTILINE)
    run_time = [need for need in needs if "extra ==" not in need]
    assert [need for need in run_time if "<" not in need or ">=" not in need] == []
    assert "torch<2.14,>=2.6" in run_time
    extras = set(re.findall(r"^Provides-Extra: (.+)$", metadata, re.MULTILINE))
    assert extras == {"cluster", "lab", "maintain", "test"}


def test_without_a_clone_everything_is_found_inside_the_package(monkeypatch):
    inside = Path(str(importlib.resources.files("listcomp_utils")))
    monkeypatch.setattr("listcomp_utils.files.repository_dir", lambda: None)
    monkeypatch.setattr("listcomp_utils.series.checks.repository_dir", lambda: None)
    assert series_dir() == inside / "notebooks" and shipped_dir() == inside / "shipped"
