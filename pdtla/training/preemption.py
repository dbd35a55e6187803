"""`Preemption`: stopping at a signal so that the same command goes on."""

import os
import signal
import threading
from collections.abc import Callable

from absl import logging

# SLURM announces the end of a job with the first, or with the second where it is told
# to (--signal=USR1@90).
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Preempted(SystemExit):
    """A run was asked to stop, and has saved its state.

    Its exit status, 75 (EX_TEMPFAIL), asks for the command to be run again.
    """

    def __init__(self):
        super().__init__(os.EX_TEMPFAIL)


class Preemption:
    """Listens, within a `with` block, for signals that ask the process to stop.

    At first a signal ends the block with `Preempted`; once `stop` is set, it is called
    instead, from a thread of its own: while TensorFlow computes, Python's handlers do
    not run. Outside the main thread of the process no signal is listened for.
    """

    def __init__(self):
        self._stop: Callable[[], None] | None = None
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> "Preemption":
        if threading.current_thread() is not threading.main_thread():
            return self
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._thread = threading.Thread(target=self._listen, args=(reader,))
        self._thread.daemon = True
        self._thread.start()
        self._wakeup = signal.set_wakeup_fd(self._writer)
        self._handlers = {
            number: signal.signal(number, self._handle) for number in SIGNALS
        }
        return self

    def __exit__(self, *unused_error) -> None:
        if not self._handlers:
            return
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._writer)
        self._thread.join()

    def call(self, stop: Callable[[], None]) -> None:
        """Calls `stop` at every signal from now on."""
        self._stop = stop
        for number in self._handlers:
            signal.signal(number, self._handle)  # TensorFlow has taken SIGTERM over

    def _listen(self, reader: int) -> None:
        """Runs in the thread; the number of every signal comes as a byte."""
        with os.fdopen(reader, "rb", buffering=0) as numbers:
            while number := numbers.read(1):
                if number[0] in SIGNALS and self._stop is not None:
                    self._stop()

    def _handle(self, number: int, unused_frame: object) -> None:
        name = signal.Signals(number).name
        if self._stop is None:
            logging.info("Stopping before the first update, as %s asks.", name)
            raise Preempted
        logging.info("Stopping after this update, as %s asks.", name)
