"""What a benchmark measures, and in a process of its own, so that memory is its own."""

import dataclasses
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Task:
    """One round of work to be timed.

    Attributes:
      run: does the work and waits for its end.
      amount: how many `unit` one round does.
      unit: what is counted, e.g. "frames".
      flop: floating-point operations of convolutions and products in one round, or 0.
    """

    run: Callable[[], object]
    amount: float
    unit: str
    flop: float = 0.0


@dataclasses.dataclass(frozen=True)
class Round:
    """What one round took.

    Attributes:
      wall: seconds on the clock.
      cpu: seconds of all threads, in user and system mode.
      system: seconds of all threads in system mode.
      peak_mib: the largest resident memory of the process until now, MiB.
    """

    wall: float
    cpu: float
    system: float
    peak_mib: float


def timed(run: Callable[[], object]) -> Round:
    """Runs once and measures it."""
    before, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run()
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    user = after.ru_utime - before.ru_utime
    return Round(wall, user + system, system, after.ru_maxrss / 1024)


def serve(task: Task) -> None:
    """Answers every line on standard input with a round, on standard output."""
    task.run()  # compiles, and touches all memory
    _send({"amount": task.amount, "unit": task.unit, "flop": task.flop})
    for _ in sys.stdin:
        _send(dataclasses.asdict(timed(task.run)))


def _send(answer: dict) -> None:
    sys.stdout.write("\n#" + json.dumps(answer) + "\n")
    sys.stdout.flush()


class Worker:
    """A process that does the rounds of one case, one at a time.

    Several workers alternate their rounds, so that what else goes on in the machine
    falls on all of them alike.

    Args:
      case: name of a case in `benchmarks.cases`.
      precision: dtype policy it runs under.

    Raises:
      RuntimeError: the process ended; the message has its last line of errors.
    """

    def __init__(self, case: str, precision: str) -> None:
        self.case = case
        self.precision = precision
        self.rounds: list[Round] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cases", case, precision],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.work = self._receive()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._process.communicate()

    def round(self) -> None:
        """Does one round and keeps what it took."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.rounds.append(Round(**self._receive()))

    def _receive(self) -> dict:
        for line in self._process.stdout:
            if line.startswith("#"):
                return json.loads(line[1:])
        errors = self._process.stderr.read().strip().splitlines() or ["no message"]
        raise RuntimeError(f"{self.case} ({self.precision}) ended: {errors[-1]}")
