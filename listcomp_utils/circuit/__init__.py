"""The study's architecture as a formula: the order axis, failures."""
