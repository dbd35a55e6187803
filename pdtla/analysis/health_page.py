"""The HTML page of a health report."""

import os
from collections.abc import Mapping

from pdtla.analysis import files, health_figures, latent_figures, page
from pdtla.analysis.health_report import Report

TEMPLATE = "health.html.j2"

# Under which item a figure stands.
_PLACES = {
    health_figures.TRAINING: "codes",
    latent_figures.USAGE: "codes",
    health_figures.ERRORS: "listening",
    latent_figures.FRAMES: "reconstruction",
    latent_figures.EFFECTS: "listening",
    health_figures.PROBES: "action",
    health_figures.EMBEDDING: "action",
    health_figures.SHIFTS: "shift",
    health_figures.BUDGET: "budget",
}


def write_page(
    report: Report, figures: Mapping[str, bytes], output: str | os.PathLike
) -> None:
    """Writes a report with its figures, which need no other file.

    Args:
      report: see `health_report.as_json`.
      figures: PNG bytes by title.
      output: the HTML file.
    """
    placed: dict[str, dict[str, str]] = {}
    for title, place in _PLACES.items():
        if title in figures:
            source = page.data_uri(figures[title], "image/png")
            placed.setdefault(place, {})[title] = source
    text = page.render(TEMPLATE, report=report, figures=placed)
    files.write_atomically(output, text.encode())
