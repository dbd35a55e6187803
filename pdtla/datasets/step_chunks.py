"""Cuts steps that come in chunks into episodes, which may span several chunks."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
from absl import logging

from pdtla.experts import collect

_NO_LEVEL = -1


@dataclasses.dataclass(frozen=True)
class StepChunk:
    """Consecutive steps.

    Attributes:
      observation: `[N, ...]`.
      action: `[N]` or `[N, A]`.
      reward: `[N]`, what followed the action.
      end: bool `[N]`, marks episodes.
      terminal: bool `[N]`, whether the game ended the episode that a mark is about,
        rather than a step limit.
      level: `[N]`, -1 where it is not known.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    end: np.ndarray
    terminal: np.ndarray
    level: np.ndarray

    def __len__(self) -> int:
        return len(self.end)

    def __getitem__(self, part: slice) -> "StepChunk":
        return StepChunk(
            *(getattr(self, field.name)[part] for field in dataclasses.fields(self))
        )

    def __add__(self, other: "StepChunk") -> "StepChunk":
        return StepChunk(
            *(
                np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in dataclasses.fields(self)
            )
        )


def no_levels(count: int) -> np.ndarray:
    """The levels of steps that do not tell theirs."""
    return np.full(count, _NO_LEVEL)


def cut_episodes(
    chunks: Iterable[StepChunk], marks_first: bool = False
) -> Iterator[collect.Episode]:
    """Yields the episodes; one that the last chunk leaves unfinished is dropped.

    Holds one chunk and the begin of an episode in memory.

    Args:
      chunks: each continues the one before.
      marks_first: whether `end` marks the first step after an episode, as some
        recorders do, rather than its last one.
    """
    rest: StepChunk | None = None
    for chunk in chunks:
        known = len(rest) if rest else 0
        steps = rest + chunk if known else chunk
        start = 0
        for mark in known + np.flatnonzero(chunk.end):
            end = mark if marks_first else mark + 1
            if end > start:
                yield _episode(steps[start:end], bool(steps.terminal[mark]))
                start = end
        rest = steps[start:]
        if start:  # a view would keep the whole chunk in memory
            rest = StepChunk(
                *(getattr(rest, f.name).copy() for f in dataclasses.fields(rest))
            )
    if rest:
        logging.info("Dropped %d steps after the last end.", len(rest))


def _episode(steps: StepChunk, terminal: bool) -> collect.Episode:
    reward = steps.reward.astype(np.float32)
    return collect.Episode(
        observation=steps.observation,
        action=steps.action,
        reward=reward,
        terminal=terminal,
        level_seed=int(steps.level[0]),
        episode_return=float(reward.sum(dtype=np.float64)),
    )
