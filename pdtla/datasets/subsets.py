"""Which trajectories and transitions are trained on, and which are held out."""

import numpy as np
from absl import logging


def count_training(num_trajs: int, train_frac: float) -> int:
    """How many trajectories, the first ones in stored order, are trained on.

    Raises:
      ValueError: `train_frac` is no fraction above 0.
    """
    if not 0.0 < train_frac <= 1.0:
        raise ValueError(f"train_frac must be above 0 and at most 1, got {train_frac}.")
    return max(1, round(train_frac * num_trajs))


def split_trajectories(
    lengths: np.ndarray,
    train_frac: float,
    level_seeds: np.ndarray | None,
    parts: np.ndarray | None = None,
    disjoint_levels: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Splits trajectories in stored order, the first part to train on.

    Args:
      lengths: steps of each trajectory, int64 `[E]`.
      train_frac: fraction to train on, at least one trajectory of it.
      level_seeds: level of each trajectory, int64 `[E]`, where they are known.
      parts: number of the dataset of each trajectory, int64 `[E]`, in order; if given,
        each dataset is split.
      disjoint_levels: do not hold out those on a level of the first part; if not, the
        trajectories of each level are split.

    Returns:
      Numbers of the trajectories to train on and of those held out, both in order.

    Raises:
      ValueError: `train_frac` is no fraction above 0.
    """
    order = np.arange(len(lengths))
    if level_seeds is not None and not disjoint_levels:
        order = np.argsort(_places_in_level(level_seeds), kind="stable")
    pairs = [
        np.split(numbers, [count_training(len(numbers), train_frac)])
        for numbers in _by_part(order, parts)
    ]
    train, heldout = (
        np.concatenate([np.sort(numbers) for numbers in side])
        for side in zip(*pairs, strict=True)
    )
    if level_seeds is not None and disjoint_levels:
        unseen = ~np.isin(level_seeds[heldout], level_seeds[train])
        if not unseen.all():
            logging.info(
                "%d of %d held-out trajectories are on levels trained on: left out.",
                np.sum(~unseen),
                len(heldout),
            )
        heldout = heldout[unseen]
    return train, heldout


def choose_trajectories(
    trajectories: np.ndarray, count: int, seed: int, parts: np.ndarray | None = None
) -> np.ndarray:
    """The first `count` of a seeded permutation, all of them if -1.

    So a larger count contains every smaller one of the same seed.

    Args:
      trajectories: numbers of trajectories.
      count: how many to choose; of each dataset, if there are several.
      seed: seeds the choice.
      parts: number of the dataset of each trajectory there is, int64 `[E]`, in order.

    Raises:
      ValueError: there are fewer, or the count is neither -1 nor positive.
    """
    if count == -1:
        return trajectories
    chosen = []
    for numbers in _by_part(trajectories, parts):
        _check_count("num_trajs", count, len(numbers), "training trajectories")
        chosen.append(np.random.default_rng(seed).permutation(numbers)[:count])
    return np.concatenate(chosen)


def choose_examples(transitions: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The first `count` of a seeded permutation of transitions.

    Raises:
      ValueError: there are fewer, or the count is not positive.
    """
    _check_count("num_examples", count, len(transitions), "training transitions")
    return np.random.default_rng(seed).permutation(transitions)[:count]


def _places_in_level(level_seeds: np.ndarray) -> np.ndarray:
    """How far through the trajectories of its level each one is, from 0 to 1."""
    _, level, sizes = np.unique(level_seeds, return_inverse=True, return_counts=True)
    by_level = np.argsort(level, kind="stable")
    begins = np.cumsum(sizes) - sizes
    ranks = np.empty(len(level))
    ranks[by_level] = np.arange(len(level)) - begins[level[by_level]]
    return (ranks + 0.5) / sizes[level]


def _by_part(trajectories: np.ndarray, parts: np.ndarray | None) -> list[np.ndarray]:
    """Trajectories in order, those of each dataset."""
    if parts is None:
        return [trajectories]
    found = parts[trajectories]
    return [trajectories[found == part] for part in np.unique(found)]


def _check_count(name: str, count: int, available: int, what: str) -> None:
    if count < 1:
        raise ValueError(f"{name} must be -1 or at least 1, got {count}.")
    if count > available:
        raise ValueError(f"{name} must be at most the {available} {what}, got {count}.")
