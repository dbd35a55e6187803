"""`MujocoExpert`, the locomotion policies that come with this package."""

import pathlib

import numpy as np
import tensorflow as tf

from pdtla.environments import locomotion, vector_environment
from pdtla.experts import expert
from pdtla.layers import module_io

CHECKPOINTS = pathlib.Path(__file__).parent / "checkpoints"


class MujocoExpert(expert.Expert):
    """A policy that PPO learnt, with or without noise on its actions.

    Each level is a directory of `checkpoints/<task>`: "expert", "medium" at about a
    third of the expert's return, "replay-0" to "replay-4", from the beginning of
    training to the medium player, and for some tasks "steady", an expert that bears
    noise on its actions (the others fall over). Their `facts.json` tells what they
    score and which command made them. Those of a family of tasks see the goal of the
    level. The policy is loaded by the first action, so that an expert travels to other
    processes by its name.

    Args:
      env_id: a task, or a name that `locomotion.task_name` resolves.
      level: which of its policies.
      action_noise: deviation of normal noise on the actions, which are clipped to the
        bounds after it.
      seed: seeds the noise.

    Raises:
      ValueError: there is no such policy, or the noise is negative.
    """

    def __init__(
        self,
        env_id: str,
        level: str = "expert",
        action_noise: float = 0.0,
        seed: int = 0,
    ):
        self.env_id = locomotion.task_name(env_id)
        if level not in levels(self.env_id):
            raise ValueError(
                f"There is no {level!r} policy for {self.env_id}; there are "
                f"{', '.join(levels(self.env_id))}."
            )
        if action_noise < 0.0:
            raise ValueError(f"action_noise must be at least 0, got {action_noise}.")
        self._directory = CHECKPOINTS / self.env_id / level
        self.name = f"ppo_{self.env_id}_{level}"
        if action_noise:
            self.name += f"_noise_{action_noise:g}"
        self.level = level
        self.action_noise = action_noise
        self._rng = np.random.default_rng(seed)
        self._policy = None

    def settings(self) -> dict[str, object]:
        return super().settings() | {"policy": module_io.read_digest(self._directory)}

    def reseed(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def act(
        self,
        env: vector_environment.VectorEnvironment,
        timestep: vector_environment.TimeStep,
    ) -> np.ndarray:
        expert.check_plays(self, env, self.env_id)
        if self._policy is None:
            self._policy = tf.function(module_io.load_module(self._directory))
        observation, goals = timestep.observation, locomotion.TASKS[self.env_id].goals
        if goals is not None:
            observation = goals.beside(observation, timestep.level)
        actions = self._policy(observation).numpy()
        if self.action_noise:
            noise = self._rng.standard_normal(actions.shape, np.float32)
            actions = np.clip(actions + self.action_noise * noise, -1.0, 1.0)
        return actions

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_policy": None}


def levels(env_id: str) -> list[str]:
    """The policies there are for a task."""
    return sorted(
        path.parent.name for path in CHECKPOINTS.glob(f"{env_id}/*/facts.json")
    )
