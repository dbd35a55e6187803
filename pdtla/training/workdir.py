"""`Workdir`: the files of one run."""

import fcntl
import os
import pathlib
import socket
import time
from collections.abc import Mapping
from typing import IO, Any

from pdtla import specs
from pdtla.analysis import files, results
from pdtla.training import checkpoints, configs, statements

CONFIG = "config.gin"
_OPERATIVE_CONFIG = "operative_config.gin"
_DATA = "data.json"
_LOCK = ".lock"
# What may differ when a run goes on: it changes what is reported, not what is learnt.
REPORTING_KNOBS = frozenset({"LOG_EVERY", "CHECKPOINT_EVERY", "KEEP_CHECKPOINTS"})


class Workdir:
    """The directory of one run, held by one process at a time.

    Args:
      path: created where it does not exist.
      hold: whether to hold it; not for workers that write nothing.

    Raises:
      ConfigError: another process is using it.
    """

    def __init__(self, path: str | pathlib.Path, *, hold: bool = True):
        self.path = pathlib.Path(path)
        self._lock = self._hold() if hold else None

    def _hold(self) -> IO:
        self.path.mkdir(parents=True, exist_ok=True)
        file = (self.path / _LOCK).open("a+")
        # The system drops this lock when the process ends, killed or not.
        for _ in range(5):
            if _try_lock(file, fcntl.LOCK_EX):
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}")
                file.flush()
                return file
            time.sleep(0.1)  # someone may just be looking, see `is_in_use`
        file.seek(0)
        holder = file.read() or "one that does not tell its name"
        file.close()
        raise configs.ConfigError(
            f"Another run is using the workdir {self.path}: {holder}."
        )

    @property
    def checkpoints(self) -> pathlib.Path:
        """Directory of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def modules(self) -> pathlib.Path:
        """Directory of the modules that later stages load."""
        return self.path / "modules"

    def is_finished(self, num_updates: int) -> bool:
        """Whether the last checkpoint, written after the results, is there."""
        last = checkpoints.latest_step(self.checkpoints)
        return last == num_updates and self.results.exists()

    @property
    def results(self) -> pathlib.Path:
        """The results, once the run is finished."""
        return self.path / "results.json"

    def close(self) -> None:
        """Lets others use the directory."""
        if self._lock:
            self._lock.close()

    def __enter__(self) -> "Workdir":
        return self

    def __exit__(self, *unused_error) -> None:
        self.close()

    def claim(self, config: str, unused_macros: frozenset[str] = frozenset()) -> None:
        """Checks a configuration against that of the run that is there, if one is.

        A run is there once it has a checkpoint.

        Args:
          config: the configuration as gin writes it.
          unused_macros: macros that do not reach this run, which may differ.

        Raises:
          ConfigError: the directory holds a run of another configuration.
        """
        if holds_run(self.path):
            check_config(self.path, config, unused_macros)

    def begin(
        self, config: str, operative: str, data: Mapping[str, Any] | None = None
    ) -> None:
        """Writes `config.gin`, once all is set up, and what the run made use of.

        Args:
          config: the configuration as gin writes it.
          operative: what of it is used.
          data: what the run learns from, see `data_facts`.
        """
        if not holds_run(self.path):
            files.write_atomically(self.path / CONFIG, config.encode())
            if data is not None:
                results.write_json(self.path / _DATA, data)
        files.write_atomically(self.path / _OPERATIVE_CONFIG, operative.encode())


def is_in_use(path: pathlib.Path) -> bool:
    """Whether a process holds a directory."""
    try:
        with (path / _LOCK).open() as file:
            return not _try_lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def holds_run(path: pathlib.Path) -> bool:
    """Whether a run has got as far as a checkpoint in a directory."""
    step = checkpoints.latest_step(path / "checkpoints")
    return step is not None and (path / CONFIG).exists()


def data_facts(fingerprint: str, element_spec: specs.ElementSpec) -> dict[str, Any]:
    """What a run keeps about its data, as JSON has it.

    Args:
      fingerprint: of the dataset.
      element_spec: of its batches.
    """
    return {"fingerprint": fingerprint, "statistics": specs.statistics(element_spec)}


def check_data(
    path: pathlib.Path, data: Mapping[str, Any], resumes: bool = True
) -> None:
    """Checks `data_facts` against those of the run that a directory holds, if any.

    Args:
      path: the directory.
      data: the facts; older runs kept none.
      resumes: whether the run is to go on, which takes the very same data; to act, the
        same statistics are enough.

    Raises:
      ConfigError: they differ.
    """
    if not holds_run(path) or not (path / _DATA).exists():
        return
    there = results.read_json(path / _DATA)
    changes = [
        f"another mean, deviation or range of {field}"
        for field, statistics in data["statistics"].items()
        if there["statistics"].get(field, statistics) != statistics
    ]
    if resumes and there["fingerprint"] != data["fingerprint"] and not changes:
        changes = ["another fingerprint"]
    if changes:
        raise configs.ConfigError(
            f"The run in {path} learnt from other data than there is now "
            f"({', '.join(changes)}): give it the same."
        )


def check_config(
    path: pathlib.Path, config: str, unused_macros: frozenset[str] = frozenset()
) -> None:
    """Checks a configuration against that of the run that a directory holds.

    Raises:
      ConfigError: they differ in what is learnt.
    """
    ignored = REPORTING_KNOBS | unused_macros
    there, here = _statements((path / CONFIG).read_text()), _statements(config)
    changes = [
        f"{key} was {there.get(key, 'not set')}, is {here.get(key, 'not set')}"
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key) and key not in ignored
    ]
    if changes:
        raise configs.ConfigError(
            f"The workdir {path} holds a run of another configuration: "
            f"{'; '.join(changes)}."
        )


def _try_lock(file: IO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _statements(config: str) -> dict[str, str]:
    return {found.name: found.value for found in statements.read_bindings(config)}
