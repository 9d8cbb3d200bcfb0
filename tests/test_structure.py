"""House rules a newcomer relies on: thin modules, one direction, no figures in analyses."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "listcomp_utils").glob("*.py"))
LAYERS = [
    ["values"],
    ["config"],
    ["files", "task", "mask", "parameters", "sae"],
    ["model", "sae_files"],
    ["generation", "fast_gradients", "lean_forward", "batches"],
    ["history", "stacks"],
    ["progress"],
    ["training"],
    ["checkpoints"],
    ["attention", "circuit"],
    ["ablation", "representation"],
    [
        "interventions",
        "interchange",
        "minimal_circuits",
        "order",
        "order_measures",
        "dynamics",
        "plateau",
        "recipes",
    ],
    ["readout", "certificate", "surrogate", "separator", "failures"],
    ["seeds", "published", "features", "steering"],
    ["feature_grid"],
    ["figures", "static_traces"],
    ["heatmaps", "diagrams", "circuit_figures", "static_images"],
    ["display"],
    ["claims"],
    ["pairs", "readme", "runner"],
    ["report", "grid"],
    ["records", "cells", "sweep_table", "scaling_grids"],
    ["workers"],
    ["sweep"],
    ["scaling"],
    ["sweep_command", "table_commands"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FIGURE_LIBRARIES = {"plotly", "matplotlib", "circuitsvis", "IPython"}
DRAWS = {
    "figures",
    "heatmaps",
    "diagrams",
    "circuit_figures",
    "static_images",
    "static_traces",
    "display",
    "report",
    "claims",
}


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_is_thin_and_says_what_it_is_for(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("name", LEVEL)
def test_imports_go_one_way(name):
    path = ROOT / "listcomp_utils" / f"{name}.py"
    ours = {
        m.split(".")[1]
        for m in imports(path, top_level_only=True)
        if m.startswith("listcomp_utils.")
    }
    assert all(LEVEL[other] < LEVEL[name] for other in ours if other in LEVEL), sorted(ours)


@pytest.mark.parametrize("name", sorted(set(LEVEL) - DRAWS))
def test_analyses_import_no_figure_library(name):
    found = {module.split(".")[0] for module in imports(ROOT / "listcomp_utils" / f"{name}.py")}
    assert not found & FIGURE_LIBRARIES


def test_every_module_has_its_place():
    named = {path.stem for path in MODULES} - {"__init__", "__main__"}
    assert named == set(LEVEL)
    readme = (ROOT / "README.md").read_text()
    assert [name for name in sorted(named) if f"`{name}`" not in readme] == []


def test_tracked_files_name_no_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".txt", ".cff"} and path.is_file():
            assert not re.search(r"/(home|root|Users)/\w", path.read_text()), name


def test_the_readme_example_runs(capsys, monkeypatch, tmp_path):
    readme = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```python\n(.+?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "per_token=0.92" in printed and (tmp_path / "copier.pt").is_file()
