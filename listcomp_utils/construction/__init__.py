"""What the study's architecture can do: weights by hand, lemmas, bounds, and a start that works."""
