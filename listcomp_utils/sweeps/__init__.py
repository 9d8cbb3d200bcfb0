"""The one engine for grids of runs: checked first, resumable, on any number of cores.

`grid` makes the cells, `training` trains one, `engine` runs them, `table` keeps what came of them.
"""
