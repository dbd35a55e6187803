"""What action labels buy: returns over numbers of labels, method by method.

A score is 0 for the best policy without learning and 1 for cloning with all labels.
Intervals are of a two-stage bootstrap: seeds are drawn with replacement, and levels,
the same ones for all seeds and all methods, since they were played so.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pdtla.analysis import aggregate

_RESAMPLES = 2000
_THRESHOLDS = np.round(np.linspace(-0.2, 1.2, 57), 3)
_ENDS = (0.025, 0.975)


class Budget(NamedTuple):
    """The episodes of a comparison.

    Attributes:
      labels: numbers of labels L, ascending.
      returns: for each method `[L, S, N]`, of N episodes of S seeds.
      all_labels: of cloning with all labels, `[S, N]`.
      expert: mean return of the expert.
      trivial: of each policy without learning, `[N]`.
    """

    labels: Sequence[int]
    returns: Mapping[str, np.ndarray]
    all_labels: np.ndarray
    expert: float
    trivial: Mapping[str, np.ndarray]


def of_rows(
    rows: Sequence[Mapping[str, Any]], references: Mapping[str, Sequence]
) -> Budget:
    """The episodes of stored rows, each with `method`, `labels` and `returns`.

    Args:
      rows: one for each method and number of labels, which are the same for all.
      references: returns of `bc_all`, of the expert and of the policies without
        learning, lists for each seed.
    """
    labels = sorted({row["labels"] for row in rows})
    found = {(row["method"], row["labels"]): row["returns"] for row in rows}
    methods = dict.fromkeys(row["method"] for row in rows)
    return Budget(
        labels=labels,
        returns={
            method: np.array([found[method, each] for each in labels])
            for method in methods
        },
        all_labels=np.array(references["bc_all"]),
        expert=float(np.mean(references["expert"])),
        trivial={
            name: np.ravel(returns)
            for name, returns in references.items()
            if name not in ("bc_all", "expert")
        },
    )


def summarize(budget: Budget, share: float = 0.8, seed: int = 0) -> dict[str, Any]:
    """Everything that is said about a comparison.

    Args:
      budget: its episodes.
      share: of the score of cloning with all labels, to be reached.
      seed: seed of the bootstrap.

    Returns:
      `ground`, the best trivial policy; `trivial` and `expert`, mean returns; `rows`,
      one a method and number of labels, and `all_labels`; `improvement`, the
      probability that a run of one method is better than one of the other with as many
      labels. Where cloning with all labels is better than the ground also `needed`, the
      labels that each method needs for the share, see `_needed`, and `profiles`, the
      share of runs above a score. Improvement and profiles are rliable's, with numbers
      of labels as its tasks and seeds as its runs.
    """
    trivial = {name: float(np.mean(each)) for name, each in budget.trivial.items()}
    ground = max(trivial, key=trivial.__getitem__)
    low, high = trivial[ground], float(budget.all_labels.mean())
    scale = (low, high) if low < high else None
    draw = _Draws(*budget.all_labels.shape, seed)
    ceiling = draw.mean(budget.all_labels)
    draws = {
        method: np.stack([draw.mean(each) for each in returns])  # [L, R]
        for method, returns in budget.returns.items()
    }
    runs = {method: each.mean(axis=2) for method, each in budget.returns.items()}
    found = {
        "ground": ground,
        "trivial": trivial,
        "expert": budget.expert,
        "all_labels": _row("bc_all", None, budget.all_labels, ceiling, scale),
        "share": share,
        "rows": [
            _row(method, *each, scale)
            for method, returns in budget.returns.items()
            for each in zip(budget.labels, returns, draws[method], strict=True)
        ],
        "improvement": _improvement(runs),
    }
    if scale is None:
        return found
    floor = draw.mean(np.broadcast_to(budget.trivial[ground], budget.all_labels.shape))
    goal, goals = low + share * (high - low), floor + share * (ceiling - floor)
    found["needed"] = [
        {"method": method}
        | _needed(budget.labels, each.mean(axis=1), goal, draws[method], goals)
        for method, each in runs.items()
    ]
    scores = {name: aggregate.normalize(each, *scale) for name, each in runs.items()}
    found["profiles"] = _profiles(scores)
    return found


def labels_needed(
    labels: Sequence[int], means: np.ndarray, goal: np.ndarray | float
) -> np.ndarray:
    """Where curves first reach a goal, on a straight line over the log of the labels.

    Args:
      labels: ascending, L.
      means: `[L, ...]`.
      goal: `[...]` or one for all curves.

    Returns:
      Labels `[...]`; the fewest where the curve begins at the goal, infinity where it
      never reaches it.
    """
    means = np.asarray(means, np.float64)
    found = np.where(means[0] >= goal, float(labels[0]), np.inf)
    steps = np.log2(np.asarray(labels, np.float64))
    for i in range(1, len(labels)):
        before, after = means[i - 1], means[i]
        crosses = np.isinf(found) & (after >= goal)
        rise = np.where(crosses, after - before, 1.0)
        part = np.where(crosses, goal - before, 0.0) / rise
        found = np.where(
            crosses, 2.0 ** (steps[i - 1] + part * (steps[i] - steps[i - 1])), found
        )
    return found


class _Draws:
    """Resamples of S seeds and of N levels: the same for all methods."""

    def __init__(self, seeds: int, episodes: int, seed: int):
        rng = np.random.default_rng(seed)
        self._seeds = rng.integers(seeds, size=(_RESAMPLES, seeds, 1))
        self._episodes = rng.integers(episodes, size=(_RESAMPLES, 1, episodes))

    def mean(self, returns: np.ndarray) -> np.ndarray:
        """Means `[R]` of the resamples of `[S, N]`."""
        return returns[self._seeds, self._episodes].mean(axis=(1, 2))


def _row(
    method: str,
    labels: int | None,
    returns: np.ndarray,
    draws: np.ndarray,
    scale: tuple[float, float] | None,
) -> dict[str, Any]:
    within = aggregate.bootstrap_interval(list(returns), same_levels=True)
    row = {
        "method": method,
        "labels": labels,
        "episodes": returns.size,
        "mean": float(returns.mean()),
        "iqm": float(aggregate.iqm(list(returns))),
        "ci95": [within.low, within.high],
        "ci95_seeds": [float(end) for end in np.quantile(draws, _ENDS)],
        "seed_means": returns.mean(axis=1).tolist(),
    }
    if scale is not None:
        row["score"] = float(aggregate.normalize(returns.mean(), *scale))
    return row


def _needed(
    labels: Sequence[int],
    means: np.ndarray,
    goal: float,
    draws: np.ndarray,
    goals: np.ndarray,
) -> dict[str, Any]:
    """Labels needed for a goal, None for more than were tried.

    `fewest` says that the curve begins above the goal, `reached` in what share of the
    resamples it gets there at all.
    """
    found = float(labels_needed(labels, means, goal))
    resampled = labels_needed(labels, draws, goals)
    ends = np.quantile(resampled, _ENDS, method="inverted_cdf")
    return {
        "labels": _finite(found),
        "ci95": [_finite(end) for end in ends],
        "fewest": bool(means[0] >= goal),
        "reached": float(np.isfinite(resampled).mean()),
    }


def _improvement(runs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """For each two methods, the one first that is better more often."""
    pairs = []
    for x, y in itertools.combinations(runs, 2):
        a, b = list(runs[x]), list(runs[y])
        if aggregate.probability_of_improvement(a, b) < 0.5:
            x, y, a, b = y, x, b, a
        found = aggregate.improvement_interval(a, b)
        pairs.append(
            {
                "better": x,
                "than": y,
                "probability": found.estimate,
                "ci95": [found.low, found.high],
            }
        )
    return pairs


def _profiles(scores: Mapping[str, np.ndarray]) -> dict[str, Any]:
    profiles = {}
    for method, each in scores.items():
        share, low, high = aggregate.performance_profile(list(each), _THRESHOLDS)
        profiles[method] = {
            "share": share.tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
        }
    return {"scores": _THRESHOLDS.tolist(), "methods": profiles}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
