"""`RunningStatistics`, mean and spread of more rows than fit in memory."""

from collections.abc import Mapping

import numpy as np


class RunningStatistics:
    """Count, mean, standard deviation and range of rows `[..., D]`, in float64.

    Means and squared deviations are merged part by part (Chan, Golub & LeVeque 1983),
    which keeps the digits that a sum of squares loses.
    """

    def __init__(self):
        self.count = 0
        self._mean = self._deviations = self._minimum = self._maximum = None

    def update(self, rows: np.ndarray) -> None:
        """Adds the rows `[N, D]` of an array."""
        rows = np.asarray(rows, np.float64)
        mean = rows.mean(axis=0)
        self._merge(
            len(rows),
            mean,
            np.square(rows - mean).sum(axis=0),
            rows.min(axis=0),
            rows.max(axis=0),
        )

    def update_json(self, stored: Mapping) -> None:
        """Adds what `to_json` of another object said."""
        self._merge(
            stored["count"],
            np.array(stored["mean"]),
            np.square(stored["std"]) * stored["count"],
            np.array(stored["min"]),
            np.array(stored["max"]),
        )

    def to_json(self) -> dict[str, int | list[float]]:
        """`count`, and lists `mean`, `std` (of the population), `min` and `max`.

        Raises:
          ValueError: there were no rows.
        """
        if not self.count:
            raise ValueError("Statistics need at least one row, got none.")
        return {
            "count": self.count,
            "mean": self._mean.tolist(),
            "std": np.sqrt(self._deviations / self.count).tolist(),
            "min": self._minimum.tolist(),
            "max": self._maximum.tolist(),
        }

    def _merge(self, count, mean, deviations, minimum, maximum) -> None:
        if not self.count:
            self.count, self._mean, self._deviations = count, mean, deviations
            self._minimum, self._maximum = minimum, maximum
            return
        total = self.count + count
        shift = mean - self._mean
        self._mean = self._mean + shift * (count / total)
        self._deviations = (
            self._deviations
            + deviations
            + np.square(shift) * (self.count * count / total)
        )
        self._minimum = np.minimum(self._minimum, minimum)
        self._maximum = np.maximum(self._maximum, maximum)
        self.count = total
