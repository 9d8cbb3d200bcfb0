"""The command `sweep`: reads the grid, runs it, prints its tables.

python -m listcomp_utils sweep -g list_len=2,3 -g seed=0..4 -p steps 400 --name lengths
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from listcomp_utils.series.run import check_run_name
from listcomp_utils.sweeps.grid import config_cells, notebook_cells, parse_grid
from listcomp_utils.sweeps.run import run_cells, sweep_folder
from listcomp_utils.sweeps.table import Row, shown_rows, shown_summary, summary_rows, text_table

MOST_PRINTED = 60
"""Rows of cells that are printed at most; the files hold all."""


def sweep(options: argparse.Namespace, base: Mapping[str, Any]) -> int:
    """Run the sweep that the command line asks for; 1 when a cell of it has failed, else 0.

    Raises:
        ConfigError: before anything runs, for a wrong grid, name, or way to run it.
    """
    grid = parse_grid(options.grid)
    if options.notebook is None:
        cells = config_cells(grid, base)
    else:
        cells = notebook_cells(grid, base, options.notebook)
    name = options.name or "-".join([*([options.notebook] if options.notebook else []), *grid])
    check_run_name(name)
    folder = sweep_folder(name)
    print(f"sweep {name}: {len(cells):,} cells; records: {folder}", flush=True)
    rows = run_cells(
        cells,
        folder,
        jobs=options.jobs,
        backend=options.backend,
        scheduler=options.scheduler,
        stack_seeds=options.stack_seeds,
        retry_failed=options.retry_failed,
        keep_models=options.keep_models,
    )
    _print_tables(rows, folder, seeds=options.notebook is None)
    failed = [row for row in rows if row["status"] == "failed"]
    if failed:
        print(f"{len(failed)} of {len(rows)} cells failed; --retry-failed runs them again")
    return 1 if failed else 0


def _print_tables(rows: Sequence[Row], folder: Path, seeds: bool) -> None:
    print(f"\n{text_table(*shown_rows(rows[:MOST_PRINTED]))}")
    if len(rows) > MOST_PRINTED:
        print(f"... and {len(rows) - MOST_PRINTED:,} more in the file")
    if seeds:
        print(f"\n{text_table(*shown_summary(summary_rows(rows)))}")
    print(f"\ntable: {folder / 'table.csv'}")
