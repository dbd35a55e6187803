"""`Task`, the process of one point."""

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
from typing import Any

from pdtla.analysis import files
from pdtla.training import configs

LOG = "log.txt"
_ERROR = "error.txt"
_MESSAGE = re.compile(r"^(error: |[\w.]*(Error|Exception)\b)")
# A run saves its state first; SLURM leaves as much between SIGTERM and SIGKILL.
_GRACE_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Task:
    """Runs `launch.train` for a point, here or, pickled, in a SLURM job.

    Attributes:
      arguments: of the program.
      workdir: of the run; the output goes to its `log.txt`.
      cwd: the working directory, which relative paths start from.
      threads: of the CPU, that the run may use.
      environment: further variables.
    """

    arguments: tuple[str, ...]
    workdir: str
    cwd: str
    threads: int
    environment: tuple[tuple[str, str], ...] = ()

    def __call__(self) -> None:
        """Runs to the end, or until the run has stopped so as to be started again.

        Raises:
          RuntimeError: the run failed.
        """
        process = self.start()
        try:
            process.wait()
        except BaseException:  # SLURM takes the job back, in the form of SystemExit
            stop([process])
            raise
        self.note_end(process.returncode)
        if process.returncode == os.EX_TEMPFAIL:
            # submitit answers its own signal: it queues the job again, and exits.
            signal.raise_signal(signal.SIGUSR2)
        if process.returncode:
            raise RuntimeError(failure(self.workdir) or "The run was stopped.")

    def checkpoint(self) -> Any:
        """What is submitted when SLURM takes the job back: the same; runs resume."""
        from submitit import helpers

        return helpers.DelayedSubmission(self)

    def start(self) -> subprocess.Popen:
        """Starts the process, in a session that no Ctrl-C reaches."""
        directory = pathlib.Path(self.workdir)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _ERROR).unlink(missing_ok=True)
        with (directory / LOG).open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "launch.train", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=self._environment(),
                start_new_session=True,
                # SLURM sends it to all processes of a job; submitit's answers.
                preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
            )

    def note_end(self, status: int) -> None:
        """Leaves the reason behind where a run failed, rather than was stopped."""
        stopped = (-signal.SIGTERM, -signal.SIGINT, os.EX_TEMPFAIL)
        if status == 0 or status in stopped:
            return
        message = _last_message(pathlib.Path(self.workdir) / LOG)
        if status < 0:
            message = (
                f"Killed by {signal.Signals(-status).name}; before that: {message}"
            )
        path = pathlib.Path(self.workdir) / _ERROR
        files.write_atomically(path, (message + "\n").encode())

    def _environment(self) -> dict[str, str]:
        threads = str(self.threads)
        paths = (str(configs.REPOSITORY), os.environ.get("PYTHONPATH", ""))
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OMP_NUM_THREADS": threads,
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            **dict(self.environment),
        }


def failure(workdir: str | pathlib.Path) -> str | None:
    """Why the last run in a workdir failed, or None if it did not."""
    path = pathlib.Path(workdir) / _ERROR
    return path.read_text().strip() if path.exists() else None


def stop(processes: list[subprocess.Popen]) -> None:
    """Ends processes, by force where they do not end soon."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_message(log: pathlib.Path) -> str:
    """The last line that tells of an error, else the last line."""
    lines = [
        line for line in log.read_text(errors="replace").splitlines()[-200:] if line
    ]
    errors = [line for line in lines if _MESSAGE.match(line)]
    return (errors or lines or ["no output"])[-1].removeprefix("error: ")
