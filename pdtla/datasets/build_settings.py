"""`BuildSettings`, what a dataset of played episodes holds."""

import abc
import dataclasses
from collections.abc import Iterator, Sequence
from typing import ClassVar

from pdtla import specs
from pdtla.environments import levels
from pdtla.experts import collect
from pdtla.experts import expert as expert_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildSettings(abc.ABC):
    """What is played, where and how often; the metadata of the dataset.

    A family of environments has a subclass, and beside it a builder: the class
    `Builder` of `pdtla.datasets.<dataset_name>.<dataset_name>_dataset_builder`.

    Attributes:
      env_id: the game or task.
      num_trajs: episodes of the split `train`.
      num_test_trajs: episodes of the split `test`, on other levels.
      start_level: first level seed of `train`.
      num_levels: number of levels of `train`.
      test_start_level: first level seed of `test`.
      num_test_levels: number of levels of `test`.
      episodes_per_level: episodes on each level, of the first levels of the ranges, as
        many as that makes; None draws a level for each episode.
      max_episode_steps: step limit, None for the environment's own.
      seed: seeds levels, noise and experts.
    """

    env_id: str
    num_trajs: int = 500
    num_test_trajs: int = 50
    start_level: int = 0
    num_levels: int = levels.EVALUATION_START
    test_start_level: int = levels.EVALUATION_START
    num_test_levels: int = levels.ALL_SEEDS - levels.EVALUATION_START
    episodes_per_level: int | None = None
    max_episode_steps: int | None = None
    seed: int = 0

    dataset_name: ClassVar[str]
    # Environments that play a file side by side.
    slots: ClassVar[int] = 8
    # What an episode tells beside `rlds_writer.episode_features`: of POLICY, SUCCESS.
    episode_fields: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        for name in ("num_trajs", "num_test_trajs", "num_levels", "num_test_levels"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}."
                )
        if self.episodes_per_level is not None:
            self._check_episodes_per_level()
        train = self.level_range("train")
        levels.assert_disjoint_levels(train, self.level_range("test"))
        levels.assert_disjoint_levels(train, levels.evaluation_levels())

    @property
    def config_name(self) -> str:
        """The config of the TFDS builder."""
        return self.env_id

    @property
    @abc.abstractmethod
    def observation_spec(self) -> specs.ArraySpec:
        """The spec of one observation."""

    @property
    @abc.abstractmethod
    def action_spec(self) -> specs.ArraySpec:
        """The spec of one action."""

    @abc.abstractmethod
    def players(
        self, expert: expert_lib.Expert | None = None
    ) -> tuple[expert_lib.Expert, ...]:
        """Who plays.

        Args:
          expert: plays in place of the best expert there is.
        """

    @abc.abstractmethod
    def play(
        self,
        players: Sequence[expert_lib.Expert],
        *,
        slots: int,
        episodes_per_slot: int,
        first_episode: int,
        level_range: levels.LevelRange,
        seeds: tuple[int, int],
    ) -> Iterator[collect.Episode]:
        """Plays the episodes of a file, a function of the arguments alone.

        Args:
          players: fresh copies of `players()`.
          slots: environments side by side.
          episodes_per_slot: episodes of each.
          first_episode: number of the first one in the split.
          level_range: the levels to draw from.
          seeds: of the order of levels and of the players.

        Yields:
          At least `slots * episodes_per_slot` episodes that are kept, if they can be
          had; no more than that many are stored.
        """

    def keeps(self, episode: collect.Episode) -> bool:
        """Whether an episode is stored."""
        del episode
        return True

    def level_range(self, split: str) -> levels.LevelRange:
        """The levels of a split."""
        whole = levels.LevelRange(self.test_start_level, self.num_test_levels)
        if split == "train":
            whole = levels.LevelRange(self.start_level, self.num_levels)
        if self.episodes_per_level is None:
            return whole
        count = self.num_episodes(split) // self.episodes_per_level
        return levels.LevelRange(whole.start_level, count)

    def level_runs(
        self, level_range: levels.LevelRange
    ) -> Iterator[tuple[int, levels.LevelRange]]:
        """Parts of a file's levels to play one after the other, with their numbers.

        All at once, or where there are episodes on each level, a level at a time.
        """
        if self.episodes_per_level is None:
            yield 0, level_range
            return
        for number in range(level_range.num_levels):
            yield number, levels.LevelRange(level_range.start_level + number, 1)

    def num_episodes(self, split: str) -> int:
        """The episodes of a split."""
        return self.num_trajs if split == "train" else self.num_test_trajs

    def _check_episodes_per_level(self) -> None:
        count = self.episodes_per_level
        if count < 1:
            raise ValueError(f"episodes_per_level must be at least 1, got {count}.")
        for split, most in (
            ("train", self.num_levels),
            ("test", self.num_test_levels),
        ):
            episodes = self.num_episodes(split)
            if episodes % count or episodes // count > most:
                raise ValueError(
                    f"With {count} episodes a level, {split} must have a multiple of "
                    f"{count}, at most {count * most}, got {episodes}."
                )
