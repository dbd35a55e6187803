"""Tests of the process of a point, as a SLURM job runs it."""

import os
import pathlib
import signal
import threading
import time

import pytest

from launch.sweeps import task as task_lib
from pdtla.training import checkpoints, configs

TOYS = configs.REPOSITORY / "tests" / "training"


class Requeued(Exception):
    """What submitit's answer to its signal is here."""


def test_a_run_that_slurm_stops_is_queued_again(tmp_path):
    """SIGTERM reaches the run, as SLURM sends it to every process of a job."""

    def requeue(*_):
        raise Requeued

    task = task_lib.Task(
        arguments=(
            f"--gin_file={TOYS / 'toy.gin'}",
            "--gin_file=gin/smoke.gin",
            "--gin.NUM_UPDATES=100000",
            f"--workdir={tmp_path}",
        ),
        workdir=str(tmp_path),
        cwd=os.getcwd(),
        threads=1,
        environment=(("PYTHONPATH", f"{configs.REPOSITORY}{os.pathsep}{TOYS}"),),
    )
    before = signal.signal(signal.SIGUSR2, requeue)
    stopper = threading.Thread(target=stop_child, args=(tmp_path,))
    stopper.start()
    try:
        with pytest.raises(Requeued):
            task()
    finally:
        signal.signal(signal.SIGUSR2, before)
        stopper.join()
    assert task_lib.failure(tmp_path) is None
    step = checkpoints.latest_step(tmp_path / "checkpoints")
    log = (tmp_path / task_lib.LOG).read_text()
    assert f"Stopped after update {step}; the same command goes on." in log


def stop_child(workdir: pathlib.Path) -> None:
    """Waits for a checkpoint, and sends SIGTERM to the process that wrote it."""
    deadline = time.monotonic() + 240
    while checkpoints.latest_step(workdir / "checkpoints") is None:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    holder = (workdir / ".lock").read_text()  # process N on HOST
    os.kill(int(holder.split()[1]), signal.SIGTERM)
