"""`ImportedDataset`, episodes of another format on their way into RLDS form."""

import dataclasses
import itertools
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tqdm import auto as tqdm

from pdtla import specs
from pdtla.datasets import rlds_writer
from pdtla.environments import procgen, procgen_actions
from pdtla.experts import collect

_VERSION = "1.0.0"
_SLACK = 1e-3  # by which rounding may carry an action beyond its bounds
_SHARD_BYTES = 1 << 27
_SHARD_STEPS = 1 << 16


@dataclasses.dataclass(frozen=True)
class ImportedDataset:
    """What a format tells about a dataset before its episodes are read.

    Attributes:
      name: TFDS name of the dataset, with or without `/config`.
      observation: the spec of an observation.
      action: the spec of an action; continuous ones are clipped to its bounds.
      splits: for each split what begins its episodes, which are read one by one.
      metadata: what is recorded about the dataset.
      description: a sentence about it.
    """

    name: str
    observation: specs.ArraySpec
    action: specs.ArraySpec
    splits: Mapping[str, Callable[[], Iterable[collect.Episode]]]
    metadata: Mapping[str, object]
    description: str

    def write(self, data_dir: str, max_episodes: int = -1) -> pathlib.Path:
        """Writes the episodes as a TFDS dataset in RLDS form.

        The directory appears under its name when it is complete.

        Args:
          data_dir: the directory that TFDS datasets are under.
          max_episodes: episodes of each split to take, -1 for all.

        Returns:
          The directory of the dataset.

        Raises:
          FileExistsError: the dataset is there.
          ValueError: a split without episodes, or an action there is not.
        """
        directory = pathlib.Path(data_dir).expanduser() / self.name / _VERSION
        if directory.exists():
            raise FileExistsError(f"{directory} is there; remove it to import again.")
        temporary = directory.parent / f"incomplete.import-{os.getpid()}"
        temporary.mkdir(parents=True)
        limit = None if max_episodes < 0 else max_episodes
        try:
            returns = {
                split: self._write_split(
                    temporary, split, itertools.islice(begin(), limit)
                )
                for split, begin in self.splits.items()
            }
            self._write_metadata(temporary, returns)
            os.replace(temporary, directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return directory

    def _write_split(
        self, directory: pathlib.Path, split: str, episodes: Iterator[collect.Episode]
    ) -> list[list[float]]:
        """Writes the files of a split, gives the returns of the episodes in each."""
        returns: list[list[float]] = []
        numbered = enumerate(tqdm.tqdm(episodes, desc=split, unit="ep", disable=None))
        for first in numbered:
            shard: list[float] = []
            rlds_writer.write_shard(
                directory / f"{split}-{len(returns)}",
                (
                    (f"{split}-{number:06d}", episode)
                    for number, episode in self._shard(first, numbered, shard)
                ),
            )
            returns.append(shard)
        if not returns:
            raise ValueError(f"Split {split!r} of {self.name} has no whole episode.")
        for number, path in enumerate(
            self._split_info(directory, split, returns).filepaths
        ):
            os.replace(directory / f"{split}-{number}", path)
        return returns

    def _shard(
        self,
        first: tuple[int, collect.Episode],
        following: Iterator[tuple[int, collect.Episode]],
        returns: list[float],
    ) -> Iterator[tuple[int, collect.Episode]]:
        """Yields episodes until a file is full, notes their returns."""
        room = min(_SHARD_STEPS, _SHARD_BYTES // self.observation.num_bytes)
        number, episode = first
        while True:
            returns.append(episode.episode_return)
            yield number, self._checked(episode)
            room -= len(episode)
            if room <= 0:
                return
            try:
                number, episode = next(following)
            except StopIteration:
                return

    def _checked(self, episode: collect.Episode) -> collect.Episode:
        """The episode in the types and within the bounds of the specs."""
        action = np.asarray(episode.action, self.action.dtype)
        if self.action.is_discrete:
            if action.min() < 0 or action.max() >= self.action.num_values:
                raise ValueError(
                    f"Actions must be from 0 to {self.action.num_values - 1}, "
                    f"got {action.min()} to {action.max()}."
                )
            game = self.metadata.get("env_id")
            if game in procgen.GAMES and self.action.num_values == procgen.NUM_ACTIONS:
                # Keys of one effect are one action, as in datasets built here.
                action = procgen_actions.canonical(game, action)
        else:
            low, high = self.action.minimum, self.action.maximum
            if action.min() < low - _SLACK or action.max() > high + _SLACK:
                raise ValueError(
                    f"Actions of {self.name} must lie in {(low, high)}, got "
                    f"{action.min():.4g} to {action.max():.4g}; scale them first."
                )
            action = np.clip(action, low, high)
        for name, array, spec in (
            ("observations", episode.observation, self.observation),
            ("actions", action, self.action),
        ):
            if array.shape[1:] != spec.shape:
                raise ValueError(
                    f"{self.name} should have {name} of the shape {spec.shape}, "
                    f"got {array.shape[1:]}."
                )
        observation = np.asarray(episode.observation, self.observation.dtype)
        return dataclasses.replace(episode, observation=observation, action=action)

    def _split_info(
        self, directory: pathlib.Path, split: str, returns: list[list[float]]
    ) -> tfds.core.SplitInfo:
        lengths = [len(shard) for shard in returns]
        name = self.name.partition("/")[0]
        return rlds_writer.split_info(directory, name, split, lengths)

    def _write_metadata(
        self, directory: pathlib.Path, returns: Mapping[str, list[list[float]]]
    ) -> None:
        train = np.concatenate(returns[next(iter(returns))])
        measured = {
            "num_trajs": len(train),
            "return_mean": float(train.mean()),
            "return_error": float(train.std() / np.sqrt(len(train))),
        }
        if not self.action.is_discrete:
            measured["action_bounds"] = [self.action.minimum, self.action.maximum]
        rlds_writer.write_metadata(
            directory,
            rlds_writer.episode_features(self.observation, self.action),
            [self._split_info(directory, *split) for split in returns.items()],
            {**self.metadata, **measured},
            self.description,
        )
        logging.info("%s: %s.", self.name, measured)
