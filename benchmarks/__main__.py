"""Every benchmark of this folder, in one table: `python benchmarks [--only training stacks]`."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from pathlib import Path

import torch
from rows import print_table

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    names = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    chosen = parser.parse_args().only
    rows = []
    for name in chosen:
        print(f"measuring {name} ...", flush=True)
        rows += importlib.import_module(f"bench_{name}").rows()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    print(
        f"\ntorch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads, {device}; ratio: times better than the baseline\n"
    )
    print_table(rows)


if __name__ == "__main__":
    main()
