"""`TrainScalars`, which reports the progress of training."""

import json
import pathlib
import sys
import time

from absl import logging
from tqdm import tqdm

from pdtla.analysis import files
from pdtla.training import metrics_log
from pdtla.training import trainer as trainer_lib
from pdtla.training.actions import action


class TrainScalars(action.Action):
    """Records means since the last report, and shows speed and time to go.

    On a terminal that is a progress bar, elsewhere a line of the log a report.

    Args:
      intervals: numbers of updates. Checkpoint intervals belong here too: a mean that
        spanned a checkpoint would lose its first part when the run is resumed.
      log: receives the scalars.
      trainer: tells step and learning rate.
      num_updates: number of the last update.
      progress_bar: show a bar; None for only on a terminal.
      kept: file for what a run that stops between two reports has yet to report.
    """

    def __init__(
        self,
        *intervals: int,
        log: metrics_log.MetricsLog,
        trainer: trainer_lib.Trainer,
        num_updates: int,
        progress_bar: bool | None = None,
        kept: pathlib.Path,
    ):
        super().__init__(*intervals)
        self._kept = kept
        self._log = log
        self._trainer = trainer
        self._sums, self._num_steps = self._read_kept()
        self._num_updates = num_updates
        self._clock = time.monotonic()
        if progress_bar is None:
            progress_bar = sys.stderr.isatty()
        self._bar = tqdm(
            total=num_updates,
            initial=trainer.step,
            unit="step",
            smoothing=0.1,
            dynamic_ncols=True,
            disable=not progress_bar,
        )

    def observe(self, scalars: dict[str, float], num_steps: int) -> None:
        for name, value in scalars.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * num_steps
        self._num_steps += num_steps
        self._bar.update(num_steps)

    def stop(self, step: int) -> None:
        kept = {"step": step, "sums": self._sums, "num_steps": self._num_steps}
        files.write_atomically(self._kept, json.dumps(kept).encode())

    def run(self, step: int) -> None:
        if not self._num_steps:
            return
        now = time.monotonic()
        speed = self._num_steps / max(now - self._clock, 1e-9)
        values = {name: total / self._num_steps for name, total in self._sums.items()}
        values["learning_rate"] = self._trainer.learning_rate
        values["steps_per_second"] = speed
        self._log.scalars(step, "train", values)
        self._show(step, values[trainer_lib.LOSS], speed)
        self._sums, self._num_steps, self._clock = {}, 0, now

    def close(self) -> None:
        """Ends the progress bar."""
        self._bar.close()

    def _read_kept(self) -> tuple[dict[str, float], int]:
        """Sums over the updates since the last report, and their number."""
        if self._kept.exists():
            kept = json.loads(self._kept.read_text())
            if kept["step"] == self._trainer.step:
                return kept["sums"], kept["num_steps"]
        return {}, 0

    def _show(self, step: int, loss: float, speed: float) -> None:
        if not self._bar.disable:
            self._bar.set_postfix(loss=f"{loss:.4g}")
            return
        logging.info(
            "Step %d of %d: loss %.4g, %.2f steps/s, %s to go.",
            step,
            self._num_updates,
            loss,
            speed,
            tqdm.format_interval((self._num_updates - step) / speed),
        )
