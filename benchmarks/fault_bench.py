"""`FaultBench`: a small LAM run to break, and an unbroken one to compare it with."""

import json
import pathlib
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.warm_process import WarmProcess
from pdtla.datasets import window_dataset
from pdtla.rollouts import evaluator
from pdtla.training import checkpoints
from pdtla.training import train as train_lib

# What the programs import by themselves; they find it here.
_IMPORTED = (evaluator, train_lib, window_dataset)

IMAGES, STATES = "images", "states"
_FILES = {
    IMAGES: ("gin/stages/lam.gin", "gin/envs/procgen.gin"),
    STATES: ("gin/stages/lam.gin", "gin/envs/mujoco.gin"),
}
_SMALL = {
    IMAGES: ("gin/smoke.gin", "tests/tiny.gin"),
    STATES: ("gin/smoke.gin", "gin/encoders/mlp.gin"),
}
_DATA = {
    IMAGES: {"NUM_TRAJS": 24, "MAX_EPISODE_STEPS": 16, "ENV_ID": "maze"},
    STATES: {"NUM_TRAJS": 8, "MAX_EPISODE_STEPS": 50, "ENV_ID": "halfcheetah"},
}
_SETTINGS = {"LOG_EVERY": 1, "NUM_EVALS": 1, "MAX_HELDOUT_BATCHES": 0}
# Updates, and those between two checkpoints: seconds of either.
_LENGTHS = {IMAGES: (150, 25), STATES: (150, 25)}
_TIMEOUT = 1800.0  # seconds, for what should take ten


class FaultBench:
    """Starts, watches and compares runs of one kind of data.

    Args:
      home: where data, unbroken runs and the runs of trials go.
      kind: a LAM with codebooks of `states` (halfcheetah) or `images` (maze).
      streamed: read the stored files while training; images.
      workers: processes on loopback that share the updates.

    Attributes:
      data: the directory of the data.
      unbroken: the workdir of the unbroken run.
      updates: how many a run makes.
      interval: how many lie between two checkpoints.
    """

    def __init__(
        self,
        home: pathlib.Path,
        kind: str = STATES,
        streamed: bool = False,
        workers: int = 1,
    ):
        self.updates, self.interval = _LENGTHS[kind]
        self._home = home
        self._kind = kind
        self._streamed = streamed
        self._workers = workers
        self._started: list[WarmProcess] = []
        self.data = home / f"data-{kind}"
        if not self.data.exists():
            building = home / f"building-{kind}"
            shutil.rmtree(building, ignore_errors=True)
            self.call(self.build_command(building))
            building.rename(self.data)
        self.unbroken = home / f"unbroken-{kind}-{workers}{'-streamed' * streamed}"
        if not (self.unbroken / "results.json").exists():
            self.call(self.command(self.unbroken))

    def build_command(self, data: pathlib.Path, **settings: Any) -> list[str]:
        """Builds the dataset."""
        return [
            *(sys.executable, "-m", "launch.build_dataset", f"--data_dir={data}"),
            *(f"--gin_file={file}" for file in _FILES[self._kind][1:]),
            *_bindings({**_DATA[self._kind], **settings}),
        ]

    def command(
        self, workdir: pathlib.Path, data: pathlib.Path | None = None
    ) -> list[str]:
        """Trains; the same command goes on."""
        own = _DATA[self._kind] | {"DATA_DIR": str(data or self.data)} | _SETTINGS
        own |= {"NUM_UPDATES": self.updates, "CHECKPOINT_EVERY": self.interval}
        del own["NUM_TRAJS"]
        if self._kind == STATES:
            own["DATASET_NAME"] = "mujoco_dataset/halfcheetah-expert"
        if self._streamed:
            own["window_dataset.WindowDataset.memory_budget_gib"] = 1e-7
        small = _SMALL[self._kind]
        train = [
            *(sys.executable, "-m", "launch.train", f"--workdir={workdir}"),
            *(f"--gin_file={file}" for file in (*_FILES[self._kind], *small)),
            *_bindings(own),
        ]
        if self._workers == 1:
            return train
        cluster = (sys.executable, "-m", "launch.local_cluster")
        strategy = "--strategy=multi_worker"
        return [*cluster, f"--workers={self._workers}", "--", *train, strategy]

    def start(self, command: Sequence[str], log: pathlib.Path) -> WarmProcess:
        """Starts a command whose output goes to a file."""
        process = WarmProcess(command, log)
        self._started.append(process)
        return process

    def close(self) -> None:
        """Ends what was started and still runs."""
        for process in self._started:
            kill(process)

    def call(self, command: Sequence[str]) -> None:
        """Runs a command that must succeed.

        Raises:
          RuntimeError: it did not.
        """
        log = self._home / "log.txt"
        if self.start(command, log).wait(_TIMEOUT):
            raise RuntimeError(f"{' '.join(command)} failed, see {log}.")

    def wait_for(self, happened: Callable[[], bool], process: WarmProcess) -> bool:
        """Waits until something has happened; False where the process ended before."""
        deadline = time.monotonic() + _TIMEOUT
        while process.poll() is None:
            if happened():
                return True
            if time.monotonic() > deadline:
                process.kill()
                raise RuntimeError("What was waited for did not happen.")
            time.sleep(0.005)
        return False

    def difference(self, workdir: pathlib.Path) -> float:
        """Largest difference from the unbroken run in any variable that is saved."""
        first, second = _weights(workdir), _weights(self.unbroken)
        if first.keys() != second.keys():
            raise RuntimeError(f"{workdir} and {self.unbroken} hold other variables.")
        return max(
            float(np.max(np.abs(first[name] - second[name]), initial=0.0))
            for name in first
        )


def reported(workdir: pathlib.Path) -> list[int]:
    """Numbers of the updates that a run has reported."""
    path = workdir / "metrics.jsonl"
    steps = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # being written just now
            continue
        if record["split"] == "train":
            steps.append(record["step"])
    return steps


def last_reported(workdir: pathlib.Path) -> int:
    """The last update that a run has reported, 0 for none."""
    return max(reported(workdir), default=0)


def saved(workdir: pathlib.Path) -> int:
    """The update of the newest checkpoint, 0 for none."""
    return checkpoints.latest_step(workdir / "checkpoints") or 0


def message(log: pathlib.Path, *parts: str) -> str:
    """The last line of an output with one of these parts, without its time."""
    lines = log.read_text(errors="replace").splitlines()
    found = [line for line in lines if any(part in line for part in parts)]
    return re.sub(r"^[IWEF]\d{4} [^\]]*\] ", "", found[-1]) if found else ""


def flip(path: pathlib.Path, position: int) -> None:
    """Turns all bits of a byte around; once more, and the file is as before."""
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 0xFF]))


def children(process: WarmProcess) -> list[int]:
    """Process ids of the children that a process's main thread has started."""
    path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        return [int(pid) for pid in path.read_text().split()]
    except FileNotFoundError:
        return []


def kill(process: WarmProcess) -> None:
    """SIGKILL, and waits."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def _bindings(settings: Mapping[str, Any]) -> list[str]:
    return [f"--gin_bindings={name} = {value!r}" for name, value in settings.items()]


def _weights(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints"))
    return {
        name: np.asarray(reader.get_tensor(name), np.float64)
        for name in reader.get_variable_to_shape_map()
        if name.startswith(("stage", "optimizer"))
    }
