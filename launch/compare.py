r"""Compares trained runs: returns, paired differences, curves and videos.

    python -m launch.compare --runs='runs/maze/*/bc_all,runs/maze/*/lapo_plus'

Runs that differ in nothing but their seeds are one method. All must have been rolled
out alike: the same levels, caps, normaliser, way of acting and number of episodes. The
first difference is named; `--allow_different_evaluation` compares such runs all the
same, but not paired. Writes `comparison.json` and `comparison.html` to `--output`.
"""

import glob
import pathlib
import sys

from absl import app, flags, logging

from launch import commit, compared_run, comparison, provenance
from pdtla.analysis import comparison_page, summary
from pdtla.analysis import results as results_lib
from pdtla.training import configs

_RUNS = flags.DEFINE_list("runs", None, "Workdirs, or patterns of them.")
_OUTPUT = flags.DEFINE_string("output", "runs/comparison", "Directory of the report.")
_ALLOW = flags.DEFINE_bool(
    "allow_different_evaluation", False, "Compare what was not rolled out alike."
)


def find_runs(patterns: list[str]) -> list[str]:
    """The workdirs that patterns stand for, each once.

    Raises:
      ConfigError: there are fewer than two.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        matches = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
        found |= dict.fromkeys(
            match
            for match in matches
            if match == pattern or pathlib.Path(match, "config.gin").is_file()
        )
    if len(found) < 2:
        raise configs.ConfigError(
            f"--runs must name two workdirs or more, got {list(found)}."
        )
    return list(found)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    runs = [compared_run.read(path) for path in find_runs(_RUNS.value or [])]
    if not _ALLOW.value:
        compared_run.check_evaluations(runs)
    content = comparison.compare(runs)
    content |= {"command": provenance.command("compare"), "commit": commit.commit()}
    output = pathlib.Path(_OUTPUT.value)
    results_lib.write_json(output / "comparison.json", content)
    comparison_page.write(content, output / "comparison.html")
    sys.stdout.write(summary.text_table(content["methods"]) + "\n")
    for pair in content["differences"]:
        low, high = pair["ci95"]
        sys.stdout.write(
            f"{pair['first']} - {pair['second']}: {pair['mean']:+.2f} "
            f"({low:+.2f} to {high:+.2f})\n"
        )
    logging.info("Report: %s.", output / "comparison.html")


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
