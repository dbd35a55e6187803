"""Data and runs that the tests of this directory share."""

from tiny_runs import decoder, lam, maze

__all__ = ["decoder", "lam", "maze"]
