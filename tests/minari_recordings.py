"""Minari datasets recorded from real environments.

Minari's own collector wants JAX; its buffers do not.
"""

import warnings

import gymnasium
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer


def record(env: gymnasium.Env, minari_id: str, seeds) -> minari.MinariDataset:
    """Plays an episode of random actions from each seed, into the local storage."""
    env.action_space.seed(0)
    buffers = [_play(env, number, seed) for number, seed in enumerate(seeds)]
    with warnings.catch_warnings(action="ignore"):  # about authors and the like
        return minari.create_dataset_from_buffers(
            dataset_id=minari_id,
            buffer=buffers,
            env=env,
            observation_space=env.observation_space,
            action_space=env.action_space,
        )


def _play(env: gymnasium.Env, number: int, seed: int) -> EpisodeBuffer:
    observations, steps, ended = [env.reset(seed=seed)[0]], [], False
    while not ended:
        action = env.action_space.sample()
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        steps.append((action, reward, terminated, truncated))
        ended = terminated or truncated
    actions, rewards, terminations, truncations = zip(*steps, strict=True)
    return EpisodeBuffer(
        id=number,
        seed=seed,
        observations=_stack(observations),
        actions=np.stack(actions),
        rewards=list(rewards),
        terminations=list(terminations),
        truncations=list(truncations),
    )


def _stack(trees: list):
    if isinstance(trees[0], dict):
        return {key: _stack([tree[key] for tree in trees]) for key in trees[0]}
    return np.stack(trees)
