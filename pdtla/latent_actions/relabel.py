"""`relabel`: writes the latents of every transition beside the dataset."""

from typing import TYPE_CHECKING

from tqdm import auto as tqdm

from pdtla.datasets.latent_store import LatentStore
from pdtla.datasets.rlds_reader import RldsReader
from pdtla.latent_actions.label_parts import label_in_parts, plan_parts
from pdtla.latent_actions.labelled_batches import LabelledBatches
from pdtla.latent_actions.labeller import Labeller

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


def relabel(
    *,
    source: RldsReader,
    labeller: Labeller,
    name: str,
    batch_size: int = 512,
    progress_bar: bool | None = None,
    beam_options: "PipelineOptions | None" = None,
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
      beam_options: of an Apache Beam pipeline that labels instead of this process, see
        `beam_pool.pipeline_options`; of no effect on the latents.

    Returns:
      The latents.

    Raises:
      ValueError: a batch size below 1.
      RuntimeError: the pipeline failed.
    """
    batches = LabelledBatches(source, labeller, batch_size)
    store = LatentStore(source, name)
    if store.exists and _is_current(store, labeller):
        return store
    writer = store.writer(labeller.fields, labeller.fingerprint)
    if beam_options is None:
        labelled = batches(writer.position)
    else:
        parts = plan_parts(writer, batch_size)
        labelled = label_in_parts(batches, parts, beam_options)
    progress = tqdm.tqdm(
        total=writer.num_transitions,
        initial=writer.position,
        unit=" transitions",
        desc=f"relabel {name}",
        disable=None if progress_bar is None else not progress_bar,
    )
    with progress:
        for labels in labelled:
            writer.write(labels)
            progress.update(len(next(iter(labels.values()))))
    writer.close()
    return store


def _is_current(store: LatentStore, labeller: Labeller) -> bool:
    try:
        return store.manifest["model_fingerprint"] == labeller.fingerprint
    except ValueError:  # latents of another dataset
        return False
