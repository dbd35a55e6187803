"""One self-contained HTML page about an experiment, made from its `summary.json`."""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import markupsafe

from pdtla.analysis import files, page, plots
from pdtla.analysis import summary as summary_lib

TEMPLATE = "report.html.j2"

# A number of labels may follow, as in bc_128.
_METHOD_NAMES = {
    "random": "uniform random",
    "best_constant": "best constant action",
    "action_marginal": "action marginal",
    "bc": "cloning the labelled steps",
    "idm_bc": "supervised IDM labels, then cloning (VPT)",
    "la_bc": "latent policy and action decoder (LAPO)",
    "lapo_plus": "decoded relabelling, then cloning (LAPO+)",
    "bc_all": "cloning with all labels",
    "expert": "expert that made the data",
}
_HEALTH_NAMES = {
    "copy_frame_ratio": "prediction error over that of copying the last frame",
    "swap_gap": "cost of another window's latent, in copying errors",
    "perplexity": "perplexity of the codes",
    "dead_codes": "share of codes never used",
    "nmi": "mutual information of codes and actions, normalised",
    "probe_chance": "accuracy of the most frequent action",
    "probe_linear": "linear probe for the action",
    "probe_mlp": "MLP probe for the action",
}
# Curves worth a panel where a run has them: title -> (split, scalar).
PANELS = {
    "held-out loss": ("heldout", "loss"),
    "held-out accuracy": ("heldout", "accuracy"),
    "held-out accuracy on labelled steps": ("heldout", "labelled_accuracy"),
    "prediction error / copying error": ("heldout", "copy_frame_ratio"),
    "codebook perplexity": ("heldout", "perplexity"),
    "return, greedy actions": ("rollouts", "greedy/return_mean"),
    "return, sampled actions": ("rollouts", "sampled/return_mean"),
}


def write_report(
    summary: Mapping[str, Any],
    output: str | os.PathLike,
    *,
    base_dir: str | os.PathLike = ".",
) -> None:
    """Writes the report of an experiment, pictures and videos embedded.

    Args:
      summary: the contents of `summary.json`, see `pdtla.analysis.summary`.
      output: the HTML file.
      base_dir: the folder that paths of the summary are relative to.

    Raises:
      ValueError: the summary lacks something, or a file it names does not exist.
    """
    files.write_atomically(output, render(summary, base_dir=base_dir).encode())


def render(summary: Mapping[str, Any], *, base_dir: str | os.PathLike = ".") -> str:
    """The page as text; see `write_report`."""
    summary_lib.validate(summary)
    base = pathlib.Path(base_dir)
    runs = {name: base / path for name, path in summary.get("runs", {}).items()}
    figures = {
        title: _embed(base / path) for title, path in summary.get("figures", {}).items()
    }
    videos = {
        title: _embed(base / path) for title, path in summary.get("videos", {}).items()
    }
    rows = summary["rows"]
    wall_seconds = summary.get("wall_seconds", {})
    return page.render(
        TEMPLATE,
        summary=summary,
        rows=rows,
        names={row["method"]: _meaning(row["method"]) for row in rows},
        ground=summary_lib.ground(rows),
        trivial=summary_lib.best_trivial(rows),
        bars=page.data_uri(_bars(rows), "image/png"),
        curves=_curves(runs),
        figures=figures,
        videos=videos,
        health=_named(summary.get("health", {}), _HEALTH_NAMES),
        wall_seconds=wall_seconds,
        total_seconds=sum(wall_seconds.values()),
        data=summary.get("data", {}),
        configurations=_configurations(runs),
    )


def _meaning(method: str) -> str | None:
    return _METHOD_NAMES.get(re.sub(r"_\d+$", "", method))


def _bars(rows: Sequence[Mapping[str, Any]]) -> bytes:
    marked = [row for row in rows if row["method"] in ("bc_all", "expert")]
    trivial = summary_lib.best_trivial(rows)
    lines = {"best without learning": trivial["mean"]} if trivial else {}
    return plots.method_bars(
        [row["method"] for row in rows],
        [row["mean"] for row in rows],
        [tuple(row["ci95"]) for row in rows],
        lines=lines | {row["method"]: row["mean"] for row in marked},
    )


def _curves(runs: Mapping[str, pathlib.Path]) -> str | None:
    """The learning curves of all runs that left metrics, as a picture."""
    panels: dict[str, dict] = {}
    for run, workdir in runs.items():
        for path in plots.metrics_files(workdir):
            for title, (split, scalar) in PANELS.items():
                curves = plots.read_metrics(path, split)
                if scalar in curves:
                    panels.setdefault(title, {})[run] = curves[scalar]
    if not panels:
        return None
    ordered = {title: panels[title] for title in PANELS if title in panels}
    return page.data_uri(plots.learning_curves(ordered), "image/png")


def _configurations(runs: Mapping[str, pathlib.Path]) -> dict[str, str]:
    """The configuration that each run made use of."""
    found = {}
    for run, workdir in runs.items():
        path = workdir / "operative_config.gin"
        if path.is_file():
            found[run] = path.read_text()
    return found


def _named(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Known values under their long names and in their order, then the others."""
    known = {names[key]: values[key] for key in names if key in values}
    return known | {key: value for key, value in values.items() if key not in names}


def _embed(path: pathlib.Path) -> markupsafe.Markup:
    types = {".png": "image/png", ".gif": "image/gif"}
    if path.suffix not in types:
        raise ValueError(f"A report shows .png and .gif files, got {path}.")
    if not path.is_file():
        raise ValueError(f"The summary names {path}, which does not exist.")
    return page.data_uri(path.read_bytes(), types[path.suffix])
