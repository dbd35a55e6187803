"""`score`, what a table tells of a method's returns."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pdtla.analysis import aggregate


def score(returns: Sequence[np.ndarray], low: float, high: float) -> dict[str, Any]:
    """Statistics of returns, and where their mean lies between two others.

    Args:
      returns: those of each seed's episodes, of any shape, on the same levels.
      low: the mean return that scores 0.
      high: that which scores 1.

    Returns:
      `mean`, its 95% interval `ci95` over levels, `iqm`, `score`, and
      the `seed_means`.
    """
    seeds = [np.ravel(each).astype(np.float64) for each in returns]
    found = aggregate.bootstrap_interval(seeds, same_levels=True)
    return {
        "mean": found.estimate,
        "iqm": float(aggregate.iqm(seeds)),
        "ci95": [found.low, found.high],
        "score": float((found.estimate - low) / (high - low)),
        "seed_means": [float(each.mean()) for each in seeds],
    }
