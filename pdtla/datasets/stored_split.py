"""`StoredSplit`, the files of one split of a TFDS dataset in RLDS form."""

import hashlib
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from pdtla import error_text, specs

_SAMPLE_BYTES = 1 << 16
_READ_BYTES = 1 << 22


class StoredSplit:
    """Finds the files of a split and reads their episodes in stored order.

    Args:
      directory: of a dataset, config and version.
      split: name of a whole split.

    Attributes:
      name: TFDS name of the dataset.
      steps: TFDS features of one step.
      metadata: what the dataset's builder recorded about it.
      num_bytes: size of all files.
      shard_lengths: episodes in each file.

    Raises:
      OSError: a file is missing, or damaged.
      ValueError: no such split, or the dataset is not in RLDS form.
    """

    def __init__(self, directory: pathlib.Path, split: str):
        self._directory = directory
        self._split = split
        info = _read_info(directory)
        self._check(info)
        self._features = info.features
        self.name = info.name
        self.steps = info.features[specs.STEPS].feature
        self.metadata = dict(info.metadata or {})
        self.shard_lengths = tuple(info.splits[split].shard_lengths)
        self._shards = [pathlib.Path(path) for path in info.splits[split].filepaths]
        for path in self._shards:
            if not path.exists():
                raise FileNotFoundError(f"The shard {path} is missing.")
        self.num_bytes = sum(path.stat().st_size for path in self._shards)

    def fingerprint(self) -> str:
        """Hashes the schema, and of every file the size, the head and the tail."""
        digest = hashlib.sha256((self._directory / "features.json").read_bytes())
        digest.update(self._split.encode())
        for path in self._shards:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            with open(path, "rb") as file:
                digest.update(file.read(_SAMPLE_BYTES))
                file.seek(max(0, size - _SAMPLE_BYTES))
                digest.update(file.read(_SAMPLE_BYTES))
        return digest.hexdigest()

    def read(
        self,
        shards: tf.Tensor | Sequence[int],
        decode: Callable[[dict], dict[str, tf.Tensor]],
    ) -> tf.data.Dataset:
        """The number and the content of every episode of some files, in this order.

        Args:
          shards: numbers of the files, `[S]`.
          decode: makes tensors of an episode whose steps are as they are stored.
        """
        lengths = np.array(self.shard_lengths, np.int64)
        paths = tf.constant([str(path) for path in self._shards])
        begins = tf.constant(np.cumsum(lengths) - lengths)
        skip = {specs.STEPS: tfds.decode.SkipDecoding()}

        def read_shard(shard: tf.Tensor) -> tf.data.Dataset:
            records = tf.data.TFRecordDataset(paths[shard], buffer_size=_READ_BYTES)
            return records.enumerate(begins[shard])

        def parse(number: tf.Tensor, record: tf.Tensor) -> tuple[tf.Tensor, dict]:
            episode = self._features.deserialize_example(record, decoders=skip)
            return number, decode(episode)

        records = tf.data.Dataset.from_tensor_slices(shards).flat_map(read_shard)
        return records.map(parse, num_parallel_calls=2, deterministic=True).prefetch(2)

    def iterate(self, decode: Callable[[dict], dict[str, tf.Tensor]]) -> Iterator[dict]:
        """Yields all episodes in stored order, as NumPy arrays.

        Raises:
          OSError: a damaged file, by its name and that of the episode.
        """
        expected = 0
        episodes = self.read(range(len(self._shards)), decode)
        try:
            for number, episode in episodes.as_numpy_iterator():
                if number != expected:
                    raise OSError(f"{self._shard_of(expected)} lacks an episode.")
                expected += 1
                yield episode
        except (tf.errors.OpError, ValueError) as error:
            raise OSError(
                f"{self._shard_of(expected)} is damaged at episode {expected} of "
                f"{self._split}: {error_text.first_line(error)[:200]}."
            ) from None
        if expected != sum(self.shard_lengths):
            raise OSError(f"{self._shard_of(expected)} lacks an episode.")

    def check(self) -> None:
        """Reads all files.

        Raises:
          OSError: a damaged file, by its name and that of the episode.
        """
        for _ in self.iterate(lambda episode: {}):
            pass

    def _shard_of(self, episode: int) -> pathlib.Path:
        shard = np.searchsorted(np.cumsum(self.shard_lengths), episode, side="right")
        return self._shards[min(shard, len(self._shards) - 1)]

    def _check(self, info: tfds.core.DatasetInfo) -> None:
        if specs.STEPS not in info.features:
            raise ValueError(f"{self._directory} is not in RLDS form: it has no steps.")
        if info.file_format != tfds.core.FileFormat.TFRECORD:
            raise ValueError(
                f"{self._directory} must be stored as TFRecord files, "
                f"got {info.file_format}."
            )
        if self._split not in list(info.splits):
            raise ValueError(
                f"{self._directory} has no split {self._split!r}; "
                f"it has {sorted(info.splits)}."
            )


def _read_info(directory: pathlib.Path) -> tfds.core.DatasetInfo:
    try:
        return tfds.builder_from_directory(str(directory)).info
    except Exception as error:  # of JSON, of protocol buffers, of TFDS itself
        raise OSError(
            f"TFDS cannot read what describes {directory} (features.json, "
            f"dataset_info.json): {error_text.first_line(error)[:200]}"
        ) from error
