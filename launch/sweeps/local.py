"""Runs points on this machine."""

import os
import subprocess
import time
from collections.abc import Mapping

from absl import logging

from launch.sweeps import task as task_lib

_POLL_SECONDS = 0.2


def threads_for_each(max_parallel: int) -> int:
    """CPU threads of a run, where so many share the machine."""
    return max(1, len(os.sched_getaffinity(0)) // max_parallel)


def device_environment(index: int, num_gpus: int) -> tuple[tuple[str, str], ...]:
    """Variables that give run number `index` one of the GPUs, in turns."""
    if not num_gpus:
        return ()
    devices = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(
        str(gpu) for gpu in range(num_gpus)
    )
    return (
        ("CUDA_VISIBLE_DEVICES", devices.split(",")[index % num_gpus]),
        ("TF_FORCE_GPU_ALLOW_GROWTH", "true"),  # several may share it
    )


def run(tasks: Mapping[str, task_lib.Task], max_parallel: int) -> None:
    """Runs tasks, at most `max_parallel` at a time; those that fail stop no other.

    Raises:
      KeyboardInterrupt: after the running ones were stopped.
    """
    waiting = dict(tasks)
    running: dict[str, subprocess.Popen] = {}
    starts: dict[str, float] = {}
    try:
        while waiting or running:
            while waiting and len(running) < max_parallel:
                name = next(iter(waiting))
                running[name] = waiting.pop(name).start()
                starts[name] = time.monotonic()
                logging.info("%s: started, %d more to come.", name, len(waiting))
            for name, process in list(running.items()):
                if process.poll() is not None:
                    del running[name]
                    tasks[name].note_end(process.returncode)
                    _report(name, tasks[name], time.monotonic() - starts[name])
            time.sleep(_POLL_SECONDS)
    finally:
        if running:
            logging.info("Stopping %s.", ", ".join(running))
            task_lib.stop(list(running.values()))


def _report(name: str, task: task_lib.Task, seconds: float) -> None:
    reason = task_lib.failure(task.workdir)
    if reason is None:
        logging.info("%s: ended after %.0f s.", name, seconds)
    else:
        logging.error("%s: FAILED after %.0f s: %s", name, seconds, reason)
