"""`Follower`: evaluates the checkpoints of a run while another process trains it."""

import collections
import pathlib
import signal
import time
from collections.abc import Mapping
from typing import Any

from absl import logging

from launch import trained_run
from pdtla.analysis import plots
from pdtla.analysis import results as results_lib
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.rollouts import video
from pdtla.training import checkpoints, preemption
from pdtla.training import workdir as workdir_lib
from pdtla.training.saved_variables import MismatchError
from pdtla.training.sinks.json_lines import JsonLines
from pdtla.training.sinks.tensor_board import TensorBoard

SPLIT = "rollouts"
_POLL_SECONDS = 1.0
_REMIND_SECONDS = 60.0
_TRIES = 5  # a checkpoint may be listed before the last bytes of it are written
_LATEST = "latest.json"


def stop_at_signals() -> None:
    """Makes a signal end the process in the way that asks for it to be run again."""

    def stop(number: int, unused_frame: object) -> None:
        logging.info("Stopping, as %s asks.", signal.Signals(number).name)
        raise preemption.Preempted

    for number in (*preemption.SIGNALS, signal.SIGINT):
        signal.signal(number, stop)


def wait_for_checkpoint(workdir: pathlib.Path) -> None:
    """Returns once the directory holds a run with a checkpoint."""
    reminded = -_REMIND_SECONDS
    while not workdir_lib.holds_run(workdir):
        if time.monotonic() - reminded > _REMIND_SECONDS:
            logging.info("Waiting for the first checkpoint of a run in %s.", workdir)
            reminded = time.monotonic()
        time.sleep(_POLL_SECONDS)


class Follower:
    """Evaluates every checkpoint of a run once, in order.

    The curve goes to the run's TensorBoard folder and to `rollouts/metrics.jsonl`, by
    whose lines a process that goes on knows what was evaluated; the last `rollouts`
    section goes to the run's results when training has finished.

    Args:
      workdir: of the run.
      run: rebuilt from it.
      evaluator: of its policy.
      asked: what it was asked for beside the run's own configuration.

    Raises:
      ConfigError: another process is following the run.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        run: trained_run.Run,
        evaluator: evaluator_lib.Evaluator,
        asked: Mapping[str, Any],
    ):
        self._workdir = workdir
        self._run = run
        self._evaluator = evaluator
        self._asked = dict(asked)
        self._directory = workdir / SPLIT
        self._held = workdir_lib.Workdir(self._directory)
        self._lost: set[int] = set()
        self._failures = collections.Counter[int]()
        last = max(self.evaluated(), default=0)
        self._lines = JsonLines(self._directory, step=last)
        # What training rolled out itself stays in the same curves.
        self._board = TensorBoard(workdir, step=max(last, _last_own(workdir)))

    def evaluated(self) -> set[int]:
        """The steps whose checkpoints were evaluated, by this process or before."""
        path = self._directory / plots.METRICS
        if not path.exists():
            return set()
        steps, _ = plots.read_metrics(path).get("episodes", ((), ()))
        return set(steps)

    def follow(self) -> None:
        """Evaluates what appears until the run has finished and all is evaluated."""
        num_updates = self._run.settings["num_updates"]
        run = workdir_lib.Workdir(self._workdir, hold=False)
        while True:
            finished = run.is_finished(num_updates)
            done = self.evaluated() | self._lost
            new = [x for x in checkpoints.steps(run.checkpoints) if x not in done]
            if new:
                self._evaluate(min(new))
            elif finished:
                break
            else:
                time.sleep(_POLL_SECONDS)
        self._finish()

    def close(self) -> None:
        """Ends the record, and lets others follow the run."""
        self._lines.close()
        self._board.close()
        self._held.close()

    def _evaluate(self, step: int) -> None:
        try:
            self._run.checkpointer.restore(step)
        except MismatchError:
            raise
        except ValueError as error:
            self._failures[step] += 1
            time.sleep(_POLL_SECONDS)  # one that is being deleted goes file by file
            if step not in checkpoints.steps(self._run.checkpointer.directory):
                logging.warning("Update %d: deleted before it could be read.", step)
                self._lost.add(step)
            elif self._failures[step] == _TRIES:
                logging.error("CHECKPOINT OF UPDATE %d SKIPPED: %s", step, error)
                self._lost.add(step)
            return
        evaluation = self._evaluator(self._run.stage, step)
        section = self._evaluator.section(evaluation)
        section |= {"step": step, "asked": self._asked}
        results_lib.write_json(self._directory / _LATEST, section)
        self._board.scalars(step, SPLIT, evaluation.scalars)
        headline = next(iter(evaluation.rollouts.values()))
        if headline.videos:
            file = self._directory / f"step-{step}.gif"
            video.write_gif(file, headline.videos)
            self._board.gif(step, SPLIT, "episodes", file.read_bytes())
        self._board.flush()
        # Comes last: what has a line is never evaluated again.
        count = {"episodes": section["episodes"]}
        self._lines.scalars(step, SPLIT, {**evaluation.scalars, **count})
        self._lines.flush()

    def _finish(self) -> None:
        """Adds the last evaluation to the results, once the trainer lets go of them."""
        path = self._directory / _LATEST
        if not path.exists():
            return
        while workdir_lib.is_in_use(self._workdir):
            time.sleep(_POLL_SECONDS)
        add_rollouts(self._workdir, results_lib.read_json(path))
        logging.info("The run has finished; the last evaluation is in its results.")


def _last_own(workdir: pathlib.Path) -> int:
    """The last step at which training itself rolled out, 0 for none."""
    path = workdir / plots.METRICS
    curves = plots.read_metrics(path, SPLIT) if path.exists() else {}
    return max((step for steps, _ in curves.values() for step in steps), default=0)


def add_rollouts(workdir: pathlib.Path, section: results_lib.Results) -> None:
    """Puts the `rollouts` section into a run's results, where it has some."""
    with workdir_lib.Workdir(workdir) as directory:
        if not directory.results.exists():
            logging.warning("The run has no results.json yet; nothing is added to it.")
            return
        results = results_lib.read_results(directory.results)
        changed = results_lib.with_rollouts(results, section)
        results_lib.write_results(directory.results, changed)
