"""`VectorEnvironment`, N copies of a simulator that step together, and `TimeStep`."""

import abc
from typing import NamedTuple

import numpy as np

from pdtla import specs


class TimeStep(NamedTuple):
    """What N environments show after a step; they start new episodes by themselves.

    Attributes:
      observation: `[N, ...]`, what the next action is chosen from.
      reward: float32 `[N]`, of the step that led here. Where `first` is true it is the
        last reward of the episode that just ended (zero at the very start).
      first: bool `[N]`, whether the observation begins an episode.
      level: int64 `[N]`, the level (seed) that the observation belongs to.
      truncated: bool `[N]`, true where `first` is true because a step limit cut the
        episode before, rather than the game's own end.
      success: bool `[N]`, whether the step that led here solved the task (where
        `first` is true, of the episode that just ended); None where environments do
        not tell.
    """

    observation: np.ndarray
    reward: np.ndarray
    first: np.ndarray
    level: np.ndarray
    truncated: np.ndarray
    success: np.ndarray | None = None


def clipped_actions(
    actions: np.ndarray, spec: specs.ArraySpec, num_envs: int
) -> np.ndarray:
    """Continuous actions as floats within the bounds of their spec.

    Args:
      actions: floats `[N, A]`.
      spec: of one environment's action.
      num_envs: N.

    Returns:
      float32 `[N, A]`.

    Raises:
      ValueError: actions of another shape, or not finite.
    """
    actions = np.asarray(actions, np.float32)
    shape = (num_envs, *spec.shape)
    if actions.shape != shape:
        raise ValueError(f"Actions must have the shape {shape}, got {actions.shape}.")
    if not np.isfinite(actions).all():
        raise ValueError(f"Actions must be finite, got {actions}.")
    return np.clip(actions, spec.minimum, spec.maximum)


class VectorEnvironment(abc.ABC):
    """N environments that step together and restart by themselves."""

    @property
    @abc.abstractmethod
    def num_envs(self) -> int:
        """The number of environments N."""

    @property
    @abc.abstractmethod
    def observation_spec(self) -> specs.ArraySpec:
        """The spec of one environment's observation."""

    @property
    @abc.abstractmethod
    def action_spec(self) -> specs.ArraySpec:
        """The spec of one environment's action."""

    @property
    def can_render(self) -> bool:
        """Whether `render` gives pictures; by default where observations are such."""
        return self.observation_spec.is_image

    def render(self, slot: int) -> np.ndarray:
        """A picture of one environment, uint8 `[H, W, 3]`: by default what it shows."""
        return self.current().observation[slot].copy()

    @abc.abstractmethod
    def current(self) -> TimeStep:
        """The time step that `step` or `restart` returned last."""

    @abc.abstractmethod
    def step(self, actions: np.ndarray) -> TimeStep:
        """Applies one action an environment, `[N]` or `[N, A]`."""

    @abc.abstractmethod
    def restart(self, mask: np.ndarray) -> TimeStep:
        """Starts a new episode where `mask` (bool `[N]`) is true, leaves the rest."""
