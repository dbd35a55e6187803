"""`MujocoSettings`, what a dataset of locomotion holds."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from pdtla import specs
from pdtla.datasets import build_settings, rlds_writer
from pdtla.environments import levels, locomotion, mujoco
from pdtla.experts import collect, mujoco_expert, random_expert
from pdtla.experts import expert as expert_lib

_EXPERT, _MEDIUM, _RANDOM, _NOISY = "expert", "medium", "random", "noisy"
_STEADY = "steady"
# Deviation of the noise that leaves the steady experts about a third of their return,
# as D4RL's medium players have, on states that a good player meets rather than on
# those of an early one.
_NOISE = 0.5
# Who plays the episodes of each mix, in turn. D4RL (Fu et al. 2020, arXiv 2004.07219)
# has mixes of these names; its shares are of steps, these are of episodes.
MIXES = {
    "expert": (_EXPERT,),
    "medium": (_MEDIUM,),
    "medium-expert": (_MEDIUM, _EXPERT),
    "medium-replay": tuple(f"replay-{number}" for number in range(5)),
    "medium-random": (_MEDIUM, _RANDOM),
    "noisy-random": (_NOISY, _RANDOM),
    "random": (_RANDOM,),
    "steady": (_STEADY,),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MujocoSettings(build_settings.BuildSettings):
    """Episodes of one locomotion task, by policies of several strengths.

    The policies of a mix take turns, so that every first part of the episodes, be it
    the training part or a number of trajectories, holds them in equal shares. Among
    the episodes of one policy the order tells nothing of their lengths.

    Attributes:
      mix: one of `MIXES`.
      action_noise: deviation of the noise that the trained policies add to their
        actions, before these are clipped and stored.
    """

    mix: str = "expert"
    action_noise: float = 0.0

    dataset_name: ClassVar[str] = "mujoco_dataset"
    episode_fields: ClassVar[tuple[str, ...]] = (rlds_writer.POLICY,)

    def __post_init__(self):
        # The many names of a task name one dataset.
        object.__setattr__(self, "env_id", locomotion.task_name(self.env_id))
        if self.max_episode_steps is None:
            steps = locomotion.TASKS[self.env_id].max_episode_steps
            object.__setattr__(self, "max_episode_steps", steps)
        if self.mix not in MIXES:
            raise ValueError(f"mix must be one of {', '.join(MIXES)}, got {self.mix}.")
        if self.action_noise < 0.0:
            raise ValueError(
                f"action_noise must be at least 0, got {self.action_noise}."
            )
        super().__post_init__()

    @property
    def config_name(self) -> str:
        return f"{self.env_id}-{self.mix}"

    @property
    def observation_spec(self) -> specs.ArraySpec:
        return mujoco.Mujoco(env_id=self.env_id, num_envs=1).observation_spec

    @property
    def action_spec(self) -> specs.ArraySpec:
        return mujoco.Mujoco(env_id=self.env_id, num_envs=1).action_spec

    def players(
        self, expert: expert_lib.Expert | None = None
    ) -> tuple[expert_lib.Expert, ...]:
        """Who plays, in turn.

        Args:
          expert: takes the expert's part, by default that of the shipped checkpoint.

        Raises:
          ValueError: the mix has no expert's part.
        """
        if expert is not None and _EXPERT not in MIXES[self.mix]:
            raise ValueError(
                f"The mix {self.mix} has no expert's part for {expert.name} to play."
            )
        return tuple(self._player(policy, expert) for policy in MIXES[self.mix])

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
        numbers = first_episode + np.arange(slots * episodes_per_slot)
        runs = list(self.level_runs(level_range))
        for (number, part), episodes in zip(
            runs, np.split(numbers, len(runs)), strict=True
        ):
            turns = episodes % len(players)
            queues = []
            for turn, player in enumerate(players):
                entropy = np.random.SeedSequence((*seeds, turn, number))
                count = int(np.sum(turns == turn))
                queues.append(self._episodes(player, turn, count, slots, part, entropy))
            for turn in turns:
                yield next(queues[turn])

    def _player(
        self, policy: str, expert: expert_lib.Expert | None
    ) -> expert_lib.Expert:
        if policy == _RANDOM:
            return random_expert.RandomExpert(self.seed)
        if policy == _EXPERT and expert is not None:
            return expert
        if policy == _NOISY:
            return mujoco_expert.MujocoExpert(
                self.env_id, level=_STEADY, action_noise=_NOISE
            )
        return mujoco_expert.MujocoExpert(
            self.env_id, level=policy, action_noise=self.action_noise
        )

    def _episodes(
        self,
        player: expert_lib.Expert,
        turn: int,
        count: int,
        slots: int,
        level_range: levels.LevelRange,
        entropy: np.random.SeedSequence,
    ) -> Iterator[collect.Episode]:
        """`count` episodes of one player."""
        policy = MIXES[self.mix][turn]
        played = []
        for num_envs, per_slot in ((slots, count // slots), (count % slots, 1)):
            if not num_envs * per_slot:
                continue
            order, noise = (int(s) for s in entropy.spawn(1)[0].generate_state(2) >> 1)
            env = mujoco.Mujoco(
                env_id=self.env_id,
                num_envs=num_envs,
                start_level=level_range.start_level,
                num_levels=level_range.num_levels,
                max_episode_steps=self.max_episode_steps,
                seed=order,
            )
            player.reseed(noise)
            played += collect.collect_episodes(env, player, episodes_per_slot=per_slot)
            env.close()
        # As collected, the first to end would come first. Levels are drawn at random.
        for episode in sorted(played, key=lambda episode: episode.level_seed):
            yield dataclasses.replace(episode, policy=policy)
