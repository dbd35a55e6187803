"""Imports the chunks that LAPO published (arXiv 2312.10812) into RLDS form.

A directory has `train` and `test`, each with chunks `0.npz`, `1.npz`, ... of N frames:
obs uint8 [N, 64, 64, 3], ta (actions) [N], done [N], rewards [N], and more that is not
used. Chunks continue one another, so an episode may span several.
"""

import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tqdm import auto as tqdm

from pdtla import specs
from pdtla.datasets import rlds_writer
from pdtla.environments import procgen
from pdtla.experts import collect

DATASET_NAME = "lapo_chunks"
_VERSION = "1.0.0"
_SPLITS = ("train", "test")
_FIELDS = ("obs", "ta", "done", "rewards")
_NO_LEVEL = -1


def import_lapo_chunks(
    *,
    chunks_dir: str,
    env_id: str,
    data_dir: str,
    max_chunks: int = -1,
    done_marks_first: bool = False,
) -> pathlib.Path:
    """Writes the dataset `lapo_chunks/<env_id>`, one file a chunk.

    Episodes end at `done`; one that the last chunk leaves unfinished is dropped. The
    directory appears under its name when it is complete.

    Args:
      chunks_dir: the directory of a game, with `train` and `test`.
      env_id: the game.
      data_dir: the directory that TFDS datasets are under.
      max_chunks: chunks of each split to take, in numeric order; -1 for all.
      done_marks_first: whether `done` marks the first step of an episode, as some
        recorders do, rather than the last one.

    Returns:
      The directory of the dataset.

    Raises:
      FileNotFoundError: no chunks.
      FileExistsError: the dataset is there.
      OSError: a damaged chunk, by its name.
      ValueError: an unknown game, a chunk of another form, or no whole episode.
    """
    procgen.check_game(env_id)
    chunks = {split: _find_chunks(chunks_dir, split, max_chunks) for split in _SPLITS}
    directory = pathlib.Path(data_dir).expanduser() / DATASET_NAME / env_id / _VERSION
    if directory.exists():
        raise FileExistsError(f"{directory} is there; remove it to import again.")
    temporary = directory.parent / f"incomplete.import-{os.getpid()}"
    temporary.mkdir(parents=True)
    try:
        written = {
            split: _write_split(temporary, split, paths, done_marks_first)
            for split, paths in chunks.items()
        }
        _write_metadata(temporary, env_id, written)
        os.replace(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory


def _find_chunks(chunks_dir: str, split: str, max_chunks: int) -> list[pathlib.Path]:
    directory = pathlib.Path(chunks_dir).expanduser() / split
    paths = [path for path in directory.glob("*.npz") if path.stem.isdigit()]
    if not paths:
        raise FileNotFoundError(f"{directory} has no chunks (0.npz, 1.npz, ...).")
    paths.sort(key=lambda path: int(path.stem))
    return paths if max_chunks < 0 else paths[:max_chunks]


def _load(path: pathlib.Path) -> dict[str, np.ndarray]:
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
    return chunk


def _write_split(
    directory: pathlib.Path,
    split: str,
    paths: Sequence[pathlib.Path],
    done_marks_first: bool,
) -> list[list[float]]:
    """Writes one file a chunk, gives the returns of the episodes in each."""
    returns: list[list[float]] = []
    rest: dict[str, np.ndarray] | None = None
    count = 0
    for path in tqdm.tqdm(paths, desc=split, unit="chunk", disable=None):
        chunk = _load(path)
        if rest is not None:
            chunk = {f: np.concatenate([rest[f], chunk[f]]) for f in _FIELDS}
        ends = _episode_ends(chunk["done"], done_marks_first)
        last = ends[-1] if len(ends) else 0
        rest = {field: array[last:].copy() for field, array in chunk.items()}
        if len(ends):
            episodes = list(_cut(chunk, ends))
            rlds_writer.write_shard(
                directory / f"{split}-{len(returns)}",
                ((f"{split}-{n:06d}", e) for n, e in enumerate(episodes, count)),
            )
            returns.append([episode.episode_return for episode in episodes])
            count += len(episodes)
    if not returns:
        raise ValueError(f"The chunks of {paths[0].parent} hold no whole episode.")
    logging.info("%s: dropped %d steps after the last end.", split, len(rest["done"]))
    info = _split_info(directory, split, returns)
    for number, path in enumerate(info.filepaths):
        os.replace(directory / f"{split}-{number}", path)
    return returns


def _episode_ends(done: np.ndarray, done_marks_first: bool) -> np.ndarray:
    """Where episodes end: index behind the last step of each."""
    marks = np.flatnonzero(done)
    return marks[marks > 0] if done_marks_first else marks + 1


def _cut(chunk: dict[str, np.ndarray], ends: np.ndarray) -> Iterator[collect.Episode]:
    for start, end in zip(np.concatenate([[0], ends[:-1]]), ends, strict=True):
        reward = chunk["rewards"][start:end].astype(np.float32)
        yield collect.Episode(
            observation=chunk["obs"][start:end],
            action=chunk["ta"][start:end].astype(np.int32),
            reward=reward,
            terminal=True,
            level_seed=_NO_LEVEL,
            episode_return=float(reward.sum(dtype=np.float64)),
        )


def _split_info(
    directory: pathlib.Path, split: str, returns: list[list[float]]
) -> tfds.core.SplitInfo:
    lengths = [len(shard) for shard in returns]
    return rlds_writer.split_info(directory, DATASET_NAME, split, lengths)


def _write_metadata(
    directory: pathlib.Path, env_id: str, written: dict[str, list[list[float]]]
) -> None:
    train = np.concatenate(written["train"])
    rlds_writer.write_metadata(
        directory,
        rlds_writer.episode_features(
            specs.ArraySpec((64, 64, 3), "uint8"),
            specs.ArraySpec((), "int32", num_values=procgen.NUM_ACTIONS),
        ),
        [_split_info(directory, *split) for split in written.items()],
        {
            "env_id": env_id,
            "distribution_mode": "easy",
            "expert": "PPO, 50M frames (LAPO)",
            "num_trajs": len(train),
            "return_mean": float(train.mean()),
            "return_error": float(train.std() / np.sqrt(len(train))),
        },
        "Expert episodes of Procgen, published with LAPO (arXiv 2312.10812).",
    )
