"""`Headline`, the numbers by which runs are compared."""

from pdtla.training import metrics_log, trainer
from pdtla.training.actions import action, heldout_evaluation, rollout_evaluation

HELDOUT_LOSS = "heldout_loss"
RETURN_MEAN = "return_mean"
SUCCESS_RATE = "success_rate"
NAMES = (HELDOUT_LOSS, RETURN_MEAN, SUCCESS_RATE)


class Headline(action.Action):
    """Picks the headline numbers out of the evaluations that were just made.

    Args:
      interval: updates between evaluations.
      log: receives the numbers that there are.
      heldout: gives the held-out loss, where there is one.
      rollouts: gives return and success rate of the first way of acting, where there
        are any.
    """

    def __init__(
        self,
        interval: int,
        *,
        log: metrics_log.MetricsLog,
        heldout: heldout_evaluation.HeldoutEvaluation | None,
        rollouts: rollout_evaluation.RolloutEvaluation | None,
    ):
        super().__init__(interval)
        self._log = log
        self._heldout = heldout
        self._rollouts = rollouts

    def run(self, step: int) -> None:
        heldout = self._heldout.latest if self._heldout else {}
        rollouts = self._rollouts.latest if self._rollouts else {}
        values = {
            HELDOUT_LOSS: heldout.get(trainer.LOSS),
            RETURN_MEAN: rollouts.get("mean"),
            SUCCESS_RATE: rollouts.get("success_rate"),
        }
        found = {name: value for name, value in values.items() if value is not None}
        self._log.headline(step, found)
