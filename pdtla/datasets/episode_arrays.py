"""`EpisodeArrays`, decoded fields of a split as flat files that map into memory."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

_INDEX = "index.json"
_TEMPORARY = "incomplete"


class EpisodeArrays:
    """Arrays of all steps of all episodes end to end, one raw file a field.

    Reading TFDS takes minutes where mapping a file takes milliseconds, and processes
    that train on the same data share its pages. Every file is written under another
    name, then renamed, so a reader sees whole fields only, whenever a writer dies.

    Args:
      directory: where the files are; made when the first field is written.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = pathlib.Path(directory)

    def index(self) -> dict | None:
        """What was stored with the first write, None before it.

        Raises:
          OSError: the file is damaged.
        """
        try:
            return self._read_json(self.directory / _INDEX)
        except FileNotFoundError:
            return None

    def has(self, field: str) -> bool:
        """Whether all of a field is there."""
        return self._layout_path(field).exists() and self._data_path(field).exists()

    def path(self, field: str) -> pathlib.Path:
        """Where a field is or will be, without an ending."""
        return self.directory / field.replace("/", ".")

    def open(self, field: str) -> np.ndarray:
        """Maps a field, `[N, ...]`; what is written to it stays in memory.

        Raises:
          OSError: the file has another size than it was written with, or what tells
            its size is damaged.
        """
        layout = self._read_json(self._layout_path(field))
        shape, dtype = tuple(layout["shape"]), np.dtype(layout["dtype"])
        path = self._data_path(field)
        expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if path.stat().st_size != expected:
            raise OSError(
                f"{path} should have {expected} bytes, it has {path.stat().st_size}; "
                f"delete {self.directory} to have it decoded again."
            )
        if expected == 0:
            return np.zeros(shape, dtype)
        # Copy on write: TensorFlow takes over writable memory only.
        return np.asarray(np.memmap(path, dtype, "c", shape=shape))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lets one process write at a time; it is released when its holder dies."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.directory / "lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def write(self, episodes: Iterable[Mapping[str, np.ndarray]], index: dict) -> None:
        """Writes the fields of all episodes; call it within `lock`.

        Args:
          episodes: for each episode its fields `[T, ...]`, every time the same ones.
          index: stored beside the fields, filled by the time `episodes` ends.
        """
        temporary = self.directory / _TEMPORARY
        shutil.rmtree(temporary, ignore_errors=True)  # of a writer that was killed
        temporary.mkdir(parents=True)
        layouts: dict[str, dict] = {}
        with contextlib.ExitStack() as stack:
            files: dict = {}
            for episode in episodes:
                for field, array in episode.items():
                    if field not in files:
                        path = temporary / self._data_path(field).name
                        files[field] = stack.enter_context(open(path, "wb"))
                        shape = [0, *array.shape[1:]]
                        layouts[field] = {"shape": shape, "dtype": array.dtype.str}
                    layouts[field]["shape"][0] += len(array)
                    files[field].write(np.ascontiguousarray(array).data)
        for field, layout in layouts.items():
            path = temporary / self._layout_path(field).name
            path.write_text(json.dumps(layout))
            os.replace(temporary / self._data_path(field).name, self._data_path(field))
            os.replace(path, self._layout_path(field))
        (temporary / _INDEX).write_text(json.dumps(index))
        os.replace(temporary / _INDEX, self.directory / _INDEX)
        temporary.rmdir()

    def _read_json(self, path: pathlib.Path) -> dict:
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            raise OSError(
                f"{path} is damaged; delete {self.directory} to have it made again."
            ) from error

    def _data_path(self, field: str) -> pathlib.Path:
        path = self.path(field)
        return path.with_name(f"{path.name}.raw")

    def _layout_path(self, field: str) -> pathlib.Path:
        path = self.path(field)
        return path.with_name(f"{path.name}.json")
