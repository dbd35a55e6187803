"""`Locomotion`, what tells one of the MuJoCo tasks from another."""

import dataclasses
import pathlib
from importlib import resources

import numpy as np

from pdtla.environments import locomotion_goals, names

_UNBOUNDED = (-np.inf, np.inf)


@dataclasses.dataclass(frozen=True)
class Locomotion:
    """Run in the plane: rewards, ends and starts of a task.

    The reward of a step is the forward velocity in m/s, plus `healthy_reward`, minus
    `control_cost` times the squared norm of the action; an unhealthy state ends the
    episode. All constants are the defaults of gymnasium.envs.mujoco, version 5. In a
    family of tasks the goal of the level takes the velocity's part.

    Attributes:
      model_file: the MuJoCo model, among Gymnasium's assets.
      frame_skip: simulator steps an action.
      control_cost: weight of the squared action.
      reset_noise: size of the noise on the first state.
      gaussian_velocities: draw the noise on velocities from a normal distribution with
        that deviation, rather than uniformly.
      healthy_reward: reward of each step that leads to a healthy state.
      healthy_height: open range of the torso's height, in m.
      healthy_angle: open range of the torso's pitch, in rad.
      healthy_others: open range of all positions and velocities but the first two.
      velocity_limit: observed velocities are clipped to it.
      max_episode_steps: length of an episode, unless told otherwise.
      goals: of a family of tasks, the goals of its levels; None runs forward.
    """

    model_file: str
    frame_skip: int
    control_cost: float
    reset_noise: float
    gaussian_velocities: bool = False
    healthy_reward: float = 0.0
    healthy_height: tuple[float, float] = _UNBOUNDED
    healthy_angle: tuple[float, float] = _UNBOUNDED
    healthy_others: tuple[float, float] = _UNBOUNDED
    velocity_limit: float = np.inf
    max_episode_steps: int = 1000
    goals: locomotion_goals.LocomotionGoals | None = None

    @property
    def model_path(self) -> pathlib.Path:
        """Where the installed Gymnasium keeps the model."""
        assets = resources.files("gymnasium") / "envs" / "mujoco" / "assets"
        return pathlib.Path(str(assets / self.model_file))

    def initial_state(
        self, seed: int, positions: np.ndarray, velocities: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The first state of an episode: that of the model and noise.

        Args:
          seed: of the noise.
          positions: the model's own, `[Q]`.
          velocities: the model's own, `[V]`.

        Returns:
          Positions `[Q]` and velocities `[V]`.
        """
        rng = np.random.default_rng(seed)
        size = self.reset_noise
        positions = positions + rng.uniform(-size, size, positions.shape)
        if self.gaussian_velocities:
            noise = size * rng.standard_normal(velocities.shape)
        else:
            noise = rng.uniform(-size, size, velocities.shape)
        return positions, velocities + noise

    def observe(self, positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
        """All of the state but the distance, float32 `[N, Q + V - 1]`.

        Args:
          positions: `[N, Q]`.
          velocities: `[N, V]`.
        """
        limit = self.velocity_limit
        parts = positions[:, 1:], np.clip(velocities, -limit, limit)
        return np.concatenate(parts, axis=1).astype(np.float32)

    def reward(
        self,
        velocity: np.ndarray,
        actions: np.ndarray,
        healthy: np.ndarray,
        levels: np.ndarray,
    ) -> np.ndarray:
        """Rewards, float64 `[N]`.

        Args:
          velocity: mean forward velocity during the step, `[N]`.
          actions: `[N, A]`.
          healthy: whether the step led to a healthy state, bool `[N]`.
          levels: `[N]`.
        """
        effort = self.control_cost * np.square(actions).sum(axis=1)
        if self.goals is not None:
            velocity = self.goals.reward(velocity, self.goals.of_levels(levels))
        return velocity + self.healthy_reward * healthy - effort

    def healthy(self, positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
        """Which states do not end an episode, bool `[N]`."""
        others = np.concatenate([positions[:, 2:], velocities], axis=1)
        return (
            _within(positions[:, 1], self.healthy_height)
            & _within(positions[:, 2], self.healthy_angle)
            & _within(others, self.healthy_others).all(axis=1)
        )


def _within(values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    return (bounds[0] < values) & (values < bounds[1])


_HALFCHEETAH = Locomotion(
    model_file="half_cheetah.xml",
    frame_skip=5,
    control_cost=0.1,
    reset_noise=0.1,
    gaussian_velocities=True,
)
# The tasks of Finn et al. 2017 (arXiv 1703.03400), with their costs and lengths.
_HALFCHEETAH_GOALS = dataclasses.replace(
    _HALFCHEETAH, control_cost=0.05, max_episode_steps=200
)

TASKS = {
    "halfcheetah": _HALFCHEETAH,
    "halfcheetah-vel": dataclasses.replace(
        _HALFCHEETAH_GOALS, goals=locomotion_goals.VelocityGoals(0.0, 3.0)
    ),
    "halfcheetah-dir": dataclasses.replace(
        _HALFCHEETAH_GOALS, goals=locomotion_goals.DirectionGoals()
    ),
    "walker2d": Locomotion(
        model_file="walker2d_v5.xml",
        frame_skip=4,
        control_cost=1e-3,
        reset_noise=5e-3,
        healthy_reward=1.0,
        healthy_height=(0.8, 2.0),
        healthy_angle=(-1.0, 1.0),
        velocity_limit=10.0,
    ),
    "hopper": Locomotion(
        model_file="hopper.xml",
        frame_skip=4,
        control_cost=1e-3,
        reset_noise=5e-3,
        healthy_reward=1.0,
        healthy_height=(0.7, np.inf),
        healthy_angle=(-0.2, 0.2),
        healthy_others=(-100.0, 100.0),
        velocity_limit=10.0,
    ),
}


def task_name(name: str) -> str:
    """The key in `TASKS` of a name that `names.locomotion` understands.

    Raises:
      ValueError: there is no such task here.
    """
    task = names.locomotion(name)
    if task not in TASKS:
        raise ValueError(f"There is no {task} here; the tasks are {', '.join(TASKS)}.")
    return task
