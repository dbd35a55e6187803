"""`WithLabelled`, unlabelled batches that carry a batch of labelled ones."""

import hashlib

import tensorflow as tf

from pdtla import specs
from pdtla.datasets import window_dataset

_SEED_OFFSET = 7919  # another order than that of the unlabelled windows


class WithLabelled:
    """Adds to every batch the field `labelled`: a batch of few labelled transitions.

    The two parts are shuffled independently, and the labelled one starts over as often
    as needed, so it may be smaller than its batch.

    Args:
      unlabelled: the windows of the batch itself.
      labelled: the windows under `labelled`.
      labelled_batch_size: number of those in a batch.

    Attributes:
      element_spec: the spec of a batch without its batch axes.
      fingerprint: hex digest of everything that determines the batches.
      unlabelled: the windows of the batch itself.
      source: the reader of the unlabelled windows.
      num_train_windows: unlabelled windows of one pass.

    Raises:
      ValueError: a batch size below 1.
    """

    def __init__(
        self,
        *,
        unlabelled: window_dataset.WindowDataset,
        labelled: window_dataset.WindowDataset,
        labelled_batch_size: int,
    ):
        if labelled_batch_size < 1:
            raise ValueError(
                f"labelled_batch_size must be at least 1, got {labelled_batch_size}."
            )
        self.unlabelled = unlabelled
        self._labelled = labelled
        self._labelled_batch_size = labelled_batch_size
        self.source = unlabelled.source
        self.num_train_windows = unlabelled.num_train_windows
        self.element_spec = {
            **unlabelled.element_spec,
            specs.LABELLED: labelled.element_spec,
        }
        parts = (unlabelled.fingerprint, labelled.fingerprint, labelled_batch_size)
        self.fingerprint = hashlib.sha256(repr(parts).encode()).hexdigest()

    def train_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Batches without end, or a part of each; a function of `seed` and the step."""
        labelled = self._labelled.train_batches(
            self._labelled_batch_size, seed + _SEED_OFFSET, start_step, part
        )
        return _nest(
            self.unlabelled.train_batches(batch_size, seed, start_step, part), labelled
        )

    def heldout_batches(self, batch_size: int) -> tf.data.Dataset:
        """One pass over held-out unlabelled windows, with held-out labelled ones."""
        labelled = self._labelled.heldout_batches(self._labelled_batch_size)
        return _nest(self.unlabelled.heldout_batches(batch_size), labelled.repeat())


def _nest(unlabelled: tf.data.Dataset, labelled: tf.data.Dataset) -> tf.data.Dataset:
    return tf.data.Dataset.zip((unlabelled, labelled)).map(
        lambda batch, extra: {**batch, specs.LABELLED: extra}
    )
