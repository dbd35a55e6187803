"""`RldsReader`, any TFDS dataset in RLDS form as flat arrays of steps."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from tqdm import auto as tqdm

from pdtla import specs
from pdtla.datasets import dataset_directory, episode_arrays, rlds_decoding

_STEP_FIELDS = (
    specs.OBSERVATION,
    specs.ACTION,
    specs.REWARD,
    specs.DISCOUNT,
    specs.IS_FIRST,
    specs.IS_LAST,
    specs.IS_TERMINAL,
)
# Types on disk that no module computes with.
_NARROWED = {"float64": "float32", "int64": "int32"}
_SAMPLE_BYTES = 1 << 16
_READ_BYTES = 1 << 22
# Of larger datasets images are decoded when asked for: they may be streamed instead.
_LARGE_BYTES = 8 << 30


class RldsReader:
    """Reads one split of an RLDS dataset, whoever wrote it.

    The first use of a field decodes it into raw files beside the dataset, which every
    later use maps into memory. Episodes keep the order in which they are stored.

    Args:
      dataset_name: TFDS name, with or without `/config`.
      data_dir: the directory that TFDS datasets are under.
      config: name of the builder config, if it is not in `dataset_name`.
      split: name of a whole split.
      field_map: for a field of ours the path of the dataset's field under `steps`, as
        {"observation": "observation/image"}; other fields go by their RLDS names.
      num_actions: number of discrete actions, where the dataset does not tell.
      last_step_valid: whether an episode's last step holds a real action and reward, as
        in our own datasets, rather than the final observation alone, as RLDS allows.
      action_bounds: lowest and highest value of continuous actions, or "data" for those
        of the training trajectories.
      cache_dir: where decoded fields go, by default into the dataset's directory.

    Attributes:
      directory: the directory of this dataset, config and version.
      fingerprint: hex digest that changes with the data.
      lengths: int64 `[E]`, steps of each episode.
      starts: int64 `[E]`, flat index of each episode's first step.
      episode_ids: names of the episodes.
      level_seeds: int64 `[E]`, or None where the dataset has none.
      metadata: what the dataset's builder recorded about it.

    Raises:
      FileNotFoundError: no such dataset or shard; says what there is.
      ValueError: no such split or field.
      OSError: a damaged shard, by its name.
    """

    def __init__(
        self,
        *,
        dataset_name: str,
        data_dir: str,
        config: str | None = None,
        split: str = "train",
        field_map: Mapping[str, str] | None = None,
        num_actions: int | None = None,
        last_step_valid: bool = True,
        action_bounds: tuple[float, float] | str = (-1.0, 1.0),
        cache_dir: str | None = None,
    ):
        self.directory = dataset_directory.find(data_dir, dataset_name, config)
        self._builder = tfds.builder_from_directory(str(self.directory))
        self.split = split
        self.last_step_valid = last_step_valid
        self.action_bounds = action_bounds
        self._num_actions = num_actions
        self._field_map = dict(field_map or {})
        self._split_info = self._find_split()
        self._shards = self._find_shards()
        self.metadata = dict(self._builder.info.metadata or {})
        self.fingerprint = self._fingerprint()
        cache = pathlib.Path(cache_dir) if cache_dir else self.directory / "decoded"
        self._arrays = episode_arrays.EpisodeArrays(
            cache / f"{split}-{self.fingerprint[:16]}"
        )
        index = self._arrays.index() or self._decode_first()
        self.lengths = np.array(index["lengths"], np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.episode_ids = tuple(index["episode_ids"])
        levels = index["level_seeds"]
        self.level_seeds = None if levels is None else np.array(levels, np.int64)

    @property
    def num_steps(self) -> int:
        """Steps of all episodes."""
        return int(self.lengths.sum())

    @functools.cached_property
    def element_spec(self) -> dict[str, specs.ArraySpec]:
        """The spec of one step of every field there is."""
        fields = {}
        for field in (*_STEP_FIELDS, *self._field_map):
            feature = rlds_decoding.find_feature(self._steps, self._path(field))
            if feature is not None:
                fields[field] = self._array_spec(field, feature)
        return fields

    def array(self, field: str) -> np.ndarray:
        """All steps of a field, `[N, ...]`, mapped from disk.

        Raises:
          ValueError: the dataset has no such field.
        """
        spec = self._field_spec(field)
        path = self._path(field)
        if not self._arrays.has(path):
            with self._arrays.lock():
                if not self._arrays.has(path):
                    self._decode((field,))
        array = self._arrays.open(path)
        if array.shape != (self.num_steps, *spec.shape):
            raise OSError(
                f"Field {field!r} should have the shape "
                f"{(self.num_steps, *spec.shape)}, it has {array.shape}."
            )
        return array

    def decoded_path(self, field: str) -> pathlib.Path:
        """Where what is known about a decoded field goes, without an ending."""
        return self._arrays.path(self._path(field))

    @property
    def shard_lengths(self) -> tuple[int, ...]:
        """Episodes in each stored file."""
        return tuple(self._split_info.shard_lengths)

    def read_episodes(
        self, shards: tf.Tensor | Sequence[int], fields: Sequence[str]
    ) -> tf.data.Dataset:
        """Decodes stored files, in the order given.

        Args:
          shards: numbers of the files, `[S]`.
          fields: which fields to decode.

        Returns:
          For each episode its number and its fields `[T, ...]`, together with what the
          dataset says about it: `length`, and `episode_id` and `level_seed` if known.
        """
        lengths = np.array(self.shard_lengths, np.int64)
        paths = tf.constant([str(path) for path in self._shards])
        begins = tf.constant(np.cumsum(lengths) - lengths)
        features = self._builder.info.features
        skip = {specs.STEPS: tfds.decode.SkipDecoding()}

        def read_shard(shard: tf.Tensor) -> tf.data.Dataset:
            records = tf.data.TFRecordDataset(paths[shard], buffer_size=_READ_BYTES)
            return records.enumerate(begins[shard])

        def decode(number: tf.Tensor, record: tf.Tensor) -> tuple[tf.Tensor, dict]:
            episode = features.deserialize_example(record, decoders=skip)
            return number, self._decode_episode(episode, fields)

        records = tf.data.Dataset.from_tensor_slices(shards).flat_map(read_shard)
        return records.map(decode, num_parallel_calls=2, deterministic=True).prefetch(2)

    @property
    def _steps(self) -> tfds.features.FeaturesDict:
        return self._builder.info.features[specs.STEPS].feature

    def _path(self, field: str) -> str:
        return self._field_map.get(field, field)

    def _field_spec(self, field: str) -> specs.ArraySpec:
        if field not in self.element_spec:
            raise ValueError(
                f"{self.directory} has no field {field!r} in its steps; "
                f"it has {sorted(self.element_spec)}."
            )
        return self.element_spec[field]

    def _array_spec(self, field: str, feature) -> specs.ArraySpec:
        dtype = np.dtype(feature.np_dtype).name
        values = getattr(feature, "num_classes", None)
        if field == specs.ACTION and values is None:
            values = self._num_actions
        spec = specs.ArraySpec(
            tuple(feature.shape), _NARROWED.get(dtype, dtype), num_values=values
        )
        if field == specs.ACTION and spec.dtype.startswith("float"):
            if self.action_bounds != "data":
                minimum, maximum = self.action_bounds
                spec = dataclasses.replace(spec, minimum=minimum, maximum=maximum)
        return spec

    def _find_split(self) -> tfds.core.SplitInfo:
        splits = self._builder.info.splits
        if specs.STEPS not in self._builder.info.features:
            raise ValueError(f"{self.directory} is not in RLDS form: it has no steps.")
        if self._builder.info.file_format != tfds.core.FileFormat.TFRECORD:
            raise ValueError(
                f"{self.directory} must be stored as TFRecord files, "
                f"got {self._builder.info.file_format}."
            )
        if self.split not in list(splits):
            raise ValueError(
                f"{self.directory} has no split {self.split!r}; "
                f"it has {sorted(splits)}."
            )
        return splits[self.split]

    def _find_shards(self) -> list[pathlib.Path]:
        paths = [pathlib.Path(path) for path in self._split_info.filepaths]
        for path in paths:
            if not path.exists():
                raise FileNotFoundError(f"The shard {path} is missing.")
        return paths

    def _fingerprint(self) -> str:
        """Hashes the schema, and of every shard the size, the head and the tail."""
        digest = hashlib.sha256((self.directory / "features.json").read_bytes())
        digest.update(self.split.encode())
        for path in self._shards:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            with open(path, "rb") as file:
                digest.update(file.read(_SAMPLE_BYTES))
                file.seek(max(0, size - _SAMPLE_BYTES))
                digest.update(file.read(_SAMPLE_BYTES))
        return digest.hexdigest()

    def _decode_first(self) -> dict:
        """Decodes all fields, of large datasets all but images, and the index."""
        large = sum(path.stat().st_size for path in self._shards) > _LARGE_BYTES
        fields = tuple(
            field
            for field, spec in self.element_spec.items()
            if not (large and spec.is_image)
        )
        with self._arrays.lock():
            index = self._arrays.index()  # another process may have made it meanwhile
            return index or self._decode(fields)

    def _decode(self, fields: tuple[str, ...]) -> dict:
        logging.info("Decoding %s of %s.", ", ".join(fields), self.directory)
        index = {"lengths": [], "episode_ids": [], "level_seeds": []}
        self._arrays.write(self._episodes(fields, index), index)
        return index

    def _episodes(self, fields: tuple[str, ...], index: dict) -> Iterator[dict]:
        """Yields fields of all episodes in stored order, notes the rest in `index`."""
        episodes = self.read_episodes(range(len(self._shards)), fields)
        expected = 0
        total = sum(self.shard_lengths)
        with tqdm.tqdm(
            total=total, desc=f"Decoding {self.split}", unit="ep", disable=None
        ) as bar:
            try:
                for number, episode in episodes.as_numpy_iterator():
                    if number != expected:
                        raise OSError(f"{self._shard_of(expected)} lacks an episode.")
                    expected += 1
                    rlds_decoding.note_episode(episode, index)
                    yield {self._path(field): episode[field] for field in fields}
                    bar.update()
            except (tf.errors.OpError, ValueError) as error:
                raise OSError(
                    f"{self._shard_of(expected)} is damaged: "
                    f"{str(error).splitlines()[0][:200]}"
                ) from None
        if expected != total:
            raise OSError(f"{self._shard_of(expected)} lacks an episode.")
        if None in index["level_seeds"]:
            index["level_seeds"] = None

    def _shard_of(self, episode: int) -> pathlib.Path:
        shard = np.searchsorted(np.cumsum(self.shard_lengths), episode, side="right")
        return self._shards[min(shard, len(self._shards) - 1)]

    def _decode_episode(self, episode: dict, fields: tuple[str, ...]) -> dict:
        """Decodes a whole episode at once where the encoding allows."""
        steps = episode[specs.STEPS]
        arrays = {
            name: episode[name]
            for name in ("episode_id", "level_seed")
            if name in episode
        }
        arrays["length"] = tf.shape(tf.nest.flatten(steps)[0])[0]
        for field in fields:
            path = self._path(field)
            value = functools.reduce(
                lambda tree, key: tree[key], path.split("/"), steps
            )
            feature = rlds_decoding.find_feature(self._steps, path)
            decoded = rlds_decoding.decode_steps(value, feature)
            arrays[field] = tf.cast(decoded, self.element_spec[field].dtype)
        return arrays
