"""Runs pytest on the files given, as the main program of a Bazel test."""

import os
import sys

import pytest

arguments = ["-p", "no:cacheprovider", *sys.argv[1:]]
if "TEST_TMPDIR" in os.environ:
    arguments += ["--basetemp", os.path.join(os.environ["TEST_TMPDIR"], "pytest")]
if "XML_OUTPUT_FILE" in os.environ:
    arguments += ["--junitxml", os.environ["XML_OUTPUT_FILE"]]
sys.exit(pytest.main(arguments))
