"""`MetricsLog`, the scalars of a run as JSON lines and for TensorBoard."""

import json
import math
import os
import pathlib
import struct
import time
from collections.abc import Mapping

import tensorflow as tf


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
        self._first_step = step + 1
        path = self._directory / "metrics.jsonl"
        if path.exists():
            _drop_lines_after(path, step)
        self._file = path.open("a", buffering=1)  # a person may be watching
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Records scalars of a split; the file has null where one is not finite."""
        record = {"step": step, "split": split, "time": round(time.time(), 3)}
        for name, value in values.items():
            record[name] = value if math.isfinite(value) else None
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
            writer = tf.summary.create_file_writer(directory)
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
