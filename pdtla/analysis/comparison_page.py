"""The HTML page of a comparison of runs."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from pdtla.analysis import comparison, files, page, plots, report

TEMPLATE = "comparison.html.j2"

# Settings that a table has room for: the knobs, by their UPPER_CASE names.
_MOST_SETTINGS = 12


def write(content: Mapping[str, Any], output: str | os.PathLike) -> None:
    """Writes the page of a comparison, which needs no other file.

    Args:
      content: of `launch.comparison.compare`, with `command` and `commit`.
      output: the HTML file.
    """
    rows = content["methods"]
    settings = [name for name in rows[0]["settings"] if name.isupper()]
    text = page.render(
        TEMPLATE,
        content=content,
        rows=rows,
        settings=settings[:_MOST_SETTINGS],
        left_out=len(rows[0]["settings"]) - len(settings[:_MOST_SETTINGS]),
        bars=page.data_uri(_bars(rows), "image/png"),
        curves=_curves(rows),
        videos=_videos(rows),
    )
    files.write_atomically(output, text.encode())


def _bars(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return plots.method_bars(
        [row["method"] for row in rows],
        [row["mean"] for row in rows],
        [tuple(row.get("ci95_seeds", row["ci95"])) for row in rows],
    )


def _curves(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Learning curves, means over the seeds of each method."""
    panels: dict[str, dict] = {}
    for row in rows:
        for title, (split, scalar) in report.PANELS.items():
            curves = [_curve(run, split, scalar) for run in row["runs"]]
            if None not in curves:
                curve = comparison.mean_curve(curves)
                panels.setdefault(title, {})[row["method"]] = curve
    if not panels:
        return None
    ordered = {title: panels[title] for title in report.PANELS if title in panels}
    return page.data_uri(plots.learning_curves(ordered), "image/png")


def _curve(run: str, split: str, scalar: str) -> tuple[list[float], list[float]] | None:
    """A scalar of a run, by whoever evaluated it last."""
    found = None
    for path in plots.metrics_files(run):
        found = plots.read_metrics(path, split).get(scalar, found)
    return found


def _videos(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The last video of each method's first run, where it has one."""
    videos = {}
    for row in rows:
        gifs = list(pathlib.Path(row["runs"][0], "rollouts").glob("*.gif"))
        if gifs:
            newest = max(gifs, key=lambda path: path.stat().st_mtime)
            videos[row["method"]] = page.data_uri(newest.read_bytes(), "image/gif")
    return videos
