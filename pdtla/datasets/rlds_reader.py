"""`RldsReader`, any TFDS dataset in RLDS form as flat arrays of steps."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import auto as tqdm

from pdtla import specs
from pdtla.datasets import dataset_directory, episode_arrays, step_field, stored_split

_STEP_FIELDS = (
    specs.OBSERVATION,
    specs.ACTION,
    specs.REWARD,
    specs.DISCOUNT,
    specs.IS_FIRST,
    specs.IS_LAST,
    specs.IS_TERMINAL,
)
# TFDS converts D4RL so that an episode may end with a made-up step: zeros, or the last
# observation of the whole dataset.
_MADE_UP_LAST_STEP = "d4rl_"
# Of larger datasets images are decoded when asked for: they may be streamed instead.
_LARGE_BYTES = 8 << 30
LAST_STEP_VALID = "last_step_valid"  # in the metadata of datasets


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
        {"observation": "observation/image"}, or several paths, whose arrays are joined
        into a vector; other fields go by their RLDS names.
      image_size: height and width, or one number for both, that images are resized to
        when they are decoded; None keeps them as they are.
      num_actions: number of discrete actions, where the dataset does not tell.
      last_step_valid: whether an episode's last step holds a real action and reward, as
        in our own datasets, rather than the final observation alone, as RLDS allows;
        None for what the metadata say, which is yes unless they say no.
      drop_last_step: leave out the last step of every episode; None for what D4RL needs
        and others do not.
      action_bounds: lowest and highest value of continuous actions, or "data" for those
        of the training trajectories; None for what the metadata say, -1 and 1 unless
        they say.
      cache_dir: where decoded fields go, by default into the dataset's directory.

    Attributes:
      directory: the directory of this dataset, config and version.
      fingerprint: hex digest that changes with the data.
      lengths: int64 `[E]`, steps of each episode.
      starts: int64 `[E]`, flat index of each episode's first step.
      episode_ids: names of the episodes.
      level_seeds: int64 `[E]`, or None where the dataset has none.
      metadata: what the dataset's builder recorded about it.

      streams: whether large fields may be read in a row instead of drawn from.
      parts: int64 `[E]`, of several joint datasets the one of each episode, here 0.

    Raises:
      FileNotFoundError: no such dataset or shard; says what there is.
      ValueError: no such split or field, a split without steps, or an episode that
        by its `is_first` or `is_last` is several.
      OSError: a damaged shard, by its name.
    """

    streams = True

    def __init__(
        self,
        *,
        dataset_name: str,
        data_dir: str,
        config: str | None = None,
        split: str = "train",
        field_map: Mapping[str, str | Sequence[str]] | None = None,
        image_size: int | tuple[int, int] | None = None,
        num_actions: int | None = None,
        last_step_valid: bool | None = None,
        drop_last_step: bool | None = None,
        action_bounds: tuple[float, float] | str | None = None,
        cache_dir: str | None = None,
    ):
        self._arguments = {
            "dataset_name": dataset_name,
            "data_dir": data_dir,
            "config": config,
            "split": split,
            "field_map": field_map,
            "image_size": image_size,
            "num_actions": num_actions,
            "last_step_valid": last_step_valid,
            "drop_last_step": drop_last_step,
            "action_bounds": action_bounds,
            "cache_dir": cache_dir,
        }
        self.directory = dataset_directory.find(data_dir, dataset_name, config)
        self._stored = stored_split.StoredSplit(self.directory, split)
        self.split = split
        self._num_actions = num_actions
        if drop_last_step is None:
            drop_last_step = self._stored.name.startswith(_MADE_UP_LAST_STEP)
        self._drop_last_step = drop_last_step
        self._fields = self._make_fields(dict(field_map or {}), image_size)
        self.metadata = self._stored.metadata
        if last_step_valid is None:
            last_step_valid = self.metadata.get(LAST_STEP_VALID, True)
        self.last_step_valid = last_step_valid
        self.action_bounds = action_bounds or self.metadata.get(
            "action_bounds", (-1.0, 1.0)
        )
        self.fingerprint = self._fingerprint()
        cache = pathlib.Path(cache_dir) if cache_dir else self.directory / "decoded"
        self._arrays = episode_arrays.EpisodeArrays(
            cache / f"{split}-{self.fingerprint[:16]}"
        )
        index = self._arrays.index() or self._decode_first()
        self.lengths = np.array(index["lengths"], np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        if not self.num_steps:
            raise ValueError(f"Split {split!r} of {self.directory} has no steps.")
        self.parts = np.zeros(len(self.lengths), np.int64)
        self.episode_ids = tuple(index["episode_ids"])
        levels = index["level_seeds"]
        self.level_seeds = None if levels is None else np.array(levels, np.int64)

    def __reduce__(self) -> tuple:
        """Another process opens the dataset anew."""
        return functools.partial(RldsReader, **self._arguments), ()

    @property
    def paths(self) -> list[str]:
        """All fields of the stored steps, whichever are mapped."""
        return step_field.leaf_paths(self._stored.steps)

    @property
    def num_steps(self) -> int:
        """Steps of all episodes."""
        return int(self.lengths.sum())

    @functools.cached_property
    def element_spec(self) -> dict[str, specs.ArraySpec]:
        """The spec of one step of every field there is."""
        return {name: self._spec(name) for name in self._fields}

    def array(self, field: str) -> np.ndarray:
        """All steps of a field, `[N, ...]`, mapped from disk.

        Raises:
          ValueError: the dataset has no such field.
        """
        if field not in self._fields:
            raise ValueError(
                f"{self.directory} has no field {field!r} in its steps; "
                f"it has {sorted(self._fields)}."
            )
        spec, key = self.element_spec[field], self.key(field)
        if not self._arrays.has(key):
            with self._arrays.lock():
                if not self._arrays.has(key):
                    self._decode((field,))
        array = self._arrays.open(key)
        if array.shape != (self.num_steps, *spec.shape):
            raise OSError(
                f"Field {field!r} should have the shape "
                f"{(self.num_steps, *spec.shape)}, it has {array.shape}."
            )
        return array

    def arrays(self, field: str) -> tuple[np.ndarray, ...]:
        """All steps of a field, as arrays end to end; there is one."""
        return (self.array(field),)

    def check(self) -> None:
        """Reads all stored files.

        Raises:
          OSError: a damaged file, by its name and that of the episode.
        """
        self._stored.check()

    def key(self, field: str) -> str:
        """Names what the values of a field are made from, and how."""
        return self._fields[field].key

    def decoded_path(self, field: str) -> pathlib.Path:
        """Where what is known about a decoded field goes, without an ending."""
        return self._arrays.path(self.key(field))

    @property
    def shard_lengths(self) -> tuple[int, ...]:
        """Episodes in each stored file."""
        return self._stored.shard_lengths

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
        decode = functools.partial(self._decode_episode, fields=fields)
        return self._stored.read(shards, decode)

    def _make_fields(
        self,
        field_map: dict[str, str | Sequence[str]],
        image_size: int | tuple[int, int] | None,
    ) -> dict[str, step_field.StepField]:
        """The fields that are mapped, and those that go by their RLDS names."""
        steps = self._stored.steps
        own = {
            name: name
            for name in _STEP_FIELDS
            if name in steps and step_field.is_array(steps[name])
        }
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        try:
            return {
                name: step_field.StepField(
                    name,
                    steps,
                    (paths,) if isinstance(paths, str) else tuple(paths),
                    size and tuple(size),
                )
                for name, paths in (own | field_map).items()
            }
        except ValueError as error:
            raise ValueError(f"{self.directory}: {error}") from None

    def _spec(self, name: str) -> specs.ArraySpec:
        spec = self._fields[name].spec
        if name != specs.ACTION:
            return spec
        if not spec.dtype.startswith("float"):
            values = spec.num_values or self._num_actions
            return dataclasses.replace(spec, num_values=values)
        if self.action_bounds == "data":
            return spec
        minimum, maximum = self.action_bounds
        return dataclasses.replace(spec, minimum=minimum, maximum=maximum)

    def _fingerprint(self) -> str:
        if not self._drop_last_step:
            return self._stored.fingerprint()
        text = f"{self._stored.fingerprint()} without last steps"
        return hashlib.sha256(text.encode()).hexdigest()

    def _decode_first(self) -> dict:
        """Decodes all fields, of large datasets all but images, and the index."""
        large = self._stored.num_bytes > _LARGE_BYTES
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
        decode = functools.partial(self._decode_episode, fields=fields)
        for episode in tqdm.tqdm(
            self._stored.iterate(decode),
            total=sum(self.shard_lengths),
            desc=f"Decoding {self.split}",
            unit="ep",
            disable=None,
        ):
            _note_episode(episode, index)
            self._check_marks(episode, index["episode_ids"][-1])
            yield {self.key(field): episode[field] for field in fields}
        if None in index["level_seeds"]:
            index["level_seeds"] = None

    def _check_marks(self, episode: dict, name: str) -> None:
        """An episode that ends or begins within itself is several, wrongly stored."""
        inside = {specs.IS_FIRST: slice(1, None), specs.IS_LAST: slice(None, -1)}
        for field, steps in inside.items():
            marks = episode.get(field)
            if marks is None or marks.dtype != bool or marks.ndim != 1:
                continue
            found = np.flatnonzero(marks[steps])
            if len(found):
                raise ValueError(
                    f"{self.directory}: episode {name!r} of split {self.split!r} has "
                    f"{field} at step {found[0] + (field == specs.IS_FIRST)} of "
                    f"{len(marks)}, which is within it; store each episode by itself."
                )

    def _decode_episode(self, episode: dict, fields: tuple[str, ...]) -> dict:
        """Decodes a whole episode at once where the encoding allows."""
        steps = episode[specs.STEPS]
        if self._drop_last_step:
            steps = tf.nest.map_structure(lambda stored: stored[:-1], steps)
        arrays = {
            name: episode[name]
            for name in ("episode_id", "level_seed")
            if name in episode
        }
        arrays["length"] = tf.shape(tf.nest.flatten(steps)[0])[0]
        for field in fields:
            arrays[field] = self._fields[field].decode(steps)
        return arrays


def _note_episode(episode: dict, index: dict) -> None:
    """Appends length, id and level of an episode to the lists of `index`."""
    number = len(index["lengths"])
    index["lengths"].append(int(episode["length"]))
    name = episode.get("episode_id", number)
    index["episode_ids"].append(name.decode() if isinstance(name, bytes) else str(name))
    level = episode.get("level_seed", -1)
    index["level_seeds"].append(None if level == -1 else int(level))
