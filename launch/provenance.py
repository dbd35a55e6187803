"""Which command and which version of the code made a result."""

import shlex
import subprocess
import sys

from pdtla.training import configs


def commit() -> str:
    """The commit of the repository, "-dirty" if files differ; "" without one."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=configs.REPOSITORY,
    )
    return done.stdout.strip()


def command(program: str) -> str:
    """The command line that called a program of `launch`."""
    return shlex.join(["python", "-m", f"launch.{program}", *sys.argv[1:]])
