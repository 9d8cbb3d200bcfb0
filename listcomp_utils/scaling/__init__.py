"""How length, digits, width, depth, heads and positions decide: grids and tables."""
