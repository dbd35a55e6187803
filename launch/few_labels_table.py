"""The table of `launch.few_labels`, from the returns of every method."""

from collections.abc import Mapping, Sequence

import numpy as np

from pdtla.analysis import scored_returns


def table(rows: list[dict], outcome: str = "returns") -> str:
    """The rows as Markdown."""
    digits = {"returns": 0, "successes": 2}[outcome]
    show = lambda value: f"{value:.{digits}f}"  # noqa: E731
    lines = [
        f"| labels | method | seeds | {outcome} | 95% interval | IQM | score "
        "| by seed |",
        "|---|---|---:|---:|---|---:|---:|---|",
    ]
    for row in rows:
        low, high = row["ci95"]
        means = ", ".join(show(mean) for mean in row["seed_means"])
        lines.append(
            f"| {row['labels']} | `{row['method']}` | {len(row['seed_means'])} "
            f"| {show(row['mean'])} | {show(low)} to {show(high)} | {show(row['iqm'])} "
            f"| {row['score']:.2f} | {means} |"
        )
    return "\n".join(lines) + "\n"


def make_rows(
    returns: Mapping[tuple[str, str], Sequence[Sequence[float]]],
) -> list[dict]:
    """One row a method, scored as (return - random) / (bc on all labels - random)."""
    random = np.mean(np.concatenate(returns["-", "random"]))
    full = np.mean(np.concatenate(returns["all", "bc_all"]))
    return [
        {"labels": labels, "method": method} | scored_returns.score(seeds, random, full)
        for (labels, method), seeds in returns.items()
    ]
