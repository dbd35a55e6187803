r"""Trains an expert by trial and error, or goes on with a run that was stopped.

    python -m launch.train_expert --gin_file=gin/presets/experts/halfcheetah.gin \
        --workdir=runs/experts/halfcheetah
"""

import sys

import gin
from absl import app, flags, logging

from pdtla.online import train_expert as train_lib
from pdtla.training import configs

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run; the same command resumes it."
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    configs.parse_gin(
        flags.FLAGS.gin_file, flags.FLAGS.gin_bindings, roots=[train_lib.train_expert]
    )
    if flags.FLAGS.dry_run:
        sys.stdout.write(gin.config_str() + "\n")
        return
    if not _WORKDIR.value:
        raise configs.ConfigError("--workdir must be set.")
    train_expert = gin.get_configurable(train_lib.train_expert)
    results = train_expert(workdir=_WORKDIR.value)
    rollouts = results["rollouts"]
    logging.info("Return: %s ± %s", rollouts["mean"], rollouts["standard_error"])
    logging.info("Results: %s/results.json", _WORKDIR.value)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
