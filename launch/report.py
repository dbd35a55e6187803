r"""Makes an HTML page: the health of a latent action model, or an experiment.

    python -m launch.report --run=runs/lam
    python -m launch.report --summary=results/quickstart/summary.json

With `--run`, numbers, verdicts and pictures go into `health/` in the run, and a table
to the terminal. `--latents` examines latents that lie beside the dataset instead of
those that the run's modules infer.
"""

import pathlib
import sys

from absl import app, flags, logging

from launch import health_of_run
from pdtla.analysis import health_report, report, results
from pdtla.training import configs

_RUN = flags.DEFINE_string("run", None, "Workdir of a latent action model.")
_LATENTS = flags.DEFINE_string(
    "latents", None, "Name of latents beside the run's dataset to examine."
)
_MAX_WINDOWS = flags.DEFINE_integer(
    "max_windows", 4096, "Training and held-out transitions to look at, each."
)
_SUMMARY = flags.DEFINE_string("summary", None, "The summary.json of an experiment.")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The page to write; by default health/report.html in the run, or report.html "
    "beside the summary.",
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    if bool(_SUMMARY.value) == bool(_RUN.value):
        raise configs.ConfigError(
            "One of --run (a latent action model) and --summary (an experiment's "
            "summary.json) must be set."
        )
    if _RUN.value:
        _report_health()
    else:
        _report_experiment()


def _report_health() -> None:
    found = health_of_run.report(
        _RUN.value,
        flags.FLAGS.gin_file,
        flags.FLAGS.gin_bindings,
        latents=_LATENTS.value,
        max_windows=_MAX_WINDOWS.value,
        output=_OUTPUT.value,
    )
    sys.stdout.write(health_report.text_table(found.report) + "\n")


def _report_experiment() -> None:
    path = pathlib.Path(_SUMMARY.value)
    output = _OUTPUT.value or path.with_name("report.html")
    try:
        report.write_report(results.read_json(path), output, base_dir=path.parent)
    except (ValueError, OSError) as error:
        raise configs.ConfigError(configs.one_line(error)) from error
    logging.info("Report: %s", output)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
