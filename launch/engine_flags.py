"""The flags that choose where tasks are done: by local processes or by Apache Beam."""

import shlex
from typing import TYPE_CHECKING

from absl import flags

from pdtla.datasets import beam_pool
from pdtla.training import configs

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_ENGINE = flags.DEFINE_enum(
    "engine", "local", ["local", "beam"], "What does the work; of no effect on results."
)
_BEAM_OPTIONS = flags.DEFINE_string(
    "beam_options",
    "",
    "Options of the Apache Beam pipeline, as '--runner=FlinkRunner --parallelism=8'.",
)


def beam_options() -> "PipelineOptions | None":
    """The options of the pipeline, None for local processes.

    Raises:
      ConfigError: Beam is not installed, its options are wrong, or nothing reads them.
    """
    if _ENGINE.value == "local":
        if _BEAM_OPTIONS.value:
            raise configs.ConfigError("--beam_options needs --engine=beam.")
        return None
    try:
        return beam_pool.pipeline_options(shlex.split(_BEAM_OPTIONS.value))
    except ValueError as error:
        raise configs.ConfigError(f"--engine=beam: {error}") from error
