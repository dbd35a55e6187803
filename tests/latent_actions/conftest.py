"""Lets the tests of this directory import the synthetic datasets."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "datasets"))
