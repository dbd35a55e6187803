"""`ResultsWriting`, which leaves `results.json` behind."""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

from pdtla.analysis import results as results_lib
from pdtla.training import checkpoints
from pdtla.training.actions import action, heldout_evaluation, rollout_evaluation


class ResultsWriting(action.Action):
    """Writes the results after the last update.

    Args:
      path: the file.
      facts: fields known from the start.
      num_frames: frames that one update takes in.
      checkpointer: knows the seconds of training.
      heldout: gives the held-out scalars, where there are any; those that are not
        finite are left out.
      rollouts: gives the rollouts, where there are any.
    """

    def __init__(
        self,
        path: pathlib.Path,
        *,
        facts: Mapping[str, Any],
        num_frames: int,
        checkpointer: checkpoints.Checkpointer,
        heldout: heldout_evaluation.HeldoutEvaluation | None,
        rollouts: rollout_evaluation.RolloutEvaluation | None,
    ):
        super().__init__()
        self._path = path
        self._facts = facts
        self._num_frames = num_frames
        self._checkpointer = checkpointer
        self._heldout = heldout
        self._rollouts = rollouts

    def run(self, step: int) -> None:
        seconds = self._checkpointer.elapsed()
        heldout = self._heldout.latest if self._heldout else {}
        results = {
            **self._facts,
            "step": step,
            "heldout": {
                name: value for name, value in heldout.items() if math.isfinite(value)
            },
            "wall_seconds": seconds,
            "frames_per_second": self._num_frames * step / seconds,
        }
        if self._rollouts is not None:
            results["rollouts"] = self._rollouts.latest
        results_lib.write_results(self._path, results)
