"""Reads the chunks that LAPO published (arXiv 2312.10812).

A directory has `train` and `test`, each with chunks `0.npz`, `1.npz`, ... of N frames:
obs uint8 [N, 64, 64, 3], ta (actions) [N], done [N], rewards [N], and more that is not
used. Chunks continue one another, so an episode may span several.
"""

import functools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from absl import logging

from pdtla import specs
from pdtla.datasets import imported_dataset, step_chunks
from pdtla.environments import procgen
from pdtla.experts import collect

DATASET_NAME = "lapo_chunks"
_SPLITS = ("train", "test")
_FIELDS = ("obs", "ta", "done", "rewards")


def lapo_chunks(
    *, path: str, env_id: str, done_marks_first: bool = False
) -> imported_dataset.ImportedDataset:
    """The dataset `lapo_chunks/<env_id>`.

    Args:
      path: the directory of a game, with `train` and `test`.
      env_id: the game.
      done_marks_first: whether `done` marks the first step of an episode, as some
        recorders do, rather than the last one.

    Raises:
      FileNotFoundError: no chunks.
      ValueError: an unknown game.
    """
    procgen.check_game(env_id)
    chunks = {split: _find_chunks(path, split) for split in _SPLITS}
    return imported_dataset.ImportedDataset(
        name=f"{DATASET_NAME}/{env_id}",
        observation=specs.ArraySpec((64, 64, 3), "uint8"),
        action=specs.ArraySpec((), "int32", num_values=procgen.NUM_ACTIONS),
        splits={
            split: functools.partial(_episodes, paths, done_marks_first)
            for split, paths in chunks.items()
        },
        metadata={
            "env_id": env_id,
            "distribution_mode": "easy",
            "expert": "PPO, 50M frames (LAPO)",
        },
        description="Expert episodes of Procgen, published with LAPO (2312.10812).",
    )


def _episodes(
    paths: Sequence[pathlib.Path], done_marks_first: bool
) -> Iterator[collect.Episode]:
    return step_chunks.cut_episodes(map(_load, paths), done_marks_first)


def _find_chunks(chunks_dir: str, split: str) -> list[pathlib.Path]:
    directory = pathlib.Path(chunks_dir).expanduser() / split
    paths = [path for path in directory.glob("*.npz") if path.stem.isdigit()]
    if not paths:
        raise FileNotFoundError(f"{directory} has no chunks (0.npz, 1.npz, ...).")
    paths.sort(key=lambda path: int(path.stem))
    numbers = [int(path.stem) for path in paths]
    gaps = [a for a, b in zip(numbers, numbers[1:], strict=False) if b != a + 1]
    if gaps:
        logging.warning(
            "%s: what follows %d.npz is missing; the episode that it ends with is "
            "joined to another one.",
            directory,
            gaps[0],
        )
    return paths


def _load(path: pathlib.Path) -> step_chunks.StepChunk:
    try:
        with np.load(path) as file:
            chunk = {name: file[name] for name in _FIELDS}
    except KeyError as error:
        raise ValueError(f"{path} has no field {error}.") from None
    except Exception as error:  # zipfile, zlib and numpy each have their own
        raise OSError(f"{path} is damaged: {error}") from None
    count = len(chunk["done"])
    if chunk["obs"].shape != (count, 64, 64, 3) or chunk["obs"].dtype != np.uint8:
        raise ValueError(
            f"obs of {path} should be uint8 {(count, 64, 64, 3)}, "
            f"got {chunk['obs'].dtype} {chunk['obs'].shape}."
        )
    return step_chunks.StepChunk(
        observation=chunk["obs"],
        action=chunk["ta"],
        reward=chunk["rewards"],
        end=chunk["done"],
        terminal=np.ones(count, bool),
        level=step_chunks.no_levels(count),
    )
