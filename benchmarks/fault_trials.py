"""The faults of the table: what is done to a run, and how it is mended.

Each takes the bench, the directory of the trial, and the generator of its random
moments; it returns what happened: `moment` (the last update reported before the fault),
`status` of the broken run, `message`, and `saved`, the update it goes on from. Then the
caller gives the same command once more.
"""

import functools
import json
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks import fault_bench
from benchmarks.fault_bench import FaultBench
from benchmarks.warm_process import WarmProcess
from pdtla.training import configs

Outcome = dict[str, Any]


class Fault(NamedTuple):
    """A kind of fault.

    Attributes:
      trial: does it to a run in `directory/run`.
      bench: arguments of the bench it needs.
      tolerance: by how much weights may differ from those of an unbroken run.
    """

    trial: Callable[[FaultBench, pathlib.Path, np.random.Generator], Outcome]
    bench: Mapping[str, Any] = {}
    tolerance: float = 0.0


def command(bench: FaultBench, directory: pathlib.Path) -> list[str]:
    """The command of a trial's run, on its own copy of the data if it has one."""
    data = directory / "data"
    return bench.command(directory / "run", data if data.exists() else None)


def by_signal(number: int) -> Callable:
    """A signal to the process."""

    def trial(bench, directory, rng) -> Outcome:
        process, moment = _running(bench, directory, rng)
        process.send_signal(number)
        status = process.wait()
        line = fault_bench.message(_log(directory), "Stopped after", "error: ")
        return _outcome(directory, moment, status, line)

    return trial


def lost_worker(bench, directory, rng) -> Outcome:
    """SIGKILL to one of two workers."""
    process, moment = _running(bench, directory, rng)
    victim = int(rng.integers(2))
    subprocess.run(["kill", "-9", str(fault_bench.children(process)[victim])])
    line = f"worker {victim} was killed, the other one ended"
    return _outcome(directory, moment, process.wait(), line)


def two_runs(bench, directory, rng) -> Outcome:
    """The same command while the first one pauses, which must not notice."""
    process, moment = _running(bench, directory, rng)
    process.send_signal(signal.SIGSTOP)
    log = directory / "second.txt"
    second = bench.start(command(bench, directory), log)
    status = second.wait()
    process.send_signal(signal.SIGCONT)
    if process.wait():
        raise RuntimeError(f"The first run was harmed, see {_log(directory)}.")
    line = fault_bench.message(log, "error: ")
    if "Another run is using" not in line:
        raise RuntimeError(f"The second run was not refused: {line!r}.")
    return {"moment": moment, "status": status, "message": line, "saved": moment}


def full_disk(bench, directory, rng) -> Outcome:
    """The file system of the workdir, a tmpfs, is filled up."""
    disk = directory / "run"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", disk], check=True)
    process, moment = _running(bench, directory, rng)
    filler = disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], capture_output=True)
    status = process.wait()
    filler.unlink()
    halves = [path for path in disk.rglob("*") if _is_half_written(path)]
    line = fault_bench.message(_log(directory), "error: ")
    outcome = _outcome(directory, moment, status, line)
    return outcome | {"half_written": len(halves)}


def damaged_checkpoint(bench, directory, rng) -> Outcome:
    """SIGKILL, and the newest checkpoint is cut off or has a byte turned around."""
    first = 2 * bench.interval + 2  # two are there
    process, moment = _running(bench, directory, rng, first=first)
    fault_bench.kill(process)
    step = fault_bench.saved(directory / "run")
    files = sorted((directory / "run" / "checkpoints").glob(f"ckpt-{step}.*"))
    path = files[int(rng.integers(len(files)))]
    position = int(rng.integers(path.stat().st_size))
    cut = bool(rng.integers(2))
    if cut:
        with path.open("r+b") as file:
            file.truncate(position)
    else:
        fault_bench.flip(path, position)
    what = f"{path.suffix} {'cut off' if cut else 'changed'} at byte {position}"
    return _outcome(directory, moment, process.returncode, what) | {
        "saved": step - bench.interval
    }


def flipped_shard(bench, directory, rng) -> Outcome:
    """A byte of a stored file is turned around while it is read again and again."""
    shutil.copytree(bench.data, directory / "data")
    # Early enough that the rest of the run reads all files again.
    process, moment = _running(bench, directory, rng, last=bench.updates // 3)
    shards = sorted((directory / "data").glob("*/*/*/*-train.tfrecord-*[0-9]"))
    path = shards[int(rng.integers(len(shards)))]
    position = int(rng.integers(path.stat().st_size))
    fault_bench.flip(path, position)
    status = process.wait()
    fault_bench.flip(path, position)
    line = fault_bench.message(_log(directory), "error: ")
    if path.name not in line:
        raise RuntimeError(f"The error does not name {path.name}: {line!r}")
    return _outcome(directory, moment, status, line)


def nan_in_data(bench, directory, rng) -> Outcome:
    """States become NaN while a run is stopped, since it reads them once, at its start.

    Half of the steps, so that the updates that remain are sure to draw one.
    """
    shutil.copytree(bench.data, directory / "data")
    stopped, moment = _running(bench, directory, rng)
    stopped.send_signal(signal.SIGTERM)
    stopped.wait()
    (path,) = (directory / "data").rglob("observation.raw")
    layout = json.loads(path.with_suffix(".json").read_text())
    states = np.memmap(path, layout["dtype"], "r+", shape=tuple(layout["shape"]))
    before = states.copy()
    states[rng.permutation(len(states))[::2]] = np.nan
    states.flush()
    status = bench.start(command(bench, directory), _log(directory)).wait()
    states[:] = before
    states.flush()
    line = fault_bench.message(_log(directory), "error: ")
    if "not finite" not in line:
        raise RuntimeError(f"NaN in data was not noticed: {line!r}.")
    return _outcome(directory, moment, status, line)


def stopped_simulator(bench, directory, rng) -> Outcome:
    """SIGKILL to a process that plays a dataset; the same command goes on with it."""
    data = directory / "data"
    build = [*bench.build_command(data), "--num_workers=2"]
    players = []
    while len(players) < 2:  # it may have ended before its moment came
        shutil.rmtree(data, ignore_errors=True)
        process = bench.start(build, _log(directory))
        all_play = functools.partial(lambda p: len(_players(p)) == 2, process)
        bench.wait_for(all_play, process)
        time.sleep(float(rng.uniform(0, 8)))
        players = _players(process)
    subprocess.run(["kill", "-9", str(players[int(rng.integers(2))])])
    status = process.wait()
    line = fault_bench.message(_log(directory), "died", "Error", "Dataset: ")
    bench.call(build)
    return {"moment": 0, "status": status, "message": line, "saved": 0}


FAULTS: dict[str, Fault] = {
    "SIGKILL": Fault(by_signal(signal.SIGKILL)),
    "SIGTERM": Fault(by_signal(signal.SIGTERM)),
    "SIGUSR1": Fault(by_signal(signal.SIGUSR1)),
    "disk full": Fault(full_disk),
    "checkpoint damaged": Fault(damaged_checkpoint),
    "byte flipped in a shard": Fault(
        flipped_shard, bench={"kind": fault_bench.IMAGES, "streamed": True}
    ),
    "worker lost": Fault(lost_worker, bench={"workers": 2}, tolerance=1e-3),
    "simulator stopped": Fault(stopped_simulator),
    "NaN in data": Fault(nan_in_data),
    "two runs in a workdir": Fault(two_runs),
}


def _running(
    bench: FaultBench,
    directory: pathlib.Path,
    rng: np.random.Generator,
    first: int = 2,
    last: int | None = None,
) -> tuple[WarmProcess, int]:
    """A run at a random moment, and the last update that it has reported by then."""
    run = directory / "run"
    moment = int(rng.integers(first, last or bench.updates - bench.interval))
    process = bench.start(command(bench, directory), _log(directory))
    reached = lambda: fault_bench.last_reported(run) >= moment  # noqa: E731
    if not bench.wait_for(reached, process):
        raise RuntimeError(f"The run ended by itself, see {_log(directory)}.")
    time.sleep(float(rng.uniform(0, 0.1)))
    return process, fault_bench.last_reported(run)


def _outcome(
    directory: pathlib.Path, moment: int, status: int, message: str
) -> Outcome:
    run = directory / "run"
    return {
        # It may have gone on a little after it was last looked at.
        "moment": max(moment, fault_bench.last_reported(run)),
        "status": status,
        "message": message.replace(f"{configs.REPOSITORY}/", ""),
        "saved": fault_bench.saved(run),
    }


def _log(directory: pathlib.Path) -> pathlib.Path:
    return directory / "log.txt"


def _players(process: WarmProcess) -> list[int]:
    """Children that play; there is one more, which watches over shared resources."""
    players = []
    for pid in fault_bench.children(process):
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue
        if "spawn_main" in line:
            players.append(pid)
    return players


def _is_half_written(path: pathlib.Path) -> bool:
    return path.is_file() and ("tmp" in path.name or "temp" in path.name)
