"""The table of `launch.prompting`, from the episodes of every method."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pdtla.analysis import aggregate
from pdtla.analysis import results as results_lib


class Episodes(NamedTuple):
    """Returns of one seed's episodes, `[N]`, and their tasks, `[N]`."""

    returns: np.ndarray
    levels: np.ndarray

    def by_task(self) -> np.ndarray:
        """Mean return of each task, in the order of the tasks."""
        tasks, which = np.unique(self.levels, return_inverse=True)
        sums = np.bincount(which, self.returns, len(tasks))
        return sums / np.bincount(which)

    @classmethod
    def of(cls, section: results_lib.Results) -> "Episodes":
        """The episodes of the section `rollouts` of results."""
        return cls(*(np.ravel(section[name]) for name in ("returns", "levels")))


def make_rows(
    found: Mapping[tuple[str, str], Sequence[Episodes]], most: str
) -> list[dict]:
    """One row for a method and what it was shown.

    The score is (return - random) / (oracle with most demonstrations - random), the
    gain the difference to the same method without demonstrations, task by task; both
    have intervals over tasks, drawn alike for all seeds.

    Args:
      found: episodes of each seed, by method and what it was shown.
      most: what the oracle was shown that scores 1.
    """
    tasks = {key: [each.by_task() for each in seeds] for key, seeds in found.items()}
    random = np.mean(np.concatenate(tasks["random", "-"]))
    full = tasks.get(("oracle", most))
    rows = []
    for (method, shown), values in tasks.items():
        mean = aggregate.bootstrap_interval(values, same_levels=True)
        row = {
            "method": method,
            "prompt": shown,
            "tasks": len(values[0]),
            "seed_means": [float(seed.mean()) for seed in values],
            "mean": mean.estimate,
            "ci95": [mean.low, mean.high],
        }
        if full is not None:
            full_mean = np.mean(np.concatenate(full))
            row["score"] = float((mean.estimate - random) / (full_mean - random))
        without = tasks.get((method, "0"))
        if without is not None and shown != "0":
            pairs = zip(values, without, strict=True)
            gain = aggregate.bootstrap_interval(
                [a - b for a, b in pairs], same_levels=True
            )
            row["gain"] = gain.estimate
            row["gain_ci95"] = [gain.low, gain.high]
        rows.append(row)
    return rows


def table(rows: Sequence[dict], labels: Mapping[str, str]) -> str:
    """The rows as Markdown, with the labels that methods get, by their names."""
    lines = [
        "| method | labels | demonstrations | return | 95% interval | gain "
        "| 95% interval | score |",
        "|---|---|---|---:|---|---:|---|---:|",
    ]
    for row in rows:
        told = labels.get(row["method"], "-")
        gain = between = ""
        if "gain" in row:
            gain, between = f"{row['gain']:+.1f}", _between(row["gain_ci95"])
        score = f"{row['score']:.2f}" if "score" in row else ""
        lines.append(
            f"| `{row['method']}` | {told} | {row['prompt']} | {row['mean']:.1f} "
            f"| {_between(row['ci95'])} | {gain} | {between} | {score} |"
        )
    return "\n".join(lines) + "\n"


def _between(interval: list[float]) -> str:
    return f"{interval[0]:.1f} to {interval[1]:.1f}"
