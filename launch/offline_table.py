"""The table of `launch.offline`, from the returns of every method."""

import numpy as np

from pdtla.analysis import scored_returns


def make_rows(
    found: dict[tuple[str, str], list[np.ndarray]], random: float, expert: float
) -> list[dict]:
    """One row a method, scored as (return - random) / (expert - random)."""
    return [
        {"data": mix, "method": method} | scored_returns.score(seeds, random, expert)
        for (mix, method), seeds in found.items()
    ]


def table(rows: list[dict]) -> str:
    """The rows as Markdown."""
    lines = [
        "| data | method | return | 95% interval | IQM | score | by seed |",
        "|---|---|---:|---|---:|---:|---|",
    ]
    for row in rows:
        low, high = row["ci95"]
        means = ", ".join(f"{mean:.0f}" for mean in row["seed_means"])
        lines.append(
            f"| {row['data']} | `{row['method']}` | {row['mean']:.0f} "
            f"| {low:.0f} to {high:.0f} | {row['iqm']:.0f} | {row['score']:.2f} "
            f"| {means} |"
        )
    return "\n".join(lines) + "\n"
