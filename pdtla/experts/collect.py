"""Plays episodes with an expert and records them."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from pdtla.environments import procgen, procgen_actions, vector_environment
from pdtla.experts import expert as expert_lib


@dataclasses.dataclass(frozen=True)
class Episode:
    """One episode: o_t, the action a_t taken on it, the reward r_t that followed.

    The successor of the last observation is unknown: environments never show it.

    Attributes:
      observation: uint8 `[T, H, W, C]` or float32 `[T, D]`.
      action: as executed, exploration noise included: int32 `[T]`, of Procgen one
        number for each effect (`procgen_actions.canonical`); or float32 `[T, A]`,
        clipped to the bounds of the environment's actions.
      reward: float32 `[T]`, raw.
      terminal: whether the game ended the episode, rather than a step limit.
      level_seed: the level.
      episode_return: the sum of all rewards, undiscounted.
      success: whether any step solved the task, None where environments do not tell.
      policy: who played, None where the whole dataset has one player.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminal: bool
    level_seed: int
    episode_return: float
    success: bool | None = None
    policy: str | None = None

    def __len__(self) -> int:
        return len(self.action)


def collect_episodes(
    env: vector_environment.VectorEnvironment,
    expert: expert_lib.Expert,
    *,
    episodes_per_slot: int,
    epsilon: float = 0.0,
    seed: int = 0,
) -> Iterator[Episode]:
    """Plays the same number of episodes in every environment.

    A fixed number a slot, because taking the first to finish would favour short
    episodes, that is early deaths. A pure function of the environment's settings, the
    expert and `seed`.

    Args:
      env: environments at any point; all are restarted unless at a first step.
      expert: chooses the actions.
      episodes_per_slot: episodes of each environment.
      epsilon: probability of an action drawn uniformly, from those that differ in
        effect or from between the bounds, instead of the expert's.
      seed: seeds that randomness.

    Yields:
      `num_envs * episodes_per_slot` episodes, in the order they end.

    Raises:
      ValueError: no episodes asked for, or `epsilon` is no probability.
    """
    if episodes_per_slot < 1:
        raise ValueError(
            f"episodes_per_slot must be at least 1, got {episodes_per_slot}."
        )
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon must be a probability, 0 to 1, got {epsilon}.")
    timestep = env.current()
    if not timestep.first.all():
        timestep = env.restart(np.ones(env.num_envs, bool))
    rng = np.random.default_rng(seed)
    steps: list[list] = [[] for _ in range(env.num_envs)]
    remaining = np.full(env.num_envs, episodes_per_slot)
    while remaining.any():
        actions = _executed(env, expert.act(env, timestep))
        actions = _explore(rng, env, actions, epsilon)
        following = env.step(actions)
        for slot in np.flatnonzero(remaining):
            # A view would keep the frames of all slots in memory with this one's.
            frame = timestep.observation[slot].copy()
            success = None if following.success is None else following.success[slot]
            steps[slot].append((frame, actions[slot], following.reward[slot], success))
            if following.first[slot]:
                yield _episode(
                    steps[slot], timestep.level[slot], following.truncated[slot]
                )
                steps[slot] = []
                remaining[slot] -= 1
        timestep = following


def _executed(
    env: vector_environment.VectorEnvironment, actions: np.ndarray
) -> np.ndarray:
    """What the environments do with an expert's actions: the form that is stored."""
    if isinstance(env, procgen.Procgen):
        return procgen_actions.canonical(env.env_id, actions)
    spec = env.action_spec
    if spec.is_discrete:
        return np.asarray(actions, spec.dtype)
    return np.clip(actions, spec.minimum, spec.maximum).astype(spec.dtype)


def _explore(
    rng: np.random.Generator,
    env: vector_environment.VectorEnvironment,
    actions: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    if epsilon == 0.0:
        return actions
    spec = env.action_spec
    if isinstance(env, procgen.Procgen):
        choices = procgen_actions.distinct(env.env_id)
        random = rng.choice(np.array(choices, np.int32), size=actions.shape)
    elif spec.is_discrete:
        random = rng.integers(spec.num_values, size=actions.shape, dtype=spec.dtype)
    else:
        random = rng.uniform(spec.minimum, spec.maximum, actions.shape)
    chosen = rng.random(len(actions)) < epsilon
    chosen = chosen.reshape(-1, *(1,) * (actions.ndim - 1))
    return np.where(chosen, random, actions).astype(actions.dtype)


def _episode(steps: list, level: np.int64, truncated: np.bool_) -> Episode:
    observation, action, reward, success = zip(*steps, strict=True)
    return Episode(
        observation=np.stack(observation),
        action=np.stack(action),
        reward=np.array(reward, np.float32),
        terminal=not truncated,
        level_seed=int(level),
        episode_return=float(np.sum(reward, dtype=np.float64)),
        success=None if success[0] is None else bool(np.any(success)),
    )
