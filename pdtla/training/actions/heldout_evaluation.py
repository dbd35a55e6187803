"""`HeldoutEvaluation`, losses and pictures on held-out data."""

import tensorflow as tf
from absl import logging

from pdtla import stage as stage_lib
from pdtla.training import metrics_log, trainer
from pdtla.training.actions import action


class HeldoutEvaluation(action.Action):
    """Evaluates the stage on held-out batches, on one device.

    Args:
      interval: updates between evaluations.
      stage: the stage, called with `training=False`.
      batches: finite dataset of held-out batches.
      log: receives the scalars, and the stage's pictures of the first batch.

    Attributes:
      latest: the scalars of the last evaluation.
    """

    def __init__(
        self,
        interval: int,
        *,
        stage: stage_lib.Stage,
        batches: tf.data.Dataset,
        log: metrics_log.MetricsLog,
    ):
        super().__init__(interval)
        self.latest: dict[str, float] = {}
        self._stage = stage
        self._batches = batches
        self._log = log
        self._scalars = tf.function(self._batch_scalars)

    def run(self, step: int) -> None:
        sums: dict[str, float] = {}
        examples = 0
        for index, batch in enumerate(self._batches):
            if index == 0:
                self._log.images(step, "heldout", self._stage.images(batch))
            size = int(tf.shape(tf.nest.flatten(batch)[0])[0])
            for name, value in self._scalars(batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * size
            examples += size
        if not examples:
            raise ValueError("There are no held-out batches to evaluate on.")
        self.latest = {name: total / examples for name, total in sums.items()}
        self._log.scalars(step, "heldout", self.latest)
        logging.info("Step %d: held-out loss %.4g.", step, self.latest[trainer.LOSS])

    def _batch_scalars(self, batch):
        losses, metrics = self._stage(batch, training=False)
        return trainer.scalars_of(losses, metrics)
