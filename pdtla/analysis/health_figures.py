"""Figures of a health report."""

import os
import pathlib

import numpy as np

from pdtla.analysis import compression, plots
from pdtla.analysis.health_report import Report

TRAINING = "Codes and predictions over training"
ERRORS = "Prediction errors"
PROBES = "What tells the action"
SHIFTS = "Which action the latent tells"
BUDGET = "Labels of the decoder"
EMBEDDING = "Latents by action"

_POINTS = 2000
_CURVES = {
    "codebook perplexity": "perplexity",
    "dead codes": "dead_codes",
    "prediction error / copying error": "copy_frame_ratio",
    "loss": "loss",
}


def figures(
    report: Report, run: str | os.PathLike, latents: np.ndarray, actions: np.ndarray
) -> dict[str, bytes]:
    """Draws what the numbers of a report show.

    Args:
      report: see `health_report.as_json`.
      run: workdir, whose metrics are drawn where there are any.
      latents: float `[N, D]`.
      actions: int `[N]` or float `[N, A]`.

    Returns:
      PNG bytes for each title.
    """
    values = {name: item["values"] for name, item in report["items"].items()}
    unit = report["unit"]
    drawn = {}
    curves = _training(pathlib.Path(run) / "metrics.jsonl")
    if curves:
        drawn[TRAINING] = plots.learning_curves(curves)
    errors = values["listening"]["swap_ratio"], values["reconstruction"]
    drawn[ERRORS] = plots.value_bars(
        {
            "copying o_t": 1.0,
            "another's latent": errors[0] * errors[1]["copy_frame_ratio"],
            "its own latent": errors[1]["copy_frame_ratio"],
        },
        "error / that of copying o_t",
    )
    told = values["action"]
    names = {
        "chance": "chance",
        "observation": "MLP on o_t",
        "linear": "linear on z",
        "mlp": "MLP on z",
        "quantized": "MLP on codes",
    }
    drawn[PROBES] = plots.value_bars(
        {text: told[name] for name, text in names.items() if name in told}, unit
    )
    if values["shift"]:
        shifts = {"a_t-1": "previous", "a_t": "current", "a_t+1": "next"}
        drawn[SHIFTS] = plots.value_bars(
            {text: values["shift"][name] for text, name in shifts.items()}, unit
        )
    budget = values["budget"]
    labels = sorted(
        int(name.split("_")[1]) for name in budget if name.endswith("_std")
    )[::2]
    drawn[BUDGET] = plots.budget_curve(
        labels,
        {
            text: [
                (budget[f"{name}_{label}"], budget[f"{name}_{label}_std"])
                for label in labels
            ]
            for name, text in (("linear", "linear decoder"), ("mlp", "MLP decoder"))
        },
        chance=budget["chance"],
        y_label=unit,
    )
    drawn[EMBEDDING] = plots.scatter(
        principal_plane(latents[:_POINTS]), actions[:_POINTS]
    )
    return drawn


def principal_plane(latents: np.ndarray) -> np.ndarray:
    """The first two principal components of latents, `[N, 2]`."""
    centred = latents - latents.mean(axis=0)
    plane = centred @ compression.principal(centred, 2)
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[-1])))


def _training(path: pathlib.Path) -> dict[str, plots.Curves]:
    """Curves of the training and of the held-out data, by title."""
    if not path.is_file():
        return {}
    panels = {}
    for split in ("train", "heldout"):
        found = plots.read_metrics(path, split)
        for title, name in _CURVES.items():
            if name in found:
                panels.setdefault(title, {})[split] = found[name]
    return panels
