"""Runs commands in forks of a process that has imported TensorFlow once.

    python tests/fuzz/server.py FOLDER < commands

Reads a JSON object a line, `module` and `arguments`, perhaps `dataset` to write first;
answers each with `status` (None where the time was up), `stderr` and `seconds`.
"""

import contextlib
import json
import os
import pathlib
import resource
import runpy
import signal
import sys
import time
import traceback

import damage
import tensorflow as tf

from pdtla.datasets import rlds_reader
from pdtla.environments import mujoco
from pdtla.training import train

_IMPORTED = (tf, rlds_reader, mujoco, train)  # here, for the forks

SECONDS = 90.0
_MEMORY = 12 << 30


def serve(folder: pathlib.Path) -> None:
    """Answers until there are no more commands."""
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        answers.write(json.dumps(_run(json.loads(line), folder)) + "\n")
        answers.flush()


def _run(command: dict, folder: pathlib.Path) -> dict:
    log = folder / "stderr.txt"
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(command, log)
    status = _wait(child, start + SECONDS)
    return {
        "status": status,
        "stderr": log.read_text(errors="replace"),
        "seconds": time.monotonic() - start,
    }


def _wait(child: int, deadline: float) -> int | None:
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _become(command: dict, log: pathlib.Path) -> None:
    """Runs the command as its module's program; does not return."""
    status = 0
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        if command.get("dataset"):
            damage.write(**command["dataset"])
        sys.argv = [command["module"], *command["arguments"]]
        runpy.run_module(command["module"], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        status = error.code or 0
        if isinstance(status, str):
            sys.stderr.write(status)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 99
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(pathlib.Path(sys.argv[1]))
