"""The one engine for grids of runs: checked first, resumable, on any number of cores."""
