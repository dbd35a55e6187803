"""`Checkpointing`, which saves the run and its modules."""

import pathlib
from collections.abc import Mapping

import keras

from pdtla.layers import module_io
from pdtla.training import checkpoints, metrics_log
from pdtla.training.actions import action


class Checkpointing(action.Action):
    """Saves a checkpoint, and each module where later stages look for it.

    It acts after the other actions, and the checkpoint comes last: once it is there,
    everything else about its step is on disk.

    Args:
      interval: updates between checkpoints.
      checkpointer: writes the checkpoints.
      log: its records are put on disk first.
      modules: parts of the stage that later stages load, by name.
      directory: each module goes to `directory/<name>`.
      metadata: saved with each module, together with the step.
    """

    def __init__(
        self,
        interval: int,
        *,
        checkpointer: checkpoints.Checkpointer,
        log: metrics_log.MetricsLog,
        modules: Mapping[str, keras.layers.Layer],
        directory: pathlib.Path,
        metadata: Mapping[str, object],
    ):
        super().__init__(interval)
        self._checkpointer = checkpointer
        self._log = log
        self._modules = modules
        self._directory = directory
        self._metadata = metadata

    def stop(self, step: int) -> None:
        self.run(step)

    def run(self, step: int) -> None:
        for name, module in self._modules.items():
            metadata = {**self._metadata, "step": step}
            module_io.save_module(module, self._directory / name, metadata)
        self._log.flush()
        self._checkpointer.save(step)
