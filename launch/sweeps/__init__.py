"""Grids of runs: their points, where they run, and what is done."""
