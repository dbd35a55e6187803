"""`WarmProcess`, a program in a process that need not import TensorFlow first."""

import os
import pathlib
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Sequence

from absl import flags

from pdtla.training import configs


class WarmProcess:
    """Runs `python -m MODULE ...` in a fork of this process; used as a `Popen` is.

    This process must not have used TensorFlow, whose threads a fork leaves behind.

    Args:
      command: interpreter, `-m`, module and arguments.
      log: file for its output.

    Attributes:
      pid: id of the process.
      returncode: exit status, that of a signal negative; None while it runs.
    """

    def __init__(self, command: Sequence[str], log: pathlib.Path):
        _, dash_m, module, *arguments = command
        if dash_m != "-m":
            raise ValueError(f"Commands must run a module, got {list(command)}.")
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            _become(module, arguments, log)

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        if self.returncode is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = float("inf")) -> int:
        """The exit status, once there is one; of a process that is killed by then."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _become(module: str, arguments: Sequence[str], log: pathlib.Path) -> None:
    """Runs the program; does not return."""
    status = 1
    try:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(configs.REPOSITORY)
        os.environ["PYTHONPATH"] = str(configs.REPOSITORY)
        flags.FLAGS.unparse_flags()
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else bool(error.code)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
