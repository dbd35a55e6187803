"""`LabelledBatches`, what a labeller infers about the transitions of a dataset."""

from collections.abc import Iterator

import numpy as np

from pdtla import specs
from pdtla.datasets.rlds_reader import RldsReader
from pdtla.datasets.window_dataset import WindowDataset
from pdtla.latent_actions.labeller import Labeller


class LabelledBatches:
    """Labels windows in stored order, the same ones in one forward pass wherever it is.

    It pickles as what it was made of: another process opens the dataset and loads the
    modules anew.

    Args:
      source: the dataset.
      labeller: what infers the labels.
      batch_size: windows in one forward pass.

    Raises:
      ValueError: a batch size below 1.
    """

    def __init__(self, source: RldsReader, labeller: Labeller, batch_size: int):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        self._labeller = labeller
        self._batch_size = batch_size
        self._arguments = (source, labeller, batch_size)
        self._windows = WindowDataset(
            source=source,
            window="n_step",
            context_len=labeller.num_frames - 1 - labeller.future,
            k_step_preds=labeller.future,
            pad_end=True,  # near its end, a model that looks ahead sees the last frame
            fields=(specs.OBSERVATION,),
            train_frac=1.0,
        )

    def __reduce__(self) -> tuple:
        return LabelledBatches, self._arguments

    def __call__(
        self, start: int, stop: int | None = None
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yields the labels of batches, `[n, ...]` for each field.

        Args:
          start: transition to begin with.
          stop: transition to end before, whole batches after `start`; None for the end.
        """
        batches = self._windows.ordered_batches(self._batch_size, start)
        if stop is not None:
            batches = batches.take(-(-(stop - start) // self._batch_size))
        for batch in batches:
            labels = self._labeller.label(batch[specs.OBSERVATION])
            yield {field: value.numpy() for field, value in labels.items()}
