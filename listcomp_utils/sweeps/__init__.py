"""The one engine for grids of runs: checked first, resumable, on any number of cores.

`grid` makes the cells, `engine` runs them, `table` keeps what came of them; `training` has the cell
that trains, and the tables that ship.
"""
