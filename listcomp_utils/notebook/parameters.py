"""The parameters of a notebook: read once, checked, before anything heavy is imported.

config, options = read_parameters(globals())

`config` holds the model and its training, `options` what a notebook takes beside it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from listcomp_utils.config import Config, ConfigError, Settings, check_names, coerce

PARAMETERS_CELL = "# Parameters: "
"""How the cell that holds a notebook's parameters starts."""

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Lists = Annotated[int, Field(ge=10, le=1_000_000)]


class Options(Settings):
    """What notebooks take beside `preset` and the fields of `Config`; each takes some of these."""

    model_config = ConfigDict(frozen=False)

    retrain: bool = Field(False, description="train again even when this very model is saved")
    drive_dir: str | None = Field(None, description="on Colab: keep models in this Drive folder")
    artifacts_dir: str | None = Field(None, description="keep models in this folder")
    checkpoint: str | None = Field(
        None, description="analyse this .safetensors or classic .pt instead of training"
    )
    sample_list: tuple[int, ...] | None = Field(
        None, description="the list to look at closely, as [8, 3]"
    )
    draws: Count = Field(None, description="draws of each random intervention")
    n_seeds: Count = Field(None, description="random seeds to compare, from 0")
    probe_lists: Lists = Field(None, description="lists that probes use, at most")
    permutations: Count = Field(None, description="random orders of the digits")
    k: Count = Field(None, description="mean number of active latents of an autoencoder")
    d_sae: Annotated[int, Field(ge=5, le=65_536)] = Field(
        None, description="latents of an autoencoder; at least k"
    )
    sae_steps: Count = Field(None, description="optimiser steps of an autoencoder")
    steer_lists: Lists = Field(None, description="lists that every latent is steered on, at most")
    sae_file: str | None = Field(None, description="look at this autoencoder instead of training")
    random_directions: Count = Field(None, description="random controls for steering")
    live_layers: Count = Field(None, description="a live grid's layers: 1 to this many")
    live_seeds: Count = Field(None, description="a live grid's random seeds, from 0")
    live_steps: Count = Field(None, description="a live grid's optimiser steps")

    @model_validator(mode="after")
    def _latents_suffice(self) -> Self:
        if self.k is not None and self.d_sae is not None and self.k > self.d_sae:
            raise ConfigError(f"k must be at most d_sae {self.d_sae}, got {self.k}")
        return self


CONFIG_NAMES = ("preset", *Config.model_fields)
"""Parameters that every notebook takes."""


def read_parameters(namespace: Mapping[str, Any]) -> tuple[Config, Options]:
    """The config and the options of a notebook, from its `globals()`, or from a plain dict.

    In a notebook that is its parameters cell and what is assigned right after it, by papermill, by
    nbmake or by a reader. Text such as "false" or "[3, 4]" is read as what it means.
    """
    if "In" in namespace:
        given, own = _from_history(namespace["In"], namespace)
    else:
        given, own = dict(namespace), Options.model_fields
    known = [*CONFIG_NAMES, *(name for name in Options.model_fields if name in own)]
    check_names(given, known, "parameter")
    options = {name: value for name, value in given.items() if name not in CONFIG_NAMES}
    return make_config({k: v for k, v in given.items() if k in CONFIG_NAMES}), Options(**options)


def make_config(values: Mapping[str, Any]) -> Config:
    """A config from `preset` and fields given as text or values; None keeps the preset's value."""
    fields = {
        name: coerce(name, value, Config.model_fields[name].annotation | None)
        for name, value in values.items()
        if name != "preset"
    }
    preset = coerce("preset", values.get("preset", "seed"), str)
    return Config.preset(preset, **{k: v for k, v in fields.items() if v is not None})


def is_established(config: Config) -> bool:
    """Whether claims measured for "seed" or "study" apply: only the seed and device differ."""
    same = dict(seed=0, device="auto")
    return config.replace(**same) in [Config.preset(name, **same) for name in ("seed", "study")]


def example_list(config: Config, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """The list that a notebook looks at closely: the one given, or 8, 3, 5, 1, ... ."""
    if given is None:
        first = [digit for digit in (8, 3, 5, 1, 9, 2, 7, 4, 6, 0) if digit < config.n_digits]
        return tuple(first[place % len(first)] for place in range(config.list_len))
    if len(given) != config.list_len or not all(0 <= d < config.n_digits for d in given):
        raise ConfigError(
            f"sample_list must be {config.list_len} digits from 0 to {config.n_digits - 1}, "
            f"got {list(given)}"
        )
    return given


def artifacts_folder(artifacts_dir: str | None, drive_dir: str | None) -> Path | None:
    """Where this notebook keeps its models: `artifacts_dir`, a Drive folder on Colab, or None."""
    if drive_dir is None:
        return Path(artifacts_dir) if artifacts_dir else None
    if artifacts_dir:
        raise ConfigError("give artifacts_dir or drive_dir, not both")
    if "google.colab" not in sys.modules:
        raise ConfigError(f"drive_dir is for Colab only, got {drive_dir!r}; use artifacts_dir")
    from google.colab import drive

    drive.mount("/content/drive")
    return Path("/content/drive/MyDrive") / drive_dir


def _from_history(
    history: list[str], namespace: Mapping[str, Any]
) -> tuple[dict[str, Any], set[str]]:
    """What a kernel's inputs say about parameters, and the names in the parameters cell itself.

    The values are the written ones: a `for seed in ...` further down has changed the variable when
    a reader runs the cells a second time.
    """
    starts = [i for i, source in enumerate(history) if source.startswith(PARAMETERS_CELL)]
    if not starts:
        raise ConfigError(f"run the parameters cell first; it starts with {PARAMETERS_CELL!r}")
    own, _ = _assignments(history[starts[-1]])
    given = dict(own)
    for source in history[starts[-1] + 1 :]:
        added, nothing_else = _assignments(source)
        if not nothing_else:
            break
        given |= added
    for name, value in given.items():
        try:
            given[name] = ast.literal_eval(value)
        except ValueError:
            given[name] = namespace[name]
    return given, set(own)


def _assignments(source: str) -> tuple[dict[str, Any], bool]:
    """The expressions that a cell gives to names, and whether it does nothing else."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return {}, False
    found = []
    for statement in statements:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                found.append((name, value))
    return dict(found), len(found) == len(statements)
