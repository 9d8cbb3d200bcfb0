"""The parameters of a notebook: read once, checked, before anything heavy is imported.

config, options = read_parameters(globals(), retrain=bool, artifacts_dir=str | None)
"""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from listcomp_utils.config import Config, ConfigError, check_names, coerce, field_types

INJECTED_HEADER = "# Parameters"
"""First line of the cell that papermill puts in."""

OPTION_TYPES: dict[str, Any] = {
    "retrain": bool,
    "drive_dir": str | None,
    "artifacts_dir": str | None,
    "checkpoint": str | None,
    "sample_list": tuple[int, ...] | None,
}
"""Parameters that notebooks have beside `preset` and the fields of `Config`."""


LOWEST = {
    "draws": 1,
    "n_seeds": 1,
    "probe_lists": 10,
    "permutations": 1,
    "k": 1,
    "d_sae": 5,
    "sae_steps": 1,
    "steer_lists": 10,
    "random_directions": 1,
    "surrogate_seeds": 1,
    "surrogate_steps": 1,
    "live_layers": 1,
    "live_seeds": 1,
    "live_steps": 1,
}
"""Least values of notebooks' own whole-number parameters."""


def read_parameters(
    namespace: Mapping[str, Any], **extra_types: Any
) -> tuple[Config, SimpleNamespace]:
    """The config and the other parameters of a notebook, from its `globals()`.

    Config fields that are None keep the preset's value. Text such as "false" or "[3, 4]" is read
    as what it means. `extra_types` names the notebook's own parameters beside `OPTION_TYPES`.

    Raises:
        ConfigError: naming the parameter, for an unknown name that papermill put in, a value of
            the wrong type or one out of range.
    """
    option_types = {**OPTION_TYPES, **extra_types}
    check_names(_injected_names(namespace), ["preset", *field_types(), *option_types], "parameter")
    values = {name: namespace[name] for name in ["preset", *field_types()] if name in namespace}
    options = {
        name: coerce(name, namespace[name], kind)
        for name, kind in option_types.items()
        if name in namespace
    }
    check_lowest(options)
    return make_config(values), SimpleNamespace(**options)


def check_lowest(options: Mapping[str, Any]) -> None:
    """Raise ConfigError for a whole number of a notebook's own that is below its least value."""
    for name, lowest in LOWEST.items():
        if options.get(name, lowest) < lowest:
            raise ConfigError(f"{name} must be at least {lowest}, got {options[name]}")


def make_config(values: Mapping[str, Any]) -> Config:
    """A config from `preset` and fields given as text or values; None keeps the preset's value."""
    fields = {
        name: coerce(name, values[name], kind | None)
        for name, kind in field_types().items()
        if name in values
    }
    preset = coerce("preset", values.get("preset", "seed"), str)
    return Config.preset(preset, **{k: v for k, v in fields.items() if v is not None})


def is_established(config: Config) -> bool:
    """Whether claims measured for a preset apply: nothing but the seed and device was changed."""
    same = dict(seed=0, device="auto")
    return any(
        config.replace(**same) == Config.preset(preset, **same) for preset in ("seed", "study")
    )


def example_list(config: Config, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """The list that a notebook looks at closely: the one given, or 8, 3, 5, 1, ... .

    Raises:
        ConfigError: when it has the wrong length or a digit out of range.
    """
    if given is None:
        first = (8, 3, 5, 1, 9, 2, 7, 4, 6, 0)
        return tuple(first[place % 10] % config.n_digits for place in range(config.list_len))
    if len(given) != config.list_len or not all(0 <= d < config.n_digits for d in given):
        raise ConfigError(
            f"sample_list must be {config.list_len} digits from 0 to {config.n_digits - 1}, "
            f"got {list(given)}"
        )
    return given


def artifacts_folder(artifacts_dir: str | None, drive_dir: str | None) -> Path | None:
    """Where this notebook keeps its models: `artifacts_dir`, a Drive folder on Colab, or None.

    Raises:
        ConfigError: for a `drive_dir` outside Colab, or beside an `artifacts_dir`.
    """
    if drive_dir is None:
        return Path(artifacts_dir) if artifacts_dir else None
    if artifacts_dir:
        raise ConfigError("give artifacts_dir or drive_dir, not both")
    if "google.colab" not in sys.modules:
        raise ConfigError(f"drive_dir is for Colab only, got {drive_dir!r}; use artifacts_dir")
    from google.colab import drive

    drive.mount("/content/drive")
    return Path("/content/drive/MyDrive") / drive_dir


def parameter_rows(config: Config) -> list[tuple[str, Any]]:
    """Every field of a config with its value, to print."""
    return [(field.name, getattr(config, field.name)) for field in dataclasses.fields(config)]


def _injected_names(namespace: Mapping[str, Any]) -> list[str]:
    """Names assigned by papermill's cell, from the kernel's input history."""
    names = []
    for source in namespace.get("In", []):
        if source.startswith(INJECTED_HEADER):
            for statement in ast.parse(source).body:
                if isinstance(statement, ast.Assign):
                    names += [t.id for t in statement.targets if isinstance(t, ast.Name)]
    return names
