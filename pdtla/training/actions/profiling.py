"""`Profiling`, which records what the machine does during some updates."""

import pathlib

import tensorflow as tf
from absl import logging

from pdtla.training.actions import action


class Profiling(action.Action):
    """Writes a trace of the updates after `first`, up to `last`, for TensorBoard.

    Args:
      first: the update before the first one of the trace: not 0, for the first call of
        the compiled loop also traces and compiles it.
      last: the last update of the trace.
      directory: the trace goes to `directory/plugins/profile/<time>`.
    """

    def __init__(self, first: int, last: int, *, directory: pathlib.Path):
        super().__init__()
        self._first = first
        self._last = last
        self._directory = directory
        self._records = False

    def is_due(self, step: int) -> bool:
        return step in (self._first, self._last)

    def next_step(self, step: int) -> float:
        following = (each for each in (self._first, self._last) if each > step)
        return min(following, default=super().next_step(step))

    def stop(self, step: int) -> None:
        self.close()

    def run(self, step: int) -> None:
        if step == self._first:
            tf.profiler.experimental.start(str(self._directory))
            self._records = True
        else:
            self.close()

    def close(self) -> None:
        """Ends the trace, where one has begun."""
        if self._records:
            self._records = False
            tf.profiler.experimental.stop()
            logging.info(
                "Trace of updates %d to %d: tensorboard --logdir=%s",
                self._first + 1,
                self._last,
                self._directory,
            )
