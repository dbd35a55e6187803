"""Methods beside one another: returns, and their differences seed by seed."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pdtla.analysis import aggregate


class Played(NamedTuple):
    """The episodes of a method.

    Attributes:
      returns: by the seeds of training, `[N]` each.
      levels: of these episodes, `[N]`; None where the results do not tell them.
    """

    returns: Mapping[int, np.ndarray]
    levels: Mapping[int, np.ndarray | None]


def paired_differences(methods: Mapping[str, Played]) -> list[dict[str, Any]]:
    """The differences of any two methods, episode against episode of a level.

    Seeds that both have are paired; without any, the mean over the seeds of each level
    is. Intervals draw seeds, if there are several, and levels, alike for all seeds.

    Args:
      methods: all played the same levels in the same order.

    Returns:
      For each two methods `first`, `second`, `mean` of first less second, `ci95`,
      `seeds` that are paired, and `by_seed`, the mean of each.

    Raises:
      ValueError: two methods played different levels.
    """
    found = []
    for x, y in itertools.combinations(methods, 2):
        a, b = methods[x], methods[y]
        _check_levels(x, a, y, b)
        seeds = [seed for seed in a.returns if seed in b.returns]
        xs, ys = (
            [each.returns[seed] for seed in seeds]
            or [np.mean(list(each.returns.values()), axis=0)]
            for each in (a, b)
        )
        interval = aggregate.paired_difference(
            xs, ys, same_levels=True, resample_strata=len(seeds) > 1
        )
        found.append(
            {
                "first": x,
                "second": y,
                "mean": interval.estimate,
                "ci95": [interval.low, interval.high],
                "seeds": seeds,
                "by_seed": [
                    float(np.mean(a.returns[seed] - b.returns[seed])) for seed in seeds
                ],
            }
        )
    return found


def mean_curve(
    curves: Sequence[tuple[Sequence[float], Sequence[float | None]]],
) -> tuple[list[float], list[float]]:
    """Means over runs at the steps at which all of them have a number."""
    tables = [
        {x: y for x, y in zip(steps, values, strict=True) if y is not None}
        for steps, values in curves
    ]
    steps = [step for step in tables[0] if all(step in each for each in tables)]
    means = [float(np.mean([each[step] for each in tables])) for step in steps]
    return steps, means


def _check_levels(x: str, a: Played, y: str, b: Played) -> None:
    levels = [*a.levels.values(), *b.levels.values()]
    known = [each for each in levels if each is not None]
    if any(not np.array_equal(known[0], each) for each in known[1:]):
        raise ValueError(f"{x} and {y} played different levels.")
