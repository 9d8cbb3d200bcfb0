"""The explorable page: the study's models computed in one HTML file that needs nothing else."""
