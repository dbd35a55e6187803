"""`Point`, one run of a grid."""

import dataclasses

from pdtla.training.sinks import sink


@dataclasses.dataclass(frozen=True)
class Point:
    """One run of a grid.

    Attributes:
      name: its place in the grid, and the name of its workdir.
      files: gin files.
      bindings: statements that replace those of the files.
      num_updates: of the run; 0 until the configuration was read.
      settings: the UPPER_CASE macros of the run, likewise.
    """

    name: str
    files: tuple[str, ...]
    bindings: tuple[str, ...]
    num_updates: int = 0
    settings: sink.Hyperparameters = dataclasses.field(default_factory=dict)

    def arguments(self, workdir: str) -> list[str]:
        """The arguments of `launch.train`."""
        return [
            *(f"--gin_file={file}" for file in self.files),
            *(f"--gin_bindings={binding}" for binding in self.bindings),
            f"--workdir={workdir}",
        ]
