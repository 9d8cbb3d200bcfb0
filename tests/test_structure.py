"""House rules a newcomer relies on: small files, a room a chapter, imports that go one way."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "listcomp_utils"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_thin_and_says_what_it_is_for(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text))


def test_the_top_of_the_package_is_read_at_a_glance():
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_the_readme_names_every_room():
    readme = (ROOT / "README.md").read_text()
    top = [path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")]
    assert [name for name in [*ROOMS, *top] if f"`{name}" not in readme] == []


def test_every_room_travels_in_the_wheel():
    settings = (ROOT / "pyproject.toml").read_text()
    assert [room for room in ROOMS if f'"listcomp_utils.{room}"' not in settings] == []


def test_tracked_files_name_no_machine(tracked):
    for path in map(ROOT.joinpath, tracked):
        if path.suffix in {".py", ".md", ".toml", ".yml", ".txt", ".cff"} and path.is_file():
            assert not re.search(r"/(home|root|Users)/\w", path.read_text()), path


def test_the_readme_example_runs(capsys, monkeypatch, tmp_path):
    readme = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```python\n(.+?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "per_token=0.92" in printed and (tmp_path / "copier.pt").is_file()
