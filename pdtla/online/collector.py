"""`Collector`, plays the steps that an update learns from."""

from typing import NamedTuple

import numpy as np

from pdtla.environments import vector_environment
from pdtla.online import advantages, ppo, reward_scaler


class Harvest(NamedTuple):
    """What a round of playing brought.

    Attributes:
      played: its steps.
      returns: raw returns of the episodes that ended.
    """

    played: ppo.Played
    returns: list[float]


class Collector:
    """Plays a fixed number of steps a call; episodes go on from call to call.

    Args:
      env: N environments.
      learner: acts.
      num_steps: steps T of each environment in a call.
      discount: gamma.
      trace: lambda of the advantages.
    """

    def __init__(
        self,
        env: vector_environment.VectorEnvironment,
        learner: ppo.Ppo,
        *,
        num_steps: int,
        discount: float,
        trace: float,
    ):
        self._env = env
        self._learner = learner
        self._num_steps = num_steps
        self._discount = discount
        self._trace = trace
        self._scaler = reward_scaler.RewardScaler(env.num_envs, discount)
        self._returns = np.zeros(env.num_envs)

    def collect(self, rng: np.random.Generator) -> Harvest:
        """Plays T steps in each of the N environments.

        Args:
          rng: draws the exploration.
        """
        shape = self._num_steps, self._env.num_envs
        noise = self._learner.agent.exploration.noise(rng, shape)
        steps, returns = [], []
        timestep = self._env.current()
        for now in noise:
            acted = self._learner.act(timestep.observation, now)
            action, log_prob, value = (each.numpy() for each in acted)
            following = self._env.step(action)
            returns += self._count(following)
            ends = following.first, following.truncated
            steps.append(
                (timestep.observation, action, log_prob, value, following.reward, *ends)
            )
            timestep = following
        observation, action, log_prob, value, reward, ended, truncated = map(
            np.stack, zip(*steps, strict=True)
        )
        _, _, last_value = self._learner.act(timestep.observation, noise[0])
        estimated = advantages.generalized_advantages(
            self._scaler(reward, ended),
            value,
            last_value.numpy(),
            ended,
            truncated,
            discount=self._discount,
            trace=self._trace,
        )
        fields = (observation, action, log_prob, *estimated)
        return Harvest(ppo.Played(*map(_flat, fields)), returns)

    def get_state(self) -> dict:
        """All that decides what is played next, for `set_state`."""
        return {
            "env": self._env.get_state(),
            "scaler": self._scaler.get_state(),
            "returns": self._returns.copy(),
        }

    def set_state(self, state: dict) -> None:
        """Goes on from where `get_state` was called."""
        self._env.set_state(state["env"])
        self._scaler.set_state(state["scaler"])
        self._returns = state["returns"].copy()

    def _count(self, timestep: vector_environment.TimeStep) -> list[float]:
        """Raw returns of the episodes that ended with this step."""
        self._returns += timestep.reward
        ended = self._returns[timestep.first].tolist()
        self._returns[timestep.first] = 0.0
        return ended


def _flat(field: np.ndarray) -> np.ndarray:
    """Joins steps and environments, `[T, N, ...]` to `[T * N, ...]`."""
    return field.reshape(-1, *field.shape[2:])
