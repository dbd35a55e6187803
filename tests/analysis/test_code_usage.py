"""Counts of codes by hand."""

import numpy as np
import pytest

from pdtla.analysis import code_usage


def test_counts_of_every_place():
    codes = np.array([[0, 2], [0, 1], [3, 2]])
    np.testing.assert_array_equal(
        code_usage.code_counts(codes, 4), [[2, 0, 0, 1], [0, 1, 2, 0]]
    )


def test_codebook_report():
    counts = np.array([[4, 4, 0, 0], [8, 0, 0, 0]])
    report = code_usage.codebook_report(counts)
    assert report == {"perplexity": pytest.approx(1.5), "dead_codes": 5 / 8}
