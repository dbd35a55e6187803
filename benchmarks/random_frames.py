"""A dataset in RLDS form of random 64 x 64 x 3 frames, of any size."""

import pathlib

import numpy as np

from pdtla import specs
from pdtla.datasets import rlds_reader, rlds_writer
from pdtla.experts import collect

EPISODE_STEPS = 100
FRAME = specs.ArraySpec((64, 64, 3), "uint8")
_NAME = "random_frames"


def write_dataset(
    data_dir: pathlib.Path, episodes: int, episodes_per_file: int
) -> None:
    """Writes episodes of `EPISODE_STEPS` frames.

    Args:
      data_dir: the directory that TFDS datasets are under.
      episodes: how many.
      episodes_per_file: how many at most in a file.
    """
    directory = data_dir / _NAME / "1.0.0"
    directory.mkdir(parents=True)
    begins = range(0, episodes, episodes_per_file)
    lengths = [min(episodes_per_file, episodes - begin) for begin in begins]
    info = rlds_writer.split_info(directory, _NAME, "train", lengths)
    for path, begin, length in zip(info.filepaths, begins, lengths, strict=True):
        numbers = range(begin, begin + length)
        rlds_writer.write_shard(path, ((str(n), _episode(n)) for n in numbers))
    rlds_writer.write_metadata(
        directory,
        rlds_writer.episode_features(
            FRAME, specs.ArraySpec((), "int32", num_values=15)
        ),
        [rlds_writer.split_info(directory, _NAME, "train", lengths)],
        {},
        "Random frames.",
    )


def open_dataset(data_dir: str | pathlib.Path) -> rlds_reader.RldsReader:
    """Opens what `write_dataset` wrote."""
    return rlds_reader.RldsReader(dataset_name=_NAME, data_dir=str(data_dir))


def _episode(seed: int) -> collect.Episode:
    rng = np.random.default_rng(seed)
    shape = (EPISODE_STEPS, *FRAME.shape)
    return collect.Episode(
        observation=rng.integers(256, size=shape, dtype=np.uint8),
        action=rng.integers(15, size=EPISODE_STEPS, dtype=np.int32),
        reward=np.zeros(EPISODE_STEPS, np.float32),
        terminal=True,
        level_seed=seed,
        episode_return=0.0,
    )
