"""`MetricsLog`, the scalars of a run as JSON lines and for TensorBoard."""

import json
import os
import pathlib
import struct
import time
from collections.abc import Mapping

import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer import event_file_writer

SPLITS = ("train", "heldout", "rollouts")


class MetricsLog:
    """Writes `metrics.jsonl` and one TensorBoard folder a split.

    A line reads `{"step": 200, "split": "train", "time": ..., "loss": ...}`, the time
    in seconds since the epoch. What a stopped run wrote after its last checkpoint is
    taken back, for the resumed run writes it again.

    Args:
      directory: the workdir.
      step: number of updates made so far; later records are dropped.
    """

    def __init__(self, directory: str | pathlib.Path, *, step: int):
        self._directory = pathlib.Path(directory)
        path = self._directory / "metrics.jsonl"
        if path.exists():
            _drop_lines_after(path, step)
            self._drop_events_after(step)
        self._file = path.open("a")
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Records scalars of a split: `train`, `heldout` or `rollouts`."""
        record = {"step": step, "split": split, "time": round(time.time(), 3), **values}
        self._file.write(json.dumps(record) + "\n")
        with self.writer(split).as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def images(self, step: int, split: str, values: Mapping[str, tf.Tensor]) -> None:
        """Shows uint8 images `[N, H, W, 3]` in TensorBoard."""
        with self.writer(split).as_default(step):
            for name, value in values.items():
                tf.summary.image(name, value, max_outputs=8)

    def gif(self, step: int, split: str, name: str, data: bytes) -> None:
        """Shows an encoded GIF, which TensorBoard plays."""
        width, height = struct.unpack("<HH", data[6:10])
        metadata = tf.compat.v1.SummaryMetadata(
            plugin_data={"plugin_name": "images"}, display_name=name
        )
        with self.writer(split).as_default(step):
            tf.summary.write(
                name,
                tf.stack([str(width).encode(), str(height).encode(), data]),
                metadata=metadata,
            )

    def text(self, step: int, split: str, name: str, markdown: str) -> None:
        """Shows a text in TensorBoard."""
        with self.writer(split).as_default(step):
            tf.summary.text(name, markdown)

    def writer(self, split: str) -> tf.summary.SummaryWriter:
        """The TensorBoard writer of a split."""
        if split not in self._writers:
            directory = str(self._directory / split)
            self._writers[split] = tf.summary.create_file_writer(directory)
        return self._writers[split]

    def flush(self) -> None:
        """Puts everything on disk, as must be done before a checkpoint."""
        self._file.flush()
        os.fsync(self._file.fileno())
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Ends the log."""
        self.flush()
        self._file.close()
        for writer in self._writers.values():
            writer.close()

    def _drop_events_after(self, step: int) -> None:
        # TensorBoard discards what it has seen from the step of a START event on.
        for split in SPLITS:
            directory = self._directory / split
            if not directory.exists():
                continue
            writer = event_file_writer.EventFileWriter(str(directory))
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            writer.add_event(
                event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=start)
            )
            writer.close()


def _drop_lines_after(path: pathlib.Path, step: int) -> None:
    kept = []
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # cut off when the run was killed
            continue
        if record["step"] <= step:
            kept.append(line + "\n")
    partial = path.with_suffix(".partial")
    partial.write_text("".join(kept))
    partial.replace(path)
