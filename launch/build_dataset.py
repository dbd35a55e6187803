r"""Builds a dataset of played episodes with a progress bar, or several in a row.

    python -m launch.build_dataset --gin_file=gin/envs/procgen.gin \
        --gin.ENV_ID=coinrun --gin.NUM_TRAJS=500 --data_dir=data
    python -m launch.build_dataset --gin_file=gin/envs/mujoco.gin \
        --gin.ENV_ID=halfcheetah --gin.MIX=medium-expert --data_dir=data
    python -m launch.build_dataset --gin_file=gin/envs/metaworld.gin \
        --env_ids=window-open,assembly --data_dir=data

With `--engine=beam --beam_options=...` an Apache Beam pipeline plays, on this machine,
Flink, Spark or Dataflow; the files are the same.
"""

import sys
from typing import TYPE_CHECKING

import gin
from absl import app, flags, logging

from launch import engine_flags
from pdtla.datasets import build
from pdtla.training import configs

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory of the datasets, by default the macro DATA_DIR."
)
_ENV_IDS = flags.DEFINE_list(
    "env_ids", None, "Environments, a dataset of each, instead of the macro ENV_ID."
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", None, "Processes that play, by default one a core."
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace a dataset that was built with other settings."
)
_ENGINE = engine_flags.define()
_BASE_FILE = "gin/data/build.gin"


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    options = _ENGINE.beam_options()
    if options is not None and _NUM_WORKERS.value:
        raise configs.ConfigError(
            "--num_workers is of --engine=local; Beam's runners have options of their "
            "own, as --beam_options='--direct_num_workers=2'."
        )
    for env_id in _ENV_IDS.value or (None,):
        _build(env_id, options)


def _build(env_id: str | None, options: "PipelineOptions | None") -> None:
    bindings = [] if env_id is None else [f"ENV_ID = {env_id!r}"]
    configs.parse_gin(
        flags.FLAGS.gin_file,
        [*flags.FLAGS.gin_bindings, *bindings],
        roots=[build.build],
        base_file=_BASE_FILE,
    )
    if flags.FLAGS.dry_run:
        sys.stdout.write(gin.config_str() + "\n")
        return
    arguments = {"data_dir": _DATA_DIR.value} if _DATA_DIR.value else {}
    build_dataset = gin.get_configurable(build.build)
    try:
        directory = build_dataset(
            num_workers=_NUM_WORKERS.value,
            beam_options=options,
            overwrite=_OVERWRITE.value,
            **arguments,
        )
    except (ValueError, RuntimeError) as error:
        raise configs.ConfigError(configs.one_line(error)) from error
    logging.info("Dataset: %s", directory)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
