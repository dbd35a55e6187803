"""Data that the tests of this directory share."""

import pathlib
import sys

from tiny_runs import maze

__all__ = ["maze"]

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "datasets"))  # synthetic
