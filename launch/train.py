r"""Trains one stage, or goes on with a run that was stopped.

    python -m launch.train --gin_file=gin/stages/bc.gin \
        --gin_file=gin/envs/procgen.gin --gin.ENV_ID=bigfish --workdir=runs/bc

`--wandb` mirrors the scalars to Weights & Biases, offline unless there is a key.
`--profile=100:120` records a trace of the updates 101 to 120 for TensorBoard.
"""

import sys

import gin
from absl import app, flags, logging

from launch import run_flags
from pdtla.training import configs
from pdtla.training import train as train_lib

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run; the same command resumes it."
)
_PROFILE = flags.DEFINE_string(
    "profile", None, "FIRST:LAST, updates to record a trace of, for TensorBoard."
)
_RUN = run_flags.define()


def _profile() -> tuple[int, int] | None:
    """The updates of `--profile`."""
    if _PROFILE.value is None:
        return None
    parts = _PROFILE.value.split(":")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise configs.ConfigError(
            f"--profile must be FIRST:LAST, like 100:120; got {_PROFILE.value!r}."
        )
    return int(parts[0]), int(parts[1])


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    configs.parse_gin(
        flags.FLAGS.gin_file, flags.FLAGS.gin_bindings, roots=[train_lib.train]
    )
    profile = _profile()
    if flags.FLAGS.dry_run:
        sys.stdout.write(gin.config_str() + "\n")
        return
    if not _WORKDIR.value:
        raise configs.ConfigError("--workdir must be set.")
    train = gin.get_configurable(train_lib.train)
    results = train(
        workdir=_WORKDIR.value,
        strategy=_RUN.strategy.value,
        mirrors=_RUN.mirrors(),
        profile=profile,
    )
    logging.info("Held out: %s", results["heldout"])
    logging.info("Results: %s/results.json", _WORKDIR.value)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
