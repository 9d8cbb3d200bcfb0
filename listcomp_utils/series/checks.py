"""Which notebooks there are, what each takes, and what is refused before any of them runs.

notebooks = select_notebooks(["02", "03"])
check_run(notebooks, {"n_heads": "2", "draws": 5}, name="two-heads")
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from listcomp_utils.config import Config, ConfigError, check_names
from listcomp_utils.files import PACKAGE, check_writable, repository_dir
from listcomp_utils.notebook.parameters import (
    CONFIG_NAMES,
    Options,
    artifacts_folder,
    example_list,
    read_parameters,
)

PATHS = ("artifacts_dir", "checkpoint", "sae_file")


def series_dir() -> Path:
    """The folder of the notebooks: the clone's, or the one inside an installed package."""
    return (repository_dir() or PACKAGE) / "notebooks"


def clone_dir() -> Path:
    """The clone, for what writes to it; raises ConfigError when the package runs without one."""
    root = repository_dir()
    if root is None:
        raise ConfigError("there is no clone here: notebooks are changed in a clone of the project")
    return root


def select_notebooks(only: Sequence[str] = ()) -> list[Path]:
    """The `.ipynb` of the series, or those whose name starts with one of `only`."""
    notebooks = sorted(series_dir().glob("[0-9][0-9]_*.ipynb"))
    names = [notebook.stem for notebook in notebooks]
    for wanted in only:
        if not wanted or not any(name.startswith(wanted) for name in names):
            raise ConfigError(
                f"--only must start a notebook's name ({', '.join(names)}), got {wanted!r}"
            )
    return [n for n in notebooks if not only or n.stem.startswith(tuple(only))]


def declared_parameters(notebook: Path) -> dict[str, Any]:
    """What a notebook's parameters cell names, with its values there."""
    # Read as JSON: nbformat takes two seconds to load, and a wrong call is to fail at once.
    cells = json.loads(notebook.read_text())["cells"]
    (cell,) = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    return {
        statement.target.id: ast.literal_eval(statement.value)
        for statement in ast.parse("".join(cell["source"])).body
    }


def taken_parameters(notebook: Path) -> set[str]:
    """Every name a notebook can be given: the fields of `Config` and its own options."""
    return {*CONFIG_NAMES, *declared_parameters(notebook)}


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> tuple[Config, Options]:
    """The config and options that a notebook would read from these parameters, all checked.

    A `checkpoint` is loaded, since whether it fits shows only then.
    """
    config, options = read_parameters({**declared_parameters(notebook), **parameters})
    example_list(config, options.sample_list)
    folder = artifacts_folder(options.artifacts_dir, options.drive_dir)
    if folder is not None:
        check_writable(folder.expanduser())
    if options.sae_file is not None and not Path(options.sae_file).expanduser().is_file():
        raise ConfigError(f"sae_file: there is no file at {options.sae_file!r}")
    if config.device not in ("auto", "cpu"):
        from listcomp_utils.model import resolve_device

        resolve_device(config.device)
    if options.checkpoint is not None:
        from listcomp_utils.checkpoints import CheckpointError, load_model

        try:
            load_model(Path(options.checkpoint).expanduser(), config)
        except CheckpointError as error:
            raise ConfigError(f"checkpoint of {notebook.stem}: {error}") from None
    return config, options


def with_whole_paths(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with paths that mean the same in the notebooks' folder as they do here."""
    return {
        name: str(Path(value).expanduser().absolute()) if name in PATHS and value else value
        for name, value in parameters.items()
    }


def check_run(
    notebooks: Sequence[Path], parameters: Mapping[str, Any], name: str
) -> dict[Path, tuple[Config, dict[str, Any]]]:
    """The config that each notebook would read, and those of the parameters that it takes."""
    check_run_name(name)
    taken = {notebook: taken_parameters(notebook) for notebook in notebooks}
    check_names(parameters, set().union(*taken.values()), "parameter")
    read = {}
    for notebook in notebooks:
        given = {key: value for key, value in parameters.items() if key in taken[notebook]}
        read[notebook] = check_parameters(notebook, given)[0], with_whole_paths(given)
    return read


def check_run_name(name: str) -> None:
    """Raise ConfigError for a name that cannot be a folder's."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ConfigError(f"name must be letters, digits, '.', '_' and '-', got {name!r}")
