"""Reads episodes from parquet files, as Hugging Face datasets are published.

Procgen's are (`EpicPinkPenguin/procgen`) a directory a game with train-*.parquet and
test-*.parquet, a row a step: observation (nested lists of bytes, or encoded images),
action, reward, done, truncated. Others (such as JAT's) have a row an episode.
"""

import functools
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf
from pyarrow import parquet

from pdtla import specs
from pdtla.datasets import imported_dataset, step_chunks
from pdtla.experts import collect

DATASET_NAME = "parquet"
FIELDS = ("observation", "action", "reward", "done", "truncated", "level_seed")
_SPLITS = ("train", "test")
_BATCH_ROWS = 2048


def parquet_files(
    *,
    path: str,
    env_id: str,
    num_actions: int,
    columns: Mapping[str, str] | None = None,
    rows: str = "steps",
    done_marks_first: bool = False,
) -> imported_dataset.ImportedDataset:
    """The dataset `parquet/<env_id>`.

    Args:
      path: directory with `train-*.parquet` or `train/*.parquet`, likewise `test`.
      env_id: what the dataset is of.
      num_actions: number of discrete actions; continuous ones lie within -1 and 1.
      columns: names of the columns of `FIELDS`, where they differ from ours. Without
        `reward` it is 0, without `truncated` no step limit cut an episode.
      rows: what a row is, `steps` or `episodes`.
      done_marks_first: whether `done` and `truncated` mark the first step after an
        episode rather than its last one.

    Raises:
      FileNotFoundError: no files.
      ValueError: a column that there is not, or another setting there is not.
    """
    if rows not in ("steps", "episodes"):
        raise ValueError(f"rows must be 'steps' or 'episodes', got {rows!r}.")
    if rows == "episodes" and done_marks_first:
        raise ValueError("Rows that are episodes end with them: no done_marks_first.")
    reader = _Reader(rows == "episodes", dict(columns or {}))
    files = {split: _find(path, split) for split in _SPLITS}
    if not files["train"]:
        raise FileNotFoundError(
            f"{path} has neither train-*.parquet nor train/*.parquet."
        )
    chunk = next(reader.chunks(files["train"]))
    observation = np.asarray(chunk.observation)
    images = observation.dtype == np.uint8
    if chunk.action.dtype.kind == "f":
        action = specs.ArraySpec(
            chunk.action.shape[1:], "float32", minimum=-1.0, maximum=1.0
        )
    else:
        action = specs.ArraySpec((), "int32", num_values=num_actions)
    return imported_dataset.ImportedDataset(
        name=f"{DATASET_NAME}/{env_id}",
        observation=specs.ArraySpec(
            observation.shape[1:], "uint8" if images else "float32"
        ),
        action=action,
        splits={
            split: functools.partial(_episodes, reader, paths, done_marks_first)
            for split, paths in files.items()
            if paths
        },
        metadata={"env_id": env_id},
        description=f"Imported from parquet files: {env_id}.",
    )


class _Reader:
    """Makes chunks of steps of the rows of files."""

    def __init__(self, row_is_episode: bool, columns: dict[str, str]):
        unknown = sorted(set(columns) - set(FIELDS))
        if unknown:
            raise ValueError(f"columns must map some of {FIELDS}, got {unknown}.")
        self._row_is_episode = row_is_episode
        self._columns = {field: columns.get(field, field) for field in FIELDS}

    def chunks(self, paths: Sequence[pathlib.Path]) -> Iterator[step_chunks.StepChunk]:
        """Reads the files in order, some rows at a time."""
        for path in paths:
            with _open(path) as file:
                names = self._present(path, file.schema_arrow.names)
                batch_rows = 1 if self._row_is_episode else _BATCH_ROWS
                for batch in file.iter_batches(batch_rows, columns=[*names.values()]):
                    yield self._chunk(
                        {field: batch[name] for field, name in names.items()}
                    )

    def _present(self, path: pathlib.Path, there: Sequence[str]) -> dict[str, str]:
        required = ["observation", "action"]
        if not self._row_is_episode:
            required.append("done")
        for field in required:
            if self._columns[field] not in there:
                raise ValueError(
                    f"{path} has no column {self._columns[field]!r} for {field}; "
                    f"it has {list(there)}."
                )
        return {f: name for f, name in self._columns.items() if name in there}

    def _chunk(self, batch: dict[str, pa.Array]) -> step_chunks.StepChunk:
        if self._row_is_episode:
            batch = {
                field: array.flatten() if _is_list(array) else array
                for field, array in batch.items()
            }
        columns = {field: _to_numpy(array) for field, array in batch.items()}
        count = len(columns["action"])
        last = np.arange(count) == count - 1
        done = np.broadcast_to(columns.get("done", last), (count,)).astype(bool)
        truncated = columns.get("truncated", np.zeros(count))
        truncated = np.broadcast_to(truncated, (count,)).astype(bool)
        level = columns.get("level_seed", step_chunks.no_levels(1))
        return step_chunks.StepChunk(
            observation=columns["observation"],
            action=columns["action"],
            reward=columns.get("reward", np.zeros(count)),
            end=last if self._row_is_episode else done | truncated,
            terminal=done & ~truncated,
            level=np.broadcast_to(level, (count,)),
        )


def _episodes(
    reader: _Reader, paths: Sequence[pathlib.Path], done_marks_first: bool
) -> Iterator[collect.Episode]:
    return step_chunks.cut_episodes(reader.chunks(paths), done_marks_first)


def _find(directory: str, split: str) -> list[pathlib.Path]:
    root = pathlib.Path(directory).expanduser()
    found = [*root.glob(f"{split}-*.parquet"), *root.glob(f"{split}/*.parquet")]
    return sorted(found, key=_place)


def _place(path: pathlib.Path) -> list[tuple[int, str]]:
    """Sorts names by the numbers in them: part-2 before part-10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", str(path))
    ]


def _open(path: pathlib.Path) -> parquet.ParquetFile:
    try:
        return parquet.ParquetFile(path)
    except pa.ArrowException as error:
        raise OSError(f"{path} is damaged: {str(error).splitlines()[0]}") from None


def _is_list(array: pa.Array) -> bool:
    kinds = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
    return any(is_kind(array.type) for is_kind in kinds)


def _to_numpy(array: pa.Array) -> np.ndarray:
    """Numbers, nested lists of one shape, or encoded images, as `[N, ...]`."""
    if pa.types.is_struct(array.type):
        array = array.field("bytes")
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return np.stack([tf.io.decode_image(image.as_py()).numpy() for image in array])
    shape = [len(array)]
    while _is_list(array):
        outer, array = len(array), array.flatten()
        if len(array) % outer:
            raise ValueError("Arrays within a column must have one shape.")
        shape.append(len(array) // outer)
    return array.to_numpy(zero_copy_only=False).reshape(shape)
