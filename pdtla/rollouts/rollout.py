"""Runs a policy in a vector of environments and counts its episodes fairly."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from pdtla.environments.vector_environment import TimeStep, VectorEnvironment
from pdtla.experts.expert import Expert
from pdtla.rollouts.stepper import Stepper
from pdtla.stage import Batch, Policy


@dataclasses.dataclass(frozen=True)
class RolloutResult:
    """Episodes of N environment slots, the first E of each.

    Attributes:
      returns: float64 `[N, E]`, undiscounted sums of raw rewards, the reward of the
        terminal step included.
      lengths: int64 `[N, E]`, actions taken in the episode.
      levels: int64 `[N, E]`, level seed of the episode.
      truncated: bool `[N, E]`, whether a step cap cut the episode.
      videos: one uint8 `[T, H, W, 3]` array for each recorded episode.
      env_steps: simulator steps taken, the uncounted ones of slots that had finished
        included.
      seconds: wall-clock time of the loop, without compilation of the policy.
      successes: bool `[N, E]`, whether any step of the episode solved the task; None
        where the environment does not tell.
    """

    returns: np.ndarray
    lengths: np.ndarray
    levels: np.ndarray
    truncated: np.ndarray
    videos: tuple[np.ndarray, ...]
    env_steps: int
    seconds: float
    successes: np.ndarray | None = None

    @property
    def num_episodes(self) -> int:
        """Number of episodes counted, N * E."""
        return self.returns.size

    @property
    def env_steps_per_second(self) -> float:
        """Environment steps a second over all slots."""
        return self.env_steps / max(self.seconds, 1e-9)


def rollout(
    env: VectorEnvironment,
    policy: Policy,
    *,
    episodes_per_slot: int = 1,
    max_steps: int | None = None,
    seed: int = 0,
    record: int = 0,
    prompts: Callable[[np.ndarray], Batch] | None = None,
) -> RolloutResult:
    """Rolls a policy out for a fixed number of episodes in every slot.

    Stopping after a fixed number of episodes overall would favour short ones, so the
    first `episodes_per_slot` episodes of each slot count and no others; a slot that is
    done early keeps stepping uncounted.

    Args:
      env: N environments. Where a slot is inside an episode, it starts a new one.
      policy: acts on all slots at once; its `step` is compiled into one graph.
      episodes_per_slot: episodes that count in each slot, E.
      max_steps: cap on the steps of one episode, beside the environment's own.
      seed: seed of the policy's random choices.
      record: number of slots whose first episode is kept as video.
      prompts: gives the demonstrations of levels `[N]`, which the policy is shown
        before its first step.

    Returns:
      The counted episodes.

    Raises:
      ValueError: an argument is out of range, video is asked of an environment that
        does not render, or demonstrations for episodes on several levels.
    """
    if prompts is not None and episodes_per_slot > 1:
        raise ValueError(
            "Demonstrations are of a slot's first level: episodes_per_slot must be 1, "
            f"got {episodes_per_slot}."
        )
    state = policy.initial_state(env.num_envs, seed)
    timestep = _begin(env)
    if prompts is not None:
        state = policy.with_prompt(state, prompts(timestep.level))
    act = Stepper(policy, state, timestep)  # compiles outside the clock
    return _run(env, act, episodes_per_slot, max_steps, record)


def rollout_expert(
    env: VectorEnvironment,
    expert: Expert,
    *,
    episodes_per_slot: int = 1,
    max_steps: int | None = None,
    record: int = 0,
) -> RolloutResult:
    """Rolls an expert out with the accounting of `rollout`; see there."""
    _begin(env)
    return _run(
        env,
        lambda timestep: expert.act(env, timestep),
        episodes_per_slot,
        max_steps,
        record,
    )


def _begin(env: VectorEnvironment) -> TimeStep:
    """The first time step of an episode in every slot."""
    timestep = env.current()
    if timestep.first.all():
        return timestep
    return env.restart(~timestep.first)


def _run(
    env: VectorEnvironment,
    act: Callable[[TimeStep], np.ndarray],
    episodes_per_slot: int,
    max_steps: int | None,
    record: int,
) -> RolloutResult:
    """Steps until every slot has finished its episodes."""
    _check_arguments(env, episodes_per_slot, max_steps, record)
    cap = np.iinfo(np.int64).max if max_steps is None else max_steps
    slots = np.arange(env.num_envs)
    shape = (env.num_envs, episodes_per_slot)
    returns, lengths = np.zeros(shape, np.float64), np.zeros(shape, np.int64)
    levels, truncated = np.zeros(shape, np.int64), np.zeros(shape, bool)
    successes = None if env.current().success is None else np.zeros(shape, bool)
    finished = np.zeros(env.num_envs, np.int64)
    frames = [[] for _ in range(record)]

    timestep = env.current()
    levels[:, 0] = timestep.level
    env_steps, start = 0, time.perf_counter()
    while True:
        for slot in range(record):
            if finished[slot] == 0:
                frames[slot].append(env.render(slot))
        timestep = env.step(act(timestep))
        env_steps += env.num_envs

        # The reward that arrives with `first` belongs to the episode that just ended.
        active = slots[finished < episodes_per_slot]
        episode = finished[active]
        returns[active, episode] += timestep.reward[active]
        lengths[active, episode] += 1
        if successes is not None:
            successes[active, episode] |= timestep.success[active]
        capped = ~timestep.first[active] & (lengths[active, episode] >= cap)
        truncated[active, episode] = timestep.truncated[active] | capped
        ended = active[timestep.first[active] | capped]
        if not ended.size:
            continue
        finished[ended] += 1
        if finished.min() >= episodes_per_slot:
            break
        if capped.any():
            timestep = env.restart(np.isin(slots, active[capped]))
        going_on = ended[finished[ended] < episodes_per_slot]
        levels[going_on, finished[going_on]] = timestep.level[going_on]

    return RolloutResult(
        returns=returns,
        lengths=lengths,
        levels=levels,
        truncated=truncated,
        videos=tuple(np.stack(video) for video in frames),
        env_steps=env_steps,
        seconds=time.perf_counter() - start,
        successes=successes,
    )


def _check_arguments(env, episodes_per_slot, max_steps, record) -> None:
    if episodes_per_slot < 1:
        raise ValueError(
            f"episodes_per_slot must be at least 1, got {episodes_per_slot}."
        )
    if max_steps is not None and max_steps < 1:
        raise ValueError(f"max_steps must be at least 1 or None, got {max_steps}.")
    if not 0 <= record <= env.num_envs:
        raise ValueError(
            f"record must be between 0 and the {env.num_envs} slots, got {record}."
        )
    if record and not env.can_render:
        raise ValueError(
            f"Video needs an environment that renders, got a {type(env).__name__}."
        )
