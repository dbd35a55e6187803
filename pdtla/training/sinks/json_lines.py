"""`JsonLines`, the scalars of a run as a file."""

import json
import math
import os
import pathlib
import time
from collections.abc import Mapping

from pdtla.training.sinks import sink


class JsonLines(sink.Sink):
    """Writes `metrics.jsonl`, one line for each report of a split.

    A line reads `{"step": 200, "split": "train", "time": ..., "loss": ...}`, the time
    in seconds since the epoch; null stands for what is not finite.

    Args:
      directory: the workdir.
      step: number of updates made so far; later lines are dropped.
    """

    def __init__(self, directory: pathlib.Path, *, step: int):
        path = directory / "metrics.jsonl"
        if path.exists():
            _drop_lines_after(path, step)
        self._file = path.open("a", buffering=1)  # a person may be watching

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        record = {"step": step, "split": split, "time": round(time.time(), 3)}
        for name, value in values.items():
            record[name] = value if math.isfinite(value) else None
        self._file.write(json.dumps(record) + "\n")

    def flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._file.close()


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
