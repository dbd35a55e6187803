"""`MetricsLog`, the record of a run."""

import pathlib
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from pdtla.training.sinks import json_lines, sink, tensor_board

MakeSink = Callable[..., sink.Sink]


class MetricsLog:
    """Tells every sink what a run reports.

    The sinks are `metrics.jsonl`, TensorBoard's event files and the given mirrors. What
    a stopped run reported after its last checkpoint is taken back, for the resumed run
    reports it again.

    Args:
      directory: the workdir.
      step: number of updates made so far; later records are dropped.
      mirrors: further sinks, each called with `directory` and `step`.
      silent: write nothing, for a worker that is not the chief.
    """

    def __init__(
        self,
        directory: str | pathlib.Path,
        *,
        step: int,
        mirrors: Sequence[MakeSink] = (),
        silent: bool = False,
    ):
        makers = (json_lines.JsonLines, tensor_board.TensorBoard, *mirrors)
        if silent:
            makers = ()
        self._sinks = tuple(make(pathlib.Path(directory), step=step) for make in makers)

    def hyperparameters(self, values: sink.Hyperparameters) -> None:
        """Records the settings of the run."""
        for each in self._sinks:
            each.hyperparameters(values)

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Records scalars of a split."""
        for each in self._sinks:
            each.scalars(step, split, values)

    def headline(self, step: int, values: Mapping[str, float]) -> None:
        """Records the few numbers that runs are compared by."""
        for each in self._sinks:
            each.headline(step, values)

    def images(self, step: int, split: str, values: Mapping[str, tf.Tensor]) -> None:
        """Shows uint8 images `[N, H, W, 3]`."""
        for each in self._sinks:
            each.images(step, split, values)

    def gif(self, step: int, split: str, name: str, data: bytes) -> None:
        """Shows an encoded GIF, which TensorBoard plays."""
        for each in self._sinks:
            each.gif(step, split, name, data)

    def text(self, step: int, split: str, name: str, markdown: str) -> None:
        """Shows a text."""
        for each in self._sinks:
            each.text(step, split, name, markdown)

    def finished(self) -> None:
        """Records that the run came to its end."""
        for each in self._sinks:
            each.finished()

    def flush(self) -> None:
        """Puts everything on disk, as must be done before a checkpoint."""
        for each in self._sinks:
            each.flush()

    def close(self) -> None:
        """Ends the log."""
        for each in self._sinks:
            each.close()
