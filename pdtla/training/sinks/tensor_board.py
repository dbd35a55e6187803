"""`TensorBoard`, the record of a run as event files."""

import pathlib
import struct
import time
from collections.abc import Mapping

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api
from tensorboard.plugins.hparams import api_pb2 as hparams_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from pdtla.training.sinks import sink

_RUN = ""  # the folder of the run itself; splits have folders below it


class TensorBoard(sink.Sink):
    """Writes one TensorBoard folder a split, and the run's row of the HParams table.

    TensorBoard takes a folder with hyperparameters for a session of an experiment, and
    the scalars in it and below it for its metrics.

    Args:
      directory: the workdir.
      step: number of updates made so far; later records are taken back.
    """

    def __init__(self, directory: pathlib.Path, *, step: int):
        self._directory = directory
        self._first_step = step + 1
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def hyperparameters(self, values: sink.Hyperparameters) -> None:
        if self._first_step > 1:  # they are there, and one session has them once
            return
        with self._writer(_RUN).as_default(0):
            hparams_api.hparams(dict(values))

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        with self._writer(split).as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def headline(self, step: int, values: Mapping[str, float]) -> None:
        self.scalars(step, _RUN, values)

    def images(self, step: int, split: str, values: Mapping[str, tf.Tensor]) -> None:
        with self._writer(split).as_default(step):
            for name, value in values.items():
                tf.summary.image(name, value, max_outputs=8)

    def gif(self, step: int, split: str, name: str, data: bytes) -> None:
        width, height = struct.unpack("<HH", data[6:10])
        metadata = tf.compat.v1.SummaryMetadata(
            plugin_data={"plugin_name": "images"}, display_name=name
        )
        with self._writer(split).as_default(step):
            tf.summary.write(
                name,
                tf.stack([str(width).encode(), str(height).encode(), data]),
                metadata=metadata,
            )

    def text(self, step: int, split: str, name: str, markdown: str) -> None:
        with self._writer(split).as_default(step):
            tf.summary.text(name, markdown)

    def finished(self) -> None:
        summary = hparams_summary.session_end_pb(hparams_pb2.STATUS_SUCCESS)
        with self._writer(_RUN).as_default(0):
            tf.summary.experimental.write_raw_pb(summary.SerializeToString())

    def flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _writer(self, split: str) -> tf.summary.SummaryWriter:
        if split not in self._writers:
            writer = tf.summary.create_file_writer(str(self._directory / split))
            # At a START event that is not the first one of a folder, TensorBoard
            # discards what it has seen from this step on.
            start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
            event = tf.compat.v1.Event(
                wall_time=time.time(), step=self._first_step, session_log=start
            )
            tf.raw_ops.ImportEvent(
                writer=writer._resource, event=event.SerializeToString()
            )
            self._writers[split] = writer
        return self._writers[split]
