"""The table of `launch.ablations`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pdtla.analysis import scored_returns
from pdtla.analysis.summary import RANDOM

Rows = list[dict[str, Any]]

FULL = "bc_all"

_DIGITS = {"returns": 0, "successes": 2}
# Columns of what is known of the model, and their digits.
_MODEL = {
    "copy_frame_ratio": ("of copying", 4),
    "probe_linear": ("probe, linear", 3),
    "probe_mlp": ("probe, MLP", 3),
    "decoder_r2": ("decoder", 3),
    "perplexity": ("perplexity", 1),
}


def make_rows(measured: Sequence[Mapping[str, Any]]) -> Rows:
    """Scores each variant as (return - random) / (bc on all labels - random).

    A variant is held against the cloning of its own seeds. Intervals of the mean are
    over levels, drawn alike for all seeds.

    Args:
      measured: for each variant its `factor`, `value`, `seeds`, the `returns` of each
        seed's episodes and `model`, lists of a number a seed; among them those of the
        factor "-", `RANDOM` and `FULL`.

    Returns:
      The same, with `mean`, `ci95`, `iqm`, `score` and `seed_means`.
    """
    references = {row["value"]: row for row in measured if row["factor"] == "-"}
    low = float(np.mean(references[RANDOM]["returns"]))
    full = references[FULL]
    by_seed = dict(zip(full["seeds"], map(np.mean, full["returns"]), strict=True))
    rows = []
    for row in measured:
        high = float(np.mean([by_seed[seed] for seed in row["seeds"]]))
        rows.append({**row, **scored_returns.score(row["returns"], low, high)})
    return rows


def table(rows: Rows, base: Mapping[str, Any], outcome: str) -> str:
    """The rows as Markdown.

    Args:
      rows: see `make_rows`.
      base: what the base has of each factor.
      outcome: what the episodes are compared by, "returns" or "successes".
    """
    show = lambda value: f"{value:.{_DIGITS[outcome]}f}"  # noqa: E731
    titles = [title for title, _ in _MODEL.values()]
    lines = [
        f"| factor | value | base | {outcome} | 95% interval | score | by seed | "
        + " | ".join(titles)
        + " |",
        "|---|---|---|---:|---|---:|---|" + "---:|" * len(titles),
    ]
    for row in rows:
        low, high = row["ci95"]
        model = [
            f"{np.mean(row['model'][name]):.{places}f}" if name in row["model"] else ""
            for name, (_, places) in _MODEL.items()
        ]
        cells = [
            row["factor"],
            row["value"],
            str(base.get(row["factor"], "")),
            show(row["mean"]),
            f"{show(low)} to {show(high)}",
            f"{row['score']:.2f}",
            ", ".join(map(show, row["seed_means"])),
            *model,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
