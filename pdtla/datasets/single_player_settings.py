"""`SinglePlayerSettings`, datasets in which one expert plays every episode."""

import abc
import dataclasses
from collections.abc import Iterator, Sequence
from typing import ClassVar

from pdtla.datasets import build_settings
from pdtla.environments import levels, vector_environment
from pdtla.experts import collect
from pdtla.experts import expert as expert_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class SinglePlayerSettings(build_settings.BuildSettings):
    """Episodes of one expert, with random actions among its own; see `BuildSettings`.

    Attributes:
      epsilon: probability of a uniformly random action instead of the expert's.
    """

    epsilon: float = 0.0

    # Episodes played at most for each that is stored.
    attempts: ClassVar[int] = 1

    def __post_init__(self):
        if not 0.0 <= self.epsilon <= 1.0:
            raise ValueError(f"epsilon must be 0 to 1, got {self.epsilon}.")
        if self.episodes_per_level is not None and self.attempts > 1:
            raise ValueError(
                "episodes_per_level needs players whose every episode is stored."
            )
        super().__post_init__()

    @abc.abstractmethod
    def make_environment(
        self, num_envs: int, level_range: levels.LevelRange, seed: int
    ) -> vector_environment.VectorEnvironment:
        """Makes the environments of a file.

        Args:
          num_envs: how many.
          level_range: the levels to draw from.
          seed: of the order of levels.
        """

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
        del first_episode
        (player,) = players
        player.reseed(seeds[1])
        for number, part in self.level_runs(level_range):
            env = self.make_environment(slots, part, seeds[0])
            each = episodes_per_slot * part.num_levels // level_range.num_levels
            try:
                yield from collect.collect_episodes(
                    env,
                    player,
                    episodes_per_slot=self.attempts * each,
                    epsilon=self.epsilon,
                    seed=seeds[1] + number,
                )
            finally:
                env.close()
