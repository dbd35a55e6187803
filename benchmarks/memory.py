"""Shows that training on ten times the data takes the same memory.

python -m benchmarks.memory [--budget_mib=200] [--updates=20] [--directory=DIR]

Writes a dataset of 1.2 times the budget and one ten times as large, trains a small
latent action model on each in a process of its own, goes on until as many windows were
read as the larger one has, and prints the resident memory of the processes. The last
row reads the larger one as if memory were no concern: its frames are mapped from disk.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from absl import app, flags

from benchmarks.random_frames import EPISODE_STEPS, FRAME, write_dataset

_BUDGET_MIB = flags.DEFINE_integer("budget_mib", 200, "Memory that windows may take.")
_UPDATES = flags.DEFINE_integer("updates", 20, "Updates of the latent action model.")
_DIRECTORY = flags.DEFINE_string("directory", None, "Where the datasets are written.")
_SIZE = 1.2  # of the smaller dataset, in budgets
_EPISODES_PER_FILE = 20
EPISODE_MIB = EPISODE_STEPS * float(np.prod(FRAME.shape)) / 2**20
_BATCH_SIZE = 128
_COLUMNS = ("data_mib", "budget_mib", "start", "open", "median", "peak")


def main(argv: list[str]) -> None:
    """Measures and prints."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    with tempfile.TemporaryDirectory(dir=_DIRECTORY.value) as directory:
        rows(pathlib.Path(directory), _BUDGET_MIB.value, _UPDATES.value)


def rows(directory: pathlib.Path, budget_mib: int, updates: int) -> list[dict]:
    """Measures the three processes, one after the other, and prints a row for each.

    Args:
      directory: where the datasets are written.
      budget_mib: the memory that windows may take.
      updates: of the latent action model.
    """
    episodes = round(_SIZE * budget_mib / EPISODE_MIB)
    batches = 10 * episodes * EPISODE_STEPS // _BATCH_SIZE
    print(" ".join(f"{name:>10}" for name in _COLUMNS))
    found = []
    for times, budget in ((1, budget_mib), (10, budget_mib), (10, 1 << 30)):
        data_dir = directory / str(times)
        if not data_dir.exists():
            write_dataset(data_dir, times * episodes, _EPISODES_PER_FILE)
        row = {"data_mib": times * episodes * EPISODE_MIB, "budget_mib": budget}
        row |= trial(
            data_dir=str(data_dir),
            budget_mib=budget,
            batch_size=_BATCH_SIZE,
            updates=updates,
            batches=batches - updates,
        )
        found.append(row)
        cells = [f"{row[name]:>10.0f}" for name in _COLUMNS]
        if not row["streamed"]:
            cells[1] = f"{'none':>10}"
        print(" ".join(cells), flush=True)
    small, large, mapped = found
    for name in ("median", "peak"):
        print(
            f"Ten times the data: {large[name] / small[name]:.2f} times the {name} "
            f"within the budget, {mapped[name] / small[name]:.2f} times without."
        )
    return found


def trial(**settings) -> dict:
    """What `memory_trial.measure` finds in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory_trial", json.dumps(settings)],
        capture_output=True,
        text=True,
    )
    for line in done.stdout.splitlines():
        if line.startswith("#"):
            return json.loads(line[1:])
    errors = done.stderr.strip().splitlines() or ["no message"]
    raise RuntimeError(f"The trial ended: {errors[-1]}")


if __name__ == "__main__":
    app.run(main)
