"""`summary.json`: the methods of one experiment, side by side.

    {"env_id": "maze", "commit": ..., "command": ...,
     "rows": [{"method": "bc_128", "labels": 128, ...}, ...],   see `method_rows`
     "health": {"perplexity": ..., "copy_frame_ratio": ..., "probe_linear": ...},
     "wall_seconds": {"lam": 310.2, ...},                        per stage
     "data": {"episodes": 500, ...},                             facts to print
     "runs": {"lam": "runs/lam", ...},                           workdirs
     "figures": {"True and predicted frames": "figures/frames.png", ...},
     "videos": {"lapo_plus_128": "runs/lapo_plus/rollouts/step-2000.gif", ...}}

Only `env_id` and `rows` must be there. Paths are relative to the file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pdtla.analysis import aggregate

RANDOM = "random"
EXPERT = "expert"
BC_ALL = "bc_all"
TRIVIAL = (RANDOM, "best_constant", "action_marginal")

Row = dict[str, Any]


def method_rows(
    returns: Mapping[str, Sequence[np.ndarray]],
    labels: Mapping[str, int | None],
    *,
    seed: int = 0,
) -> list[Row]:
    """One row for each method, in the order given.

    Args:
      returns: for each method the episode returns of each training seed, 1-D, of the
        same levels in the same order.
      labels: how many action labels the method saw, None for all there are.
      seed: seed of the bootstrap.

    Returns:
      Rows with `method`, `labels`, `seeds`, `episodes`, `mean`, `standard_error`,
      `iqm`, `ci95` (levels resampled, alike for all seeds), `ci95_seeds` (seeds
      resampled as well; with several seeds only), `seed_means`; with a random policy
      and an expert among the methods `normalized_mean` (random 0, expert 1); with a
      trivial policy and bc_all `score` (best trivial policy 0, bc_all 1).
    """
    rows = [
        _row(method, list(strata), labels[method], seed)
        for method, strata in returns.items()
    ]
    means = {row["method"]: row["mean"] for row in rows}
    trivial = best_trivial(rows)
    for row in rows:
        if means.get(RANDOM, np.inf) < means.get(EXPERT, -np.inf):
            row["normalized_mean"] = float(
                aggregate.normalize(row["mean"], means[RANDOM], means[EXPERT])
            )
        if trivial is not None and means.get(BC_ALL, -np.inf) > trivial["mean"]:
            row["score"] = float(
                aggregate.normalize(row["mean"], trivial["mean"], means[BC_ALL])
            )
    return rows


def best_trivial(rows: Sequence[Row]) -> Row | None:
    """The row of the policy without learning that returns most, if there is any."""
    trivial = [row for row in rows if row["method"] in TRIVIAL]
    return max(trivial, key=lambda row: row["mean"], default=None)


def ground(rows: Sequence[Row]) -> float | None:
    """By how many standard errors bc_all beats the best trivial policy.

    Below two, scores between the two say nothing. None where a row is missing, infinite
    where neither return varies.
    """
    trivial = best_trivial(rows)
    bc_all = next((row for row in rows if row["method"] == BC_ALL), None)
    if trivial is None or bc_all is None:
        return None
    difference = bc_all["mean"] - trivial["mean"]
    error = np.hypot(bc_all["standard_error"], trivial["standard_error"])
    if not error:
        return float(np.sign(difference) * np.inf) if difference else 0.0
    return float(difference / error)


def validate(summary: Mapping[str, Any]) -> None:
    """Raises a one-line `ValueError` unless a report can be made of the summary."""
    for name in ("env_id", "rows"):
        if name not in summary:
            raise ValueError(f"The summary lacks the field {name!r}.")
    if not summary["rows"]:
        raise ValueError("The summary has no rows.")
    for row in summary["rows"]:
        missing = {"method", "labels", "episodes", "mean", "iqm", "ci95"} - set(row)
        if missing:
            raise ValueError(
                f"The row of {row.get('method', 'a method')} lacks {sorted(missing)}."
            )


def text_table(rows: Sequence[Row]) -> str:
    """The rows as lines of text for a terminal."""
    lines = [
        f"{'method':<18}{'labels':>8}{'episodes':>10}{'mean':>9}{'IQM':>9}"
        f"{'95% interval':>22}{'normalised':>12}{'score':>8}"
    ]
    for row in rows:
        labels = "all" if row["labels"] is None else row["labels"]
        low, high = row["ci95"]
        normalized, score = (
            f"{row[name]:.2f}" if name in row else "-"
            for name in ("normalized_mean", "score")
        )
        lines.append(
            f"{row['method']:<18}{labels:>8}{row['episodes']:>10}{row['mean']:>9.2f}"
            f"{row['iqm']:>9.2f}{f'{low:.2f} to {high:.2f}':>22}{normalized:>12}"
            f"{score:>8}"
        )
    return "\n".join(lines)


def markdown_table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| method | labels | episodes | return, mean | 95% interval | IQM | normalised "
        "| score |",
        "|---|---:|---:|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        labels = "all" if row["labels"] is None else row["labels"]
        low, high = row["ci95"]
        normalized, score = (
            f"{row[name]:.2f}" if name in row else ""
            for name in ("normalized_mean", "score")
        )
        lines.append(
            f"| `{row['method']}` | {labels} | {row['episodes']} | {row['mean']:.2f} "
            f"| {low:.2f} to {high:.2f} | {row['iqm']:.2f} | {normalized} | {score} |"
        )
    return "\n".join(lines) + "\n"


def _row(method: str, strata: list, labels: int | None, seed: int) -> Row:
    interval = aggregate.bootstrap_interval(strata, same_levels=True, seed=seed)
    row = {
        "method": method,
        "labels": labels,
        "seeds": len(strata),
        "episodes": int(sum(len(stratum) for stratum in strata)),
        "mean": interval.estimate,
        "standard_error": aggregate.standard_error(strata),
        "iqm": float(aggregate.iqm(strata)),
        "ci95": [interval.low, interval.high],
        "seed_means": [float(np.mean(stratum)) for stratum in strata],
    }
    if len(strata) > 1:
        wide = aggregate.bootstrap_interval(
            strata, same_levels=True, resample_strata=True, seed=seed
        )
        row["ci95_seeds"] = [wide.low, wide.high]
    return row
