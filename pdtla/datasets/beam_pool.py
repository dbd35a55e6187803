"""Runs tasks on a runner of Apache Beam: on this machine, Flink, Spark or Dataflow."""

import contextlib
import difflib
import io
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pdtla.datasets import worker_pool

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_LOCAL = ("directrunner", "fnapirunner")


def pipeline_options(flags: Sequence[str]) -> "PipelineOptions":
    """The options of a pipeline, checked before any work.

    Args:
      flags: as Beam's own programs take them, e.g. `--runner=FlinkRunner`. Options that
        Beam does not know are left to the runner; on this machine there is none that
        could know them.

    Raises:
      ValueError: Beam is not installed, or an option is wrong.
    """
    try:
        from apache_beam.options import pipeline_options as beam_options
    except ImportError:
        raise ValueError(
            "Apache Beam is not installed: pip install -r requirements-beam.txt."
        ) from None
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # argparse prints its whole usage
            options = beam_options.PipelineOptions(list(flags))
            known = options.get_all_options()
    except SystemExit:
        reason = said.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise ValueError(f"Beam's options are wrong: {reason}.") from None
    if _is_local(options):
        _check_known(flags, known)
    return options


def run_tasks(
    function: Callable[[Any, worker_pool.Progress], Any],
    tasks: Sequence[Any],
    options: "PipelineOptions",
) -> None:
    """Does all tasks, wherever the runner does them, and waits for their end.

    A runner may do a task twice or give up in the middle, so what it does must end in
    files that appear whole, under names that the workers and this process share.

    Args:
      function: as for `worker_pool.run_tasks`; what it returns is not kept.
      tasks: arguments for it; function and tasks must pickle.
      options: of the pipeline, from `pipeline_options`.

    Raises:
      RuntimeError: a task failed.
    """
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    runner = None
    if _is_local(options):
        # What Beam calls the DirectRunner would first download another one.
        runner = FnApiRunner()
        logging.getLogger("apache_beam").setLevel(logging.WARNING)
    try:
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            _ = (
                pipeline
                | "Tasks" >> beam.Create(list(tasks))
                | "Spread" >> beam.Reshuffle()
                | "Do" >> beam.Map(_do, function)
            )
    except Exception as error:  # runners raise what they like
        raise RuntimeError(f"The Beam pipeline failed: {_reason(error)}") from error


def _do(task: Any, function: Callable[[Any, worker_pool.Progress], Any]) -> None:
    function(task, lambda count: None)


def _is_local(options: "PipelineOptions") -> bool:
    from apache_beam.options import pipeline_options as beam_options

    runner = options.view_as(beam_options.StandardOptions).runner
    return not runner or runner.rpartition(".")[2].lower() in _LOCAL


def _check_known(flags: Sequence[str], known: dict[str, Any]) -> None:
    for flag in flags:
        name = flag.partition("=")[0].removeprefix("--").removeprefix("no_")
        if not flag.startswith("--") or name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean --{nearest[0]}?" if nearest else ""
            raise ValueError(f"Beam's local runner has no option {flag!r}.{hint}")


def _reason(error: Exception) -> str:
    """The last line of a worker's traceback, or an error of this process."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1:
        return lines[-1].partition(" [while running")[0]
    message = str(error).partition(" [while running")[0]
    return f"{type(error).__name__}: {message}"
