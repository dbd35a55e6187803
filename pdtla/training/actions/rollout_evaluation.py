"""`RolloutEvaluation`, returns and videos from the simulator."""

import pathlib
from collections.abc import Mapping
from typing import Any, Protocol

from pdtla import stage as stage_lib
from pdtla.rollouts import video
from pdtla.training import metrics_log
from pdtla.training.actions import action


class RolloutEvaluator(Protocol):
    """What the `EVALUATOR` slot makes, see `pdtla.rollouts.evaluator.Evaluator`."""

    def check_data(self, metadata: Mapping[str, Any]) -> None:
        """Raises a `ValueError` if it plays elsewhere than the data was recorded."""

    def __call__(self, policy: stage_lib.Stage, step: int) -> Any:
        """Rolls the stage out; the result has `scalars` and `rollouts`."""

    def section(self, evaluation: Any) -> dict[str, Any]:
        """The `rollouts` section of `results.json`."""


class RolloutEvaluation(action.Action):
    """Rolls the stage's policy out.

    Args:
      interval: updates between evaluations.
      evaluator: knows environment, levels and number of episodes.
      stage: a stage with a policy.
      log: receives the scalars and a video.
      directory: the recorded episodes go to `directory/step-<step>.gif`.

    Attributes:
      latest: the `rollouts` section of `results.json` for the last evaluation.
    """

    def __init__(
        self,
        interval: int,
        *,
        evaluator: RolloutEvaluator,
        stage: stage_lib.Stage,
        log: metrics_log.MetricsLog,
        directory: pathlib.Path,
    ):
        super().__init__(interval)
        self.latest: dict[str, Any] = {}
        self._evaluator = evaluator
        self._stage = stage
        self._log = log
        self._directory = directory

    def run(self, step: int) -> None:
        evaluation = self._evaluator(self._stage, step)
        self.latest = self._evaluator.section(evaluation)
        self._log.scalars(step, "rollouts", evaluation.scalars)
        headline = next(iter(evaluation.rollouts.values()))
        if headline.videos:
            self._directory.mkdir(exist_ok=True)
            file = self._directory / f"step-{step}.gif"
            video.write_gif(file, headline.videos)
            self._log.gif(step, "rollouts", "episodes", file.read_bytes())
