"""Submits points to SLURM, and asks it about them."""

import getpass
import pathlib
import subprocess
import time
from collections.abc import Collection, Mapping
from typing import Any

import submitit
from absl import logging

from launch.sweeps import task as task_lib
from pdtla.training import configs

# Runs resume, so that a job may reach its time limit as often as it needs to.
_MAX_TIMEOUTS = 1000
_SIGNAL_SECONDS = 90


def submit(
    tasks: Mapping[str, task_lib.Task],
    *,
    folder: pathlib.Path,
    max_parallel: int,
    parameters: Mapping[str, Any],
) -> dict[str, str]:
    """Submits an array with one job a task.

    A job that reaches its time limit, is preempted or loses its node is queued again.

    Args:
      tasks: by name.
      folder: of submitit's scripts, pickles and logs; all nodes must see it.
      max_parallel: jobs of the array that run at a time.
      parameters: of `submitit.AutoExecutor`, those that are None left out.

    Returns:
      The identifier of each job.

    Raises:
      ConfigError: SLURM is not there, or refuses.
    """
    try:
        executor = submitit.AutoExecutor(
            folder, cluster="slurm", slurm_max_num_timeout=_MAX_TIMEOUTS
        )
        executor.update_parameters(
            name=folder.parent.name,
            slurm_array_parallelism=max_parallel,
            slurm_signal_delay_s=_SIGNAL_SECONDS,
            slurm_setup=[f"export PYTHONPATH='{configs.REPOSITORY}':$PYTHONPATH"],
            **{name: value for name, value in parameters.items() if value is not None},
        )
        with executor.batch():
            jobs = [executor.submit(task) for task in tasks.values()]
    except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
        raise configs.ConfigError(f"SLURM: {configs.one_line(error)}") from error
    return {name: job.job_id for name, job in zip(tasks, jobs, strict=True)}


def states() -> dict[str, str]:
    """State, such as PENDING or RUNNING, of each job of this user in the queue.

    Raises:
      ConfigError: SLURM does not answer.
    """
    command = ["squeue", "--noheader", "--array", "--format=%F %K %i %T"]
    try:
        answer = subprocess.run(
            [*command, f"--user={getpass.getuser()}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except subprocess.CalledProcessError as error:
        raise configs.ConfigError(f"squeue: {error.stderr.strip()}") from error
    except OSError as error:
        raise configs.ConfigError(configs.one_line(error)) from error
    found = {}
    for line in answer.splitlines():
        array, index, job, state = line.split()
        found[job if index == "N/A" else f"{array}_{index}"] = state
    return found


def wait(jobs: Collection[str], poll_seconds: float = 5.0) -> None:
    """Returns when none of the jobs is in the queue any more."""
    while left := set(jobs) & states().keys():
        logging.log_every_n_seconds(logging.INFO, "%d jobs to go.", 60, len(left))
        time.sleep(poll_seconds)
