"""`Status`, what is done of a point, read from its workdir."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from launch.sweeps import task as task_lib
from launch.sweeps.point import Point
from pdtla.analysis import plots
from pdtla.analysis import results as results_lib
from pdtla.training import checkpoints
from pdtla.training import workdir as workdir_lib

FINISHED, RUNNING, QUEUED = "finished", "running", "queued"
FAILED, STOPPED, WAITING = "FAILED", "stopped", "waiting"

_HEADERS = ("point", "state", "step", "held-out loss", "return", "success", "wall time")


@dataclasses.dataclass(frozen=True)
class Status:
    """What is done of a point.

    Attributes:
      name: of the point.
      state: finished, running, queued (by SLURM), FAILED, stopped (goes on when the
        sweep is run again) or waiting (to be started).
      step: updates made up to the last report.
      num_updates: updates to make.
      heldout_loss: of the last evaluation, likewise the next two.
      return_mean: of the first way of acting.
      success_rate: likewise.
      wall_seconds: of training up to the last checkpoint.
      error: why the run failed.
    """

    name: str
    state: str
    step: int
    num_updates: int
    heldout_loss: float | None = None
    return_mean: float | None = None
    success_rate: float | None = None
    wall_seconds: float | None = None
    error: str | None = None


def read(point: Point, workdir: pathlib.Path, job_state: str | None = None) -> Status:
    """Looks at the workdir of a point; `job_state` is what SLURM says of its job."""
    saved = checkpoints.latest_step(workdir / "checkpoints") or 0
    error = task_lib.failure(workdir)
    results = _results(workdir, point.num_updates) if saved else None
    if results is not None and saved == point.num_updates:
        rollouts = results.get("rollouts", {})
        numbers = {
            "step": results["step"],
            "heldout_loss": results["heldout"].get("loss"),
            "return_mean": rollouts.get("mean"),
            "success_rate": rollouts.get("success_rate"),
            "wall_seconds": results["wall_seconds"],
        }
        return Status(point.name, FINISHED, num_updates=point.num_updates, **numbers)
    if workdir_lib.is_in_use(workdir) or job_state in ("RUNNING", "COMPLETING"):
        state = RUNNING
    elif job_state is not None:
        state = QUEUED
    elif error is not None:
        state = FAILED
    else:
        state = STOPPED if saved else WAITING
    numbers = _last_reports(workdir)
    return Status(
        point.name,
        state,
        step=max(saved, numbers.pop("step", 0)),
        num_updates=point.num_updates,
        wall_seconds=_seconds(workdir) if saved else None,
        error=error if state == FAILED else None,
        **numbers,
    )


def table(statuses: Sequence[Status]) -> str:
    """The points as lines of text, then the reasons of the failures."""
    rows = [_HEADERS, *(_row(status) for status in statuses)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    states = [status.state for status in statuses]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    failures = [f"{s.name}: {s.error}" for s in statuses if s.error is not None]
    return "\n".join([*lines, f"{len(states)} points: {', '.join(counts)}.", *failures])


def _row(status: Status) -> tuple[str, ...]:
    return (
        status.name,
        status.state,
        f"{status.step}/{status.num_updates}",
        _number(status.heldout_loss),
        _number(status.return_mean),
        _number(status.success_rate),
        _duration(status.wall_seconds),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _results(workdir: pathlib.Path, num_updates: int) -> results_lib.Results | None:
    try:
        results = results_lib.read_results(workdir / results_lib.FILE_NAME)
    except (FileNotFoundError, ValueError):  # a damaged one is written again
        return None
    return results if results["step"] == num_updates else None


def _last_reports(workdir: pathlib.Path) -> dict[str, Any]:
    """Step and numbers of the last reports of a run on its way."""
    paths = map(pathlib.Path, plots.metrics_files(workdir))
    latest: dict[str, Mapping[str, Any]] = {}
    for line in (line for path in paths for line in path.read_text().splitlines()):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # being written just now
            continue
        latest[record["split"]] = record
    if not latest:
        return {}
    rollouts = latest.get("rollouts", {})
    return {
        "step": max(record["step"] for record in latest.values()),
        "heldout_loss": latest.get("heldout", {}).get("loss"),
        "return_mean": _first(rollouts, "/return_mean"),
        "success_rate": _first(rollouts, "/success_rate"),
    }


def _first(record: Mapping[str, Any], ending: str) -> float | None:
    return next((record[name] for name in record if name.endswith(ending)), None)


def _seconds(workdir: pathlib.Path) -> float | None:
    name = "seconds/.ATTRIBUTES/VARIABLE_VALUE"
    try:
        return float(tf.train.load_variable(str(workdir / "checkpoints"), name))
    except (tf.errors.OpError, ValueError):  # replaced while it was read
        return None
