"""Times writing, decoding and windows of 64 x 64 x 3 frames, on random episodes."""

import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np

from pdtla import specs
from pdtla.datasets import rlds_reader, rlds_writer, window_dataset
from pdtla.experts import collect

_EPISODE_STEPS = 100
_BATCH_SIZE = 128
_NAME = "random_frames"


def rows(quick: bool) -> list[dict]:
    """Measures the input pipeline on its own.

    Args:
      quick: a dataset of 5,000 frames instead of 40,000, and fewer batches.

    Returns:
      For each case wall and CPU seconds for `per_second` units of work a wall second.
    """
    episodes = 50 if quick else 400
    batches = 100 if quick else 500
    with tempfile.TemporaryDirectory() as directory:
        return list(_measure(pathlib.Path(directory), episodes, batches))


def _measure(data_dir: pathlib.Path, episodes: int, batches: int) -> Iterator[dict]:
    frames = episodes * _EPISODE_STEPS
    yield _row("write", frames, "frames", lambda: _write(data_dir, episodes))
    yield _row("decode", frames, "frames", lambda: _open(data_dir).array("observation"))
    yield _row(
        "open_again", 1, "datasets", lambda: _open(data_dir).array("observation")
    )
    source = _open(data_dir)
    for window, budget, suffix in (
        ("transitions", 8.0, ""),
        ("lapo", 8.0, ""),
        ("lapo", 0.05, "_streamed"),
    ):
        dataset = window_dataset.WindowDataset(
            source=source,
            window=window,
            fields=(specs.OBSERVATION, specs.ACTION),
            memory_budget_gib=budget,
        )
        iterator = iter(dataset.train_batches(_BATCH_SIZE, seed=0))
        for _ in range(batches // 10):  # fills buffers, maps pages
            next(iterator)
        yield _row(
            f"{window}{suffix}",
            batches * _BATCH_SIZE,
            "windows",
            lambda iterator=iterator: _consume(iterator, batches),
        )


def _consume(iterator: Iterator, batches: int) -> None:
    for _ in range(batches):
        next(iterator)


def _row(case: str, count: int, unit: str, work: Callable[[], object]) -> dict:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "case": f"input_pipeline/{case}",
        "wall_s": wall,
        "cpu_s": cpu,
        "per_second": count / wall,
        "unit": unit,
    }


def _open(data_dir: pathlib.Path) -> rlds_reader.RldsReader:
    return rlds_reader.RldsReader(dataset_name=_NAME, data_dir=str(data_dir))


def _write(data_dir: pathlib.Path, episodes: int) -> None:
    directory = data_dir / _NAME / "1.0.0"
    directory.mkdir(parents=True)
    info = rlds_writer.split_info(directory, _NAME, "train", [episodes])
    played = ((str(n), _random_episode(n)) for n in range(episodes))
    rlds_writer.write_shard(info.filepaths[0], played)
    rlds_writer.write_metadata(
        directory,
        rlds_writer.episode_features(
            specs.ArraySpec((64, 64, 3), "uint8"),
            specs.ArraySpec((), "int32", num_values=15),
        ),
        [rlds_writer.split_info(directory, _NAME, "train", [episodes])],
        {},
        "Random frames.",
    )


def _random_episode(seed: int) -> collect.Episode:
    rng = np.random.default_rng(seed)
    shape = (_EPISODE_STEPS, 64, 64, 3)
    return collect.Episode(
        observation=rng.integers(256, size=shape, dtype=np.uint8),
        action=rng.integers(15, size=_EPISODE_STEPS, dtype=np.int32),
        reward=np.zeros(_EPISODE_STEPS, np.float32),
        terminal=True,
        level_seed=seed,
        episode_return=0.0,
    )
