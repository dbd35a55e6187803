r"""Makes one HTML page of an experiment's summary, pictures and videos.

python -m launch.report --summary=results/quickstart/summary.json
"""

import pathlib

from absl import app, flags, logging

from pdtla.analysis import report, results
from pdtla.training import configs

_SUMMARY = flags.DEFINE_string("summary", None, "The summary.json of an experiment.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "The page to write; report.html beside the summary by default."
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    if not _SUMMARY.value:
        raise configs.ConfigError("--summary must be set: the summary.json to show.")
    path = pathlib.Path(_SUMMARY.value)
    output = _OUTPUT.value or path.with_name("report.html")
    try:
        report.write_report(results.read_json(path), output, base_dir=path.parent)
    except (ValueError, OSError) as error:
        raise configs.ConfigError(configs.one_line(error)) from error
    logging.info("Report: %s", output)


if __name__ == "__main__":
    configs.run_main(main)
