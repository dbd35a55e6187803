r"""Runs a grid of `launch.train`, on this machine or on SLURM.

    python -m launch.sweep --gin_file=gin/stages/lam.gin \
        --gin_file=gin/envs/procgen.gin --grid=ENV_ID=maze,heist --grid=SEED=0,1,2 \
        --sweep_dir=runs/lam --max_parallel=2

Every point has a workdir, such as `runs/lam/ENV_ID=maze,SEED=0`. The same command goes
on with what was stopped or failed, and skips what is finished. `--dry_run` prints the
points and their commands, `--status --sweep_dir=runs/lam` what is done.
"""

import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import app, flags, logging

from launch import run_flags
from launch.sweeps import experiment, grid, local, status, validation
from launch.sweeps import manifest as manifest_lib
from launch.sweeps import task as task_lib
from launch.sweeps.point import Point
from pdtla.training import configs

_SWEEP_DIR = flags.DEFINE_string("sweep_dir", None, "Directory of the workdirs.")
_GRID = flags.DEFINE_multi_string("grid", [], "An axis: NAME=VALUE,VALUE,...")
_GRID_FILE = flags.DEFINE_multi_string(
    "grid_file", [], "An axis of gin files of one folder: FILE,FILE,..."
)
_MAX_PARALLEL = flags.DEFINE_integer(
    "max_parallel", 1, "Runs at a time.", lower_bound=1
)
_STATUS = flags.DEFINE_bool("status", False, "Print what is done, and do nothing.")
_LAUNCHER = flags.DEFINE_enum(
    "launcher", "local", ["local", "slurm"], "Where the points run."
)
_WAIT = flags.DEFINE_bool("wait", False, "Return when no SLURM job is left.")
_PARTITION = flags.DEFINE_string("slurm_partition", None, "Partition of SLURM.")
_CPUS = flags.DEFINE_integer("slurm_cpus", 4, "CPUs of a job.", lower_bound=1)
_GPUS = flags.DEFINE_integer("slurm_gpus", None, "GPUs of a job.")
_MEMORY = flags.DEFINE_float("slurm_mem_gb", None, "Memory of a job, in GB.")
_MINUTES = flags.DEFINE_integer(
    "slurm_minutes", 60, "Time limit; a job that reaches it is queued again."
)
_OPTION = flags.DEFINE_multi_string(
    "slurm_option", [], "Further option of sbatch: account=lab."
)

_RUN = run_flags.define()
_INTERRUPTED = 130  # exit status, as shells have it


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    if not _SWEEP_DIR.value:
        raise configs.ConfigError("--sweep_dir must be set.")
    manifest = manifest_lib.Manifest(pathlib.Path(_SWEEP_DIR.value).resolve())
    if _STATUS.value:
        return show(manifest, manifest.points())
    points = grid.make_points(
        grid=_GRID.value,
        grid_files=_GRID_FILE.value,
        files=flags.FLAGS.gin_file,
        bindings=flags.FLAGS.gin_bindings,
    )
    points = validation.validate(points, manifest.directory)
    _RUN.mirrors()  # what is missing is found here, rather than by every point
    if flags.FLAGS.dry_run:
        for point in points:
            command = ["python", "-m", "launch.train", *_arguments(point, manifest)]
            sys.stdout.write(f"{point.name}\n  {shlex.join(command)}\n")
        return 0
    manifest.add_points(points)
    experiment.write(manifest.points(), manifest.directory)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        run(manifest, points)
    except KeyboardInterrupt:
        show(manifest, points)
        logging.info("Stopped; the same command goes on.")
        return _INTERRUPTED
    return show(manifest, points)


def run(manifest: manifest_lib.Manifest, points: Sequence[Point]) -> None:
    """Runs or submits the points that are not finished, running or queued."""
    # Without it a point that waits would be submitted once more.
    queued = _queued(manifest, needed=_LAUNCHER.value == "slurm")
    states = {each.name: each.state for each in read(manifest, points, queued)}
    done = (status.FINISHED, status.RUNNING, status.QUEUED)
    missing = [point for point in points if states[point.name] not in done]
    tasks = {
        point.name: _task(point, manifest, index) for index, point in enumerate(missing)
    }
    logging.info("%d of %d points to run.", len(tasks), len(points))
    if _LAUNCHER.value == "local":
        local.run(tasks, _MAX_PARALLEL.value)
        return
    from launch.sweeps import slurm  # only here is submitit needed

    if tasks:
        jobs = slurm.submit(
            tasks,
            folder=manifest.directory / "slurm",
            max_parallel=_MAX_PARALLEL.value,
            parameters=_slurm_parameters(),
        )
        manifest.add_jobs(jobs)
        for name, job in jobs.items():
            logging.info("%s: job %s.", name, job)
    if _WAIT.value:
        slurm.wait(set(manifest.jobs().values()))


def read(
    manifest: manifest_lib.Manifest,
    points: Sequence[Point],
    queued: Mapping[str, str],
) -> list[status.Status]:
    """What is done of each point, by its workdir and, where it has a job, by SLURM.

    Args:
      manifest: of the sweep.
      points: of the sweep.
      queued: states of SLURM's jobs by their ids.
    """
    jobs = manifest.jobs()
    return [
        status.read(
            point, manifest.directory / point.name, queued.get(jobs.get(point.name, ""))
        )
        for point in points
    ]


def _queued(manifest: manifest_lib.Manifest, needed: bool) -> Mapping[str, str]:
    """States of SLURM's jobs by their ids, if the sweep has any.

    Raises:
      ConfigError: SLURM does not answer, and the answer is needed.
    """
    if not manifest.jobs():
        return {}
    from launch.sweeps import slurm

    try:
        return slurm.states()
    except configs.ConfigError as error:
        if needed:
            raise
        logging.warning("What is queued is not known: %s", error)
        return {}


def show(manifest: manifest_lib.Manifest, points: Sequence[Point]) -> int:
    """Prints the table of the points; returns 1 if one has failed, else 0."""
    statuses = read(manifest, points, _queued(manifest, needed=False))
    sys.stdout.write(status.table(statuses) + "\n")
    return int(any(each.state == status.FAILED for each in statuses))


def _arguments(point: Point, manifest: manifest_lib.Manifest) -> list[str]:
    workdir = str(manifest.directory / point.name)
    return [*point.arguments(workdir), *_RUN.given()]


def _task(point: Point, manifest: manifest_lib.Manifest, index: int) -> task_lib.Task:
    on_slurm = _LAUNCHER.value == "slurm"
    threads = local.threads_for_each(_MAX_PARALLEL.value)
    num_gpus = 0 if on_slurm else len(tf.config.list_physical_devices("GPU"))
    return task_lib.Task(
        arguments=tuple(_arguments(point, manifest)),
        workdir=str(manifest.directory / point.name),
        cwd=os.getcwd(),
        threads=_CPUS.value if on_slurm else threads,
        environment=local.device_environment(index, num_gpus),
    )


def _slurm_parameters() -> dict[str, Any]:
    options = dict(option.partition("=")[::2] for option in _OPTION.value)
    return {
        "slurm_partition": _PARTITION.value,
        "cpus_per_task": _CPUS.value,
        "gpus_per_node": _GPUS.value,
        "mem_gb": _MEMORY.value,
        "timeout_min": _MINUTES.value,
        "slurm_additional_parameters": options or None,
    }


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
