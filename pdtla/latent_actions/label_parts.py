"""Labels a dataset in parts, which an Apache Beam pipeline makes."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pdtla.datasets import beam_pool, worker_pool
from pdtla.datasets.latent_writer import LatentWriter
from pdtla.datasets.whole_file import whole_file
from pdtla.latent_actions.labelled_batches import LabelledBatches

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_PART_ROWS = 20_000


@dataclasses.dataclass(frozen=True)
class Part:
    """Transitions `start` to `stop` of a dataset, and the file with their labels."""

    start: int
    stop: int
    path: pathlib.Path


def plan_parts(writer: LatentWriter, batch_size: int) -> list[Part]:
    """The parts that are yet to be written, in order, each of whole batches."""
    rows = max(1, _PART_ROWS // batch_size) * batch_size
    ends = range(writer.position, writer.num_transitions, rows)
    bounds = [(start, min(start + rows, writer.num_transitions)) for start in ends]
    return [
        Part(start, stop, writer.parts / f"{start}-{stop}-by-{batch_size}.npz")
        for start, stop in bounds
    ]


def write_part(
    batches: LabelledBatches, part: Part, progress: worker_pool.Progress
) -> None:
    """Labels a part, unless its file is there."""
    if not part.path.exists():
        labels = list(batches(part.start, part.stop))
        part.path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(part.path) as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                **{f: np.concatenate([each[f] for each in labels]) for f in labels[0]},
            )
    progress(part.stop - part.start)


def label_in_parts(
    batches: LabelledBatches,
    parts: list[Part],
    options: "PipelineOptions",
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the labels of the parts, in order, `[n, ...]` for each field.

    Raises:
      RuntimeError: the pipeline failed, or its files are not to be seen from here.
    """
    beam_pool.run_tasks(functools.partial(write_part, batches), parts, options)
    for part in parts:
        if not part.path.exists():
            raise RuntimeError(
                f"The pipeline did not leave {part.path}: its workers must share the "
                "data directory with this process."
            )
        with np.load(part.path) as labels:
            yield dict(labels)
