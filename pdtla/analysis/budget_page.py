"""The pictures, the page and the tables of a label budget."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from pdtla.analysis import files, page, plots

TEMPLATE = "label_budget.html.j2"

_NAMES = {
    "bc": "cloning the labelled steps",
    "vpt_bc": "supervised IDM labels, then cloning (VPT)",
    "vpt_bc_linear": "the same, the IDM linear",
    "la_bc_vq": "quantized latents that saw no label, then a decoder (LAPO)",
    "la_bc": "continuous latents that saw no label, then a decoder",
    "la_bc_joint": "latents and decoder learnt together (CLAM)",
    "la_bc_joint_zo": "the same, the decoder sees the observation",
    "lapo_plus": "the joint decoder's labels, then cloning (LAPO+)",
}


def write(summary: Mapping[str, Any], directory: str | os.PathLike) -> None:
    """Writes `curves.png`, `profiles.png` and `report.html`.

    Args:
      summary: of `label_budget.summarize`, with what `launch.label_budget` adds.
      directory: where they go.
    """
    directory = pathlib.Path(directory)
    pictures = {"curves": _curves(summary)}
    if "profiles" in summary:
        pictures["profiles"] = _profiles(summary["profiles"])
    for name, data in pictures.items():
        files.write_atomically(directory / f"{name}.png", data)
    text = page.render(
        TEMPLATE,
        summary=summary,
        names=_NAMES,
        grid=grid(summary),
        needed=_needed(summary),
        digits=_digits(summary),
        pictures={
            name: page.data_uri(data, "image/png") for name, data in pictures.items()
        },
    )
    files.write_atomically(directory / "report.html", text.encode())


def grid(summary: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each method, in the order of their labels."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in summary["rows"]:
        found.setdefault(row["method"], []).append(row)
    return found


def text(summary: Mapping[str, Any]) -> str:
    """The curves and what they say, as Markdown."""
    digits = _digits(summary)
    curves = grid(summary)
    lines = [
        "| labels | " + " | ".join(f"`{method}`" for method in curves) + " |",
        "|---:|" + "---:|" * len(curves),
    ]
    for label, *rows in zip(summary["labels"], *curves.values(), strict=True):
        cells = [
            f"{row['mean']:.{digits}f} ({row['ci95_seeds'][0]:.{digits}f}, "
            f"{row['ci95_seeds'][1]:.{digits}f})"
            for row in rows
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    needed = _needed(summary)
    if needed:
        words = " | ".join(needed[method] for method in curves)
        lines.append(f"| for {summary['share']:.0%} | {words} |")
    constants = {**summary["trivial"], "bc_all": summary["all_labels"]["mean"]}
    constants["expert"] = summary["expert"]
    said = ", ".join(f"`{name}` {x:z.{digits}f}" for name, x in constants.items())
    return "\n".join([*lines, "", f"{said}.", *_improvement(summary)]) + "\n"


def _digits(summary: Mapping[str, Any]) -> int:
    """Decimals that returns are worth."""
    return 0 if abs(summary["all_labels"]["mean"]) >= 100 else 2


def _improvement(summary: Mapping[str, Any], than: str = "bc") -> list[str]:
    """How probably a run of each other method beats one of this one."""
    found = []
    for pair in summary["improvement"]:
        if than in (pair["better"], pair["than"]):
            low, high = pair["ci95"]
            probability, method = pair["probability"], pair["better"]
            if method == than:
                method = pair["than"]
                probability, low, high = 1 - probability, 1 - high, 1 - low
            found.append(f"`{method}` {probability:.2f} ({low:.2f}, {high:.2f})")
    if not found:
        return []
    words = ", ".join(found)
    return [
        "",
        f"Probability that a run is better than one of `{than}` with as many labels, "
        f"over all numbers of labels: {words}.",
    ]


def _needed(summary: Mapping[str, Any]) -> dict[str, str]:
    """The labels that each method needs, in words."""
    found = {}
    most = summary["labels"][-1]
    for each in summary.get("needed", ()):
        low, high = (
            f"over {most}" if end is None else f"{end:.0f}" for end in each["ci95"]
        )
        if each["labels"] is None:
            words = "not reached"
            if each["reached"]:
                words += f" ({each['reached']:.0%} of resamples do)"
        else:
            fewest = "at most " if each["fewest"] else ""
            words = f"{fewest}{each['labels']:.0f} ({low} to {high})"
        found[each["method"]] = words
    return found


def _curves(summary: Mapping[str, Any]) -> bytes:
    curves = {
        method: [(row["mean"], *row["ci95_seeds"]) for row in rows]
        for method, rows in grid(summary).items()
    }
    lines = {"bc_all": summary["all_labels"]["mean"]} | summary["trivial"]
    outcome = {"returns": "episode return", "successes": "success rate"}
    return plots.return_curves(
        summary["labels"], curves, lines=lines, y_label=outcome[summary["outcome"]]
    )


def _profiles(profiles: Mapping[str, Any]) -> bytes:
    curves = {
        method: list(zip(each["share"], each["low"], each["high"], strict=True))
        for method, each in profiles["methods"].items()
    }
    return plots.profiles(profiles["scores"], curves)
