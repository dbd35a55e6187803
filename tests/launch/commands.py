"""Runs several commands in one process, which imports TensorFlow once.

    python tests/launch/commands.py < commands.json

Reads a JSON list of argument lists, the first argument the module; writes, for each,
its exit status and what it wrote to stderr.
"""

import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence

from absl import flags

from pdtla.training import configs


def run_all(commands: Sequence[Sequence[str]]) -> list[dict]:
    """Runs commands one after the other in a new process."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([[str(text) for text in command] for command in commands]),
        capture_output=True,
        text=True,
        cwd=configs.REPOSITORY,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def environment(*folders: os.PathLike) -> dict[str, str]:
    """The environment of a command that finds the package from anywhere.

    Args:
      *folders: further ones to find modules in.
    """
    path = os.pathsep.join(map(str, (configs.REPOSITORY, *folders)))
    return {**os.environ, "PYTHONPATH": path}


def _run(module: str, *arguments: str) -> dict:
    known = set(flags.FLAGS)
    stderr, status = io.StringIO(), 0
    sys.argv = [module, *arguments]
    try:
        with (
            contextlib.redirect_stderr(stderr),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            runpy.run_module(f"launch.{module}", run_name="__main__")
    except SystemExit as error:
        status = error.code or 0
    finally:
        flags.FLAGS.unparse_flags()
        for name in set(flags.FLAGS) - known:
            delattr(flags.FLAGS, name)
    return {"status": status, "stderr": stderr.getvalue()}


if __name__ == "__main__":
    results = [_run(*command) for command in json.load(sys.stdin)]
    sys.stdout.write("\n" + json.dumps(results) + "\n")
