"""Running the notebooks as a series: the report, the pairs, the README."""
