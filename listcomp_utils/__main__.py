"""The command line: `python -m listcomp_utils run | train | seeds | sweep | plateau | ...`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from listcomp_utils.config import ConfigError, check_names, field_types
from listcomp_utils.series.table_commands import add_table_commands


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status: 0, 1 for a failed run, 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m listcomp_utils", description=__doc__)
    commands = parser.add_subparsers(required=True)

    run = commands.add_parser("run", help="execute the notebooks and write an HTML report")
    run.add_argument("--name", default="latest", help="folder under artifacts/runs (latest)")
    run.add_argument("--only", nargs="+", default=[], metavar="01", help="notebooks to run")
    run.set_defaults(command=_run)

    train = commands.add_parser("train", help="train one model and save it with its history")
    train.add_argument("--out", default=None, help="folder (artifacts/runs/checkpoints)")
    train.set_defaults(command=_train)

    add_table_commands(commands)

    sweep = commands.add_parser("sweep", help="train or run a notebook over a grid of parameters")
    sweep.add_argument(
        "-g",
        dest="grid",
        action="append",
        default=[],
        metavar="name=values",
        help="values to try, as -g list_len=2,3 -g seed=0..4",
    )
    sweep.add_argument("--name", help="folder under artifacts/runs/sweeps (the grid's names)")
    sweep.add_argument("--notebook", metavar="03", help="run this notebook instead of training")
    sweep.add_argument("--jobs", type=int, help="processes, one thread each (one a core)")
    sweep.add_argument("--stack-seeds", action="store_true", help="train seeds of a cell together")
    sweep.add_argument("--retry-failed", action="store_true", help="run failed cells again")
    sweep.add_argument("--keep-models", metavar="FOLDER", help="save the trained models there")
    sweep.add_argument("--backend", choices=["loky", "dask", "ray"], default="loky")
    sweep.add_argument("--scheduler", metavar="ADDRESS", help="of the dask or ray cluster")
    sweep.set_defaults(command=_sweep)

    for command in (run, train, sweep):
        command.add_argument(
            "-p",
            dest="parameters",
            nargs=2,
            action="append",
            default=[],
            metavar=("name", "value"),
            help="a parameter, as -p list_len 3",
        )
        command.add_argument("-f", dest="file", type=Path, help="parameters from a YAML file")

    sync = commands.add_parser("sync", help="bring each .ipynb in line with its .py")
    sync.set_defaults(command=_sync)
    refresh = commands.add_parser(
        "refresh", help="run the series and commit its outputs to the pairs"
    )
    refresh.set_defaults(command=_refresh)
    return parser


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if options.file is not None:
        try:
            loaded = yaml.safe_load(options.file.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"-f {options.file} cannot be read: {error}") from None
        if not isinstance(loaded, dict):
            raise ConfigError(f"-f {options.file} must hold 'name: value' lines")
        values.update(loaded)
    values.update({name: value for name, value in options.parameters})
    return values


def _run(options: argparse.Namespace) -> int:
    from listcomp_utils.series.run import run_series

    return run_series(_parameters(options), options.name, options.only)


def _train(options: argparse.Namespace) -> int:
    from listcomp_utils.notebook.parameters import make_config

    values = _parameters(options)
    check_names(values, ["preset", *field_types()], "parameter")
    config = make_config(values)
    from listcomp_utils.checkpoints import load_or_train
    from listcomp_utils.files import write_atomically

    trained = load_or_train(config, options.out, retrain=True)
    history = json.dumps(trained.history.to_dict(), indent=1)
    write_atomically(trained.path.with_suffix(".history.json"), f"{history}\n".encode())
    best = trained.history.best
    print(f"saved {trained.path} after {trained.history.seconds:.1f} s of training")
    print(f"training lists: {best.train}\nheld-out lists: {best.held_out}")
    return 1 if trained.history.interrupted else 0


def _sweep(options: argparse.Namespace) -> int:
    from listcomp_utils.sweeps.command import sweep

    return sweep(options, _parameters(options))


def _sync(options: argparse.Namespace) -> int:
    from listcomp_utils.series.pairs import (
        notebook_sources,
        repository_address,
        stamp_address,
        sync,
    )
    from listcomp_utils.series.run import series_dir

    address = repository_address(series_dir().parent)
    for source in notebook_sources(series_dir()):
        changed = stamp_address(source, address)
        changed = sync(source) or changed
        print(f"{source.stem}: {'updated' if changed else 'in step'}")
    return 0


def _refresh(options: argparse.Namespace) -> int:
    from listcomp_utils.files import runs_dir
    from listcomp_utils.series.pairs import copy_outputs, notebook_sources
    from listcomp_utils.series.readme import PICTURE_FROM, write_picture, write_results
    from listcomp_utils.series.run import run_series, series_dir

    _sync(options)
    status = run_series({}, name="refresh")
    if status == 0:
        for source in notebook_sources(series_dir()):
            copy_outputs(runs_dir() / "refresh" / f"{source.stem}.ipynb", source)
        root, run = series_dir().parent, runs_dir() / "refresh"
        write_results(root / "README.md", run / "claims.json")
        write_picture(root / "artifacts" / "readme.png", run / f"{PICTURE_FROM}.ipynb")
    return status


if __name__ == "__main__":
    sys.exit(main())
