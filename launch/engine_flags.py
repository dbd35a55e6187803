"""`EngineFlags`: tasks are done by local processes or by Apache Beam."""

import shlex
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from pdtla.datasets import beam_pool
from pdtla.training import configs

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


class EngineFlags(NamedTuple):
    """Flags that choose where tasks are done.

    Attributes:
      engine: local or beam.
      options: of the Beam pipeline, as one text.
    """

    engine: flags.FlagHolder[str]
    options: flags.FlagHolder[str]

    def beam_options(self) -> "PipelineOptions | None":
        """The options of the pipeline, None for local processes.

        Raises:
          ConfigError: Beam is not installed, its options are wrong, or nothing reads
            them.
        """
        if self.engine.value == "local":
            if self.options.value:
                raise configs.ConfigError("--beam_options needs --engine=beam.")
            return None
        try:
            return beam_pool.pipeline_options(shlex.split(self.options.value))
        except ValueError as error:
            raise configs.ConfigError(f"--engine=beam: {error}") from error


def define() -> EngineFlags:
    """Defines the flags."""
    return EngineFlags(
        flags.DEFINE_enum(
            "engine",
            "local",
            ["local", "beam"],
            "What does the work; of no effect on results.",
        ),
        flags.DEFINE_string(
            "beam_options",
            "",
            "Options of the Apache Beam pipeline, as "
            "'--runner=FlinkRunner --parallelism=8'.",
        ),
    )
