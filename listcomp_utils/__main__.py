"""The command line: `python -m listcomp_utils run | train | sweep | tables | parameters | ...`.

python -m listcomp_utils run -p preset study -p n_heads 2 --only 02
python -m listcomp_utils train -p list_len 3 --out models
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from listcomp_utils.config import PRESETS, Config, ConfigError, check_names

TABLE_ROOMS = (
    "listcomp_utils.ablation.seeds",
    "listcomp_utils.circuit.seeds",
    "listcomp_utils.scaling.grids",
    "listcomp_utils.features.grid",
    "listcomp_utils.construction.grids",
)
"""Modules with TABLES, those that ship in artifacts/, and `make_table`."""

OF_A_CHECKPOINT = "features_released"
"""The table that measures a model from a file."""

Words = list[str] | None
Pairs = Annotated[Words, typer.Option("-p", metavar="NAME VALUE", help="A parameter: list_len 3.")]
File = Annotated[Path | None, typer.Option("-f", help="Parameters from a YAML file.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes, one thread each [one a core].")]

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help=__doc__
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status: 0, 1 for a failed run, 2 for a wrong call, 130 Ctrl-C."""
    command = typer.main.get_command(app)
    wrong_call = typer.BadParameter.__base__  # click's UsageError, wherever typer keeps it
    try:
        words = _joined_pairs(sys.argv[1:] if arguments is None else arguments)
        status = command.main(args=words, prog_name="listcomp_utils", standalone_mode=False) or 0
    except (ConfigError, wrong_call) as error:
        message = error if isinstance(error, ConfigError) else error.format_message()
        print(f"error: {message}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}; what was there before stays", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    if status == 130:
        print("interrupted", file=sys.stderr)
    return status


@app.command()
def run(
    notebooks: Annotated[Words, typer.Argument(help="As --only.")] = None,
    name: Annotated[str, typer.Option(help="Folder under artifacts/runs.")] = "latest",
    only: Annotated[Words, typer.Option(metavar="01", help="Notebooks to run.")] = None,
    parameters: Pairs = None,
    file: File = None,
) -> int:
    """Execute the notebooks and write an HTML report."""
    from listcomp_utils.series.run import run_series

    return run_series(_given(parameters, file), name, [*(only or []), *(notebooks or [])])


@app.command()
def train(
    out: Annotated[Path | None, typer.Option(help="Folder [artifacts/runs/checkpoints].")] = None,
    parameters: Pairs = None,
    file: File = None,
) -> int:
    """Train one model and save it with its history."""
    from listcomp_utils.notebook.parameters import CONFIG_NAMES, make_config

    values = _given(parameters, file)
    check_names(values, CONFIG_NAMES, "parameter")
    config = make_config(values)
    from listcomp_utils.checkpoints import load_or_train
    from listcomp_utils.files import write_atomically

    try:
        trained = load_or_train(config, out, retrain=True)
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    history = json.dumps(asdict(trained.history), indent=1)
    write_atomically(trained.path.with_suffix(".history.json"), f"{history}\n".encode())
    best = trained.history.best
    print(f"saved {trained.path} after {trained.history.seconds:.1f} s of training")
    print(f"training lists: {best.train}\nheld-out lists: {best.held_out}")
    return 1 if trained.history.interrupted else 0


@app.command()
def sweep(
    grid: Annotated[Words, typer.Option("-g", metavar="NAME=VALUES", help="As seed=0..4.")] = None,
    name: Annotated[str | None, typer.Option(help="Folder under artifacts/runs/sweeps.")] = None,
    notebook: Annotated[str | None, typer.Option(help="Run this one; else train.")] = None,
    jobs: Jobs = None,
    backend: Annotated[str, typer.Option(help="loky, dask or ray.")] = "loky",
    scheduler: Annotated[str | None, typer.Option(help="Address of the cluster's.")] = None,
    retry: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")] = False,
    keep_models: Annotated[str | None, typer.Option(help="Folder for the trained models.")] = None,
    parameters: Pairs = None,
    file: File = None,
) -> int:
    """Train, or run a notebook, over a grid of parameters."""
    from listcomp_utils.series.sweep import sweep as run_sweep

    values = _given(parameters, file)
    how = dict(jobs=jobs, backend=backend, scheduler=scheduler, retry_failed=retry)
    return run_sweep(grid or [], values, name=name, notebook=notebook, models=keep_models, **how)


@app.command()
def tables(
    names: Annotated[Words, typer.Argument(help="Tables to make [all].")] = None,
    jobs: Jobs = None,
    out: Annotated[Path, typer.Option(help="Folder of the tables.")] = Path("artifacts"),
    checkpoint: Annotated[Path | None, typer.Option(help="Model of features_released.")] = None,
) -> int:
    """Train and measure what the shipped tables hold: minutes to hours, resumed where stopped."""
    rooms = [importlib.import_module(room) for room in TABLE_ROOMS]
    makers = {table: room.make_table for room in rooms for table in room.TABLES}
    check_names(names or [], makers, "table")
    wanted = names or [one for one in makers if (one == OF_A_CHECKPOINT) == bool(checkpoint)]
    if bool(checkpoint) != (OF_A_CHECKPOINT in wanted):
        raise ConfigError(f"--checkpoint FILE belongs to the table {OF_A_CHECKPOINT}")
    from listcomp_utils.checkpoints import CheckpointError

    for name in wanted:
        more = {"checkpoint": str(checkpoint)} if name == OF_A_CHECKPOINT else {}
        try:
            print(f"saved {makers[name](name, out, jobs, **more)}", flush=True)
        except CheckpointError as error:
            raise ConfigError(f"checkpoint: {error}") from None
        except RuntimeError as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            return 1
    return 0


@app.command()
def explore(
    checkpoint: Annotated[Path | None, typer.Option(help="A model of one's own.")] = None,
    out: Annotated[Path, typer.Option(help="The page.")] = Path("artifacts/explorer.html"),
) -> int:
    """Write the explorable page: one HTML file in which the models compute."""
    from listcomp_utils.explorer.page import write_page

    print(f"saved {write_page(out, checkpoint)}")
    return 0


@app.command()
def sync() -> int:
    """Bring each .ipynb in line with its .py."""
    from listcomp_utils.series.pairs import sync_series

    return sync_series()


@app.command()
def refresh() -> int:
    """Run the series and commit its outputs, with pictures, to the pairs and the README."""
    from listcomp_utils.series.refresh import refresh as refresh_series

    return refresh_series()


@app.command()
def parameters() -> int:
    """List what -p takes: every field of the config and every option of a notebook."""
    import pandas as pd

    from listcomp_utils.notebook.parameters import Options
    from listcomp_utils.series.checks import declared_parameters, select_notebooks

    presets = [Config.preset(name).to_dict() for name in PRESETS]
    nothing = [""] * (len(PRESETS) - 1)
    rows = [("preset", *PRESETS, "str", "starting point")]
    for name, field in Config.model_fields.items():
        values = (preset[name] for preset in presets)
        rows.append((name, *values, _allowed(field), field.description))
    takers = {path.stem[:2]: declared_parameters(path) for path in select_notebooks()}
    for name, field in Options.model_fields.items():
        where = " ".join(number for number, taken in takers.items() if name in taken)
        rows.append((name, f"in {where}", *nothing, _allowed(field), field.description))
    table = pd.DataFrame(rows, columns=["name", *PRESETS, "allowed", "meaning"])
    print(table.to_string(index=False, justify="left"))
    return 0


def _allowed(field: FieldInfo) -> str:
    """A field's type or choices, and its bounds."""
    words = re.sub(r"typing\.|Literal|<class '(\w+)'>", r"\1", str(field.annotation))
    bounds = re.findall(r"\((\w\w)=([^)]+)\)", str(field.metadata))
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    return ", ".join([words, *(f"{signs[sign]} {bound}" for sign, bound in bounds)])


def _joined_pairs(arguments: list[str]) -> list[str]:
    """`-p NAME VALUE` as `-p NAME=VALUE`: typer repeats options of one word only."""
    joined, rest = [], list(arguments)
    while rest:
        joined.append(rest.pop(0))
        if joined[-1] == "-p":
            if len(rest) < 2:
                raise ConfigError("-p takes a name and a value, as -p list_len 3")
            joined.append(f"{rest.pop(0)}={rest.pop(0)}")
    return joined


def _given(pairs: list[str] | None, file: Path | None) -> dict[str, Any]:
    """The parameters of a file, then those of the command line."""
    given = dict(pair.split("=", 1) for pair in pairs or [])
    if file is None:
        return given
    import yaml

    try:
        loaded = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"-f {file} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, dict) or not all(isinstance(name, str) for name in loaded):
        raise ConfigError(f"-f {file} must hold 'name: value' lines, got {loaded!r}")
    return loaded | given


if __name__ == "__main__":
    sys.exit(main())
