"""`LatentWriter`, fills a set of latents so that an interruption costs little."""

import json
import os
import pathlib
import shutil
from collections.abc import Mapping

import numpy as np

from pdtla.datasets import rlds_reader, window_index

MANIFEST = "manifest.json"
_PROGRESS = "progress.json"
_FLUSH_ROWS = 20_000


class LatentWriter:
    """Writes latents transition by transition, in stored order.

    `LatentStore.writer` makes one. What was written before an interruption is kept; the
    set appears under its name, complete, when `close` renames it.

    Args:
      directory: where the set is to appear.
      manifest: what it is; a started set with another manifest is begun anew.
      source: the dataset.

    Attributes:
      num_transitions: transitions in all.
      position: transitions written so far, where `write` goes on.
      parts: folder for what is not in its place yet, gone when `close` ends.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        manifest: dict,
        source: rlds_reader.RldsReader,
    ):
        self._directory = directory
        self._temporary = directory.parent / f"{directory.name}.incomplete"
        self.parts = self._temporary / "parts"
        self._manifest = manifest
        self._rows = window_index.steps_of(
            source.starts, np.maximum(source.lengths - 1, 0)
        )
        self.num_transitions = len(self._rows)
        self.position = self._resume(source.num_steps)
        self._flushed = self.position
        self._arrays = {
            field: np.load(self._temporary / f"{field}.npy", mmap_mode="r+")
            for field in manifest["fields"]
        }

    def write(self, values: Mapping[str, np.ndarray]) -> None:
        """Appends the latents of the next transitions, `[n, ...]` for each field.

        Raises:
          ValueError: other fields or shapes than announced, or too many rows.
        """
        if set(values) != set(self._arrays):
            raise ValueError(
                f"Latents need {sorted(self._arrays)}, got {sorted(values)}."
            )
        count = len(next(iter(values.values())))
        if self.position + count > self.num_transitions:
            raise ValueError(
                f"{self.num_transitions - self.position} transitions are left, "
                f"got {count}."
            )
        rows = self._rows[self.position : self.position + count]
        for field, value in values.items():
            array, value = self._arrays[field], np.asarray(value)
            if value.shape != (count, *array.shape[1:]):
                raise ValueError(
                    f"{field} should have the shape {(count, *array.shape[1:])}, "
                    f"got {value.shape}."
                )
            array[rows] = value
        self.position += count
        if self.position - self._flushed >= _FLUSH_ROWS:
            self._flush()

    def close(self) -> None:
        """Gives the complete set its name, in place of an older one.

        Raises:
          ValueError: not all transitions were written.
        """
        if self.position != self.num_transitions:
            raise ValueError(
                f"{self.position} of {self.num_transitions} transitions were written."
            )
        self._flush()
        shutil.rmtree(self.parts, ignore_errors=True)
        _write_json(self._temporary / MANIFEST, self._manifest)
        if self._directory.exists():
            outdated = self._directory.parent / f"{self._directory.name}.outdated"
            shutil.rmtree(outdated, ignore_errors=True)
            os.replace(self._directory, outdated)
            shutil.rmtree(outdated)
        os.replace(self._temporary, self._directory)
        (self._directory / _PROGRESS).unlink()

    def _flush(self) -> None:
        for array in self._arrays.values():
            array.flush()
        self._record_progress(self.position)
        self._flushed = self.position

    def _record_progress(self, position: int) -> None:
        progress = {"position": position, "manifest": self._manifest}
        _write_json(self._temporary / _PROGRESS, progress)

    def _resume(self, num_steps: int) -> int:
        try:
            progress = json.loads((self._temporary / _PROGRESS).read_text())
            if progress["manifest"] == self._manifest:
                return progress["position"]
        except FileNotFoundError:
            pass
        self._allocate(num_steps)
        self._record_progress(0)
        return 0

    def _allocate(self, num_steps: int) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        for field, spec in self._manifest["fields"].items():
            array = np.lib.format.open_memmap(
                self._temporary / f"{field}.npy",
                mode="w+",
                dtype=spec["dtype"],
                shape=(num_steps, *spec["shape"]),
            )
            # What no transition explains stays 0, or no code and no action at all.
            array[:] = -1 if array.dtype.kind == "i" else 0
            array.flush()


def _write_json(path: pathlib.Path, value: dict) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value))
    os.replace(temporary, path)
