"""The table of `launch.offline`, from the returns of every method."""

import numpy as np

from pdtla.analysis import aggregate


def make_rows(
    found: dict[tuple[str, str], list[np.ndarray]], random: float, expert: float
) -> list[dict]:
    """One row a method, scored as (return - random) / (expert - random)."""
    rows = []
    for (mix, method), seeds in found.items():
        seeds = [np.ravel(seed).astype(np.float64) for seed in seeds]
        mean = aggregate.bootstrap_interval(seeds)
        rows.append(
            {
                "data": mix,
                "method": method,
                "mean": mean.estimate,
                "iqm": aggregate.bootstrap_interval(seeds, aggregate.iqm).estimate,
                "ci95": [mean.low, mean.high],
                "score": (mean.estimate - random) / (expert - random),
                "seed_means": [float(seed.mean()) for seed in seeds],
            }
        )
    return rows


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
