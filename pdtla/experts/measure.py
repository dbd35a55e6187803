"""What an expert scores, how long it plays and how fast it decides."""

import dataclasses
import time

import numpy as np

from pdtla.environments import procgen
from pdtla.experts import collect, expert


@dataclasses.dataclass(frozen=True)
class ExpertScore:
    """Statistics of a number of episodes.

    Attributes:
      episodes: how many were played.
      return_mean: mean raw return.
      return_error: standard error of that mean.
      length_mean: mean number of steps.
      length_median: median number of steps.
      truncated: share of episodes that a step limit cut.
      frames_per_cpu_second: recorded frames, decisions and simulator included.
    """

    episodes: int
    return_mean: float
    return_error: float
    length_mean: float
    length_median: float
    truncated: float
    frames_per_cpu_second: float


def measure_expert(
    env: procgen.Procgen, expert: expert.Expert, **settings
) -> ExpertScore:
    """Plays `collect_episodes(env, expert, **settings)` and sums it up."""
    started = time.process_time()
    played = [
        (episode.episode_return, len(episode), episode.terminal)
        for episode in collect.collect_episodes(env, expert, **settings)
    ]
    seconds = time.process_time() - started
    returns, lengths, terminal = map(np.array, zip(*played, strict=True))
    return ExpertScore(
        episodes=len(played),
        return_mean=float(returns.mean()),
        return_error=float(returns.std(ddof=1) / np.sqrt(len(played))),
        length_mean=float(lengths.mean()),
        length_median=float(np.median(lengths)),
        truncated=float(1.0 - terminal.mean()),
        frames_per_cpu_second=float(lengths.sum() / seconds),
    )
