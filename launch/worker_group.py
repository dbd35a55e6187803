"""`WorkerGroup`, processes on this machine that train one model together."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from launch.sweeps import local

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1  # of Linux's prctl


class WorkerGroup:
    """Starts workers that find each other by TF_CONFIG, and ends them together.

    Workers end with this process, however that ends.

    Args:
      command: of every worker.
      size: how many there are.
      environment: of all; they share the processor's threads unless it says otherwise.
      grace_seconds: between SIGTERM and SIGKILL for those that cannot go on.
      requeue_seconds: for all to end, once one has stopped to be started again.
    """

    def __init__(
        self,
        command: Sequence[str],
        size: int,
        environment: Mapping[str, str],
        *,
        grace_seconds: float = 5.0,
        requeue_seconds: float = 60.0,
    ):
        self._command = list(command)
        self._environment = dict(environment)
        self._addresses = [f"127.0.0.1:{port}" for port in _free_ports(size)]
        self._grace_seconds = grace_seconds
        self._requeue_seconds = requeue_seconds
        self._processes: list[subprocess.Popen] = []

    def run(self, output: IO[str]) -> int:
        """Runs the workers to their end.

        Args:
          output: receives their lines, each after `[worker N] `.

        Returns:
          Exit status of the first that failed, as shells have it; else that of one
          that stopped to be started again; else 0.
        """
        with self._passing_signals_on():
            readers = []
            for index in range(len(self._addresses)):
                process = self._start(index)
                self._processes.append(process)
                reader = threading.Thread(
                    target=_copy_lines, args=(process, f"[worker {index}] ", output)
                )
                reader.start()
                readers.append(reader)
            status = self._wait()
            for reader in readers:
                reader.join()
        return status

    def _start(self, index: int) -> subprocess.Popen:
        config = {
            "cluster": {"worker": self._addresses},
            "task": {"type": "worker", "index": index},
        }
        threads = str(local.threads_for_each(len(self._addresses)))
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={
                "OMP_NUM_THREADS": threads,
                "TF_NUM_INTRAOP_THREADS": threads,
                "TF_NUM_INTEROP_THREADS": threads,
                "PYTHONUNBUFFERED": "1",
                **self._environment,
                "TF_CONFIG": json.dumps(config),
            },
            start_new_session=True,  # Ctrl-C reaches them once, from here
            preexec_fn=_end_with_parent,
        )

    def _wait(self) -> int:
        """Waits for all, ends those that are left alone; returns the group's status."""
        statuses: list[int] = []
        running = list(self._processes)
        deadline = None
        while running:
            ended = [process for process in running if process.poll() is not None]
            statuses += [process.returncode for process in ended if deadline is None]
            running = [process for process in running if process not in ended]
            if deadline is None and any(statuses):
                requeued = all(status in (0, os.EX_TEMPFAIL) for status in statuses)
                patience = self._requeue_seconds if requeued else self._grace_seconds
                deadline = time.monotonic() + patience
                self._send(signal.SIGTERM)
            elif deadline is not None and time.monotonic() > deadline:
                self._send(signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        failures = [status for status in statuses if status not in (0, os.EX_TEMPFAIL)]
        status = next(iter(failures), max(statuses))
        return 128 - status if status < 0 else status

    @contextlib.contextmanager
    def _passing_signals_on(self) -> Iterator[None]:
        pass_on = lambda number, _: self._send(number)  # noqa: E731
        before = {number: signal.signal(number, pass_on) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _send(self, number: int) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.socket()) for _ in range(count)]
        for server in servers:
            server.bind(("127.0.0.1", 0))
        return [server.getsockname()[1] for server in servers]


def _copy_lines(process: subprocess.Popen, prefix: str, output: IO[str]) -> None:
    for line in process.stdout:
        output.write(prefix + line.rstrip("\n") + "\n")
        output.flush()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
