"""`relabel`: writes the latents of every transition beside the dataset."""

import tensorflow as tf
from tqdm import auto as tqdm

from pdtla import specs
from pdtla.datasets.latent_store import LatentStore
from pdtla.datasets.rlds_reader import RldsReader
from pdtla.datasets.window_dataset import WindowDataset
from pdtla.latent_actions.labeller import Labeller


def relabel(
    *,
    source: RldsReader,
    labeller: Labeller,
    name: str,
    batch_size: int = 512,
    progress_bar: bool | None = None,
) -> LatentStore:
    """Labels all transitions of a dataset, in stored order.

    An interrupted call goes on where it stopped. A complete set made by the same model
    from the same data is left alone; any other of this name is replaced when the new
    one is complete.

    Args:
      source: the dataset, which stays as it is.
      labeller: what infers the labels.
      name: name of the set of latents.
      batch_size: windows in one forward pass.
      progress_bar: show one; None for on a terminal only.

    Returns:
      The latents.

    Raises:
      ValueError: a batch size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    store = LatentStore(source, name)
    if store.exists and _is_current(store, labeller):
        return store
    windows = WindowDataset(
        source=source,
        window="n_step",
        context_len=labeller.num_frames - 1 - labeller.future,
        k_step_preds=labeller.future,
        pad_end=True,  # near its end, a model that looks ahead sees the last frame
        fields=(specs.OBSERVATION,),
        train_frac=1.0,
    )
    writer = store.writer(labeller.fields, labeller.fingerprint)
    progress = tqdm.tqdm(
        total=writer.num_transitions,
        initial=writer.position,
        unit=" transitions",
        desc=f"relabel {name}",
        disable=None if progress_bar is None else not progress_bar,
    )
    with progress:
        for batch in windows.ordered_batches(batch_size, writer.position):
            labels = labeller.label(batch[specs.OBSERVATION])
            writer.write({field: value.numpy() for field, value in labels.items()})
            progress.update(int(tf.shape(batch[specs.OBSERVATION])[0]))
    writer.close()
    return store


def _is_current(store: LatentStore, labeller: Labeller) -> bool:
    try:
        return store.manifest["model_fingerprint"] == labeller.fingerprint
    except ValueError:  # latents of another dataset
        return False
