"""Times writing, decoding and windows of 64 x 64 x 3 frames, on random episodes."""

import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator

from benchmarks.random_frames import EPISODE_STEPS, open_dataset, write_dataset
from pdtla import specs
from pdtla.datasets import window_dataset

_BATCH_SIZE = 128


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
    frames = episodes * EPISODE_STEPS
    yield _row(
        "write", frames, "frames", lambda: write_dataset(data_dir, episodes, episodes)
    )
    yield _row(
        "decode", frames, "frames", lambda: open_dataset(data_dir).array("observation")
    )
    yield _row(
        "open_again", 1, "datasets", lambda: open_dataset(data_dir).array("observation")
    )
    source = open_dataset(data_dir)
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
