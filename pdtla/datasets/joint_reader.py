"""`JointReader`, several datasets of images as one."""

import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from pdtla import specs
from pdtla.datasets import rlds_reader
from pdtla.environments import levels


class JointReader:
    """The episodes of several datasets one after the other, as `RldsReader` has them.

    Levels are numbered through, 2^31 - 1 a dataset, so that none of one dataset is one
    of another. Fields stay in the files of their datasets, which are mapped into
    memory whatever their size, so nothing is streamed.

    Args:
      make_reader: makes the reader of a dataset, called with `config`.
      configs: names of the datasets' configs, for instance games.

    Attributes:
      readers: those of the datasets.
      names: those of their configs.
      streams: whether large fields may be read in a row instead of drawn from.
      parts: int64 `[E]`, number of the dataset that an episode is of.

    Raises:
      ValueError: there are no datasets, or some that have no field alike; or states,
        whose scales differ.
    """

    streams = False

    def __init__(
        self,
        *,
        make_reader: Callable[..., rlds_reader.RldsReader],
        configs: Sequence[str],
    ):
        if not configs:
            raise ValueError(f"configs must name datasets, got {configs}.")
        self.names = tuple(configs)
        self.readers = tuple(make_reader(config=config) for config in configs)
        first = self.readers[0]
        self.directory = first.directory
        self.split = first.split
        self.action_bounds = first.action_bounds
        self.last_step_valid = all(each.last_step_valid for each in self.readers)
        self.lengths = np.concatenate([each.lengths for each in self.readers])
        self.starts = np.cumsum(self.lengths) - self.lengths
        counts = [len(each.lengths) for each in self.readers]
        self.parts = np.repeat(np.arange(len(counts)), counts)
        if not self.element_spec[specs.OBSERVATION].is_image:
            raise ValueError(
                f"Datasets of images can be joined, {self.directory} is of states."
            )

    @property
    def num_steps(self) -> int:
        """Steps of all episodes."""
        return int(self.lengths.sum())

    @property
    def metadata(self) -> dict:
        """What the datasets' builders recorded alike about them."""
        first, *others = (each.metadata for each in self.readers)
        return {
            name: value
            for name, value in first.items()
            if all(other.get(name) == value for other in others)
        }

    @property
    def paths(self) -> list[str]:
        """All fields of the stored steps of the first dataset."""
        return self.readers[0].paths

    @property
    def episode_ids(self) -> tuple[str, ...]:
        """Names of the episodes, each with that of its dataset."""
        return tuple(
            f"{each.directory.parent.name}/{name}"
            for each in self.readers
            for name in each.episode_ids
        )

    @functools.cached_property
    def level_seeds(self) -> np.ndarray | None:
        """int64 `[E]`, or None where a dataset tells no levels."""
        seeds = [each.level_seeds for each in self.readers]
        if any(each is None for each in seeds):
            return None
        return np.concatenate(seeds) + self.parts * levels.ALL_SEEDS

    @functools.cached_property
    def element_spec(self) -> dict[str, specs.ArraySpec]:
        """The spec of one step of the fields that are alike in all datasets."""
        first, *others = (each.element_spec for each in self.readers)
        alike = {
            field: spec
            for field, spec in first.items()
            if all(other.get(field) == spec for other in others)
        }
        if specs.OBSERVATION not in alike:
            raise ValueError(
                "Joint datasets must have observations alike, those of "
                f"{[str(each.directory) for each in self.readers]} differ."
            )
        return alike

    @property
    def fingerprint(self) -> str:
        """Hex digest that changes with the data of any dataset."""
        text = " ".join(each.fingerprint for each in self.readers)
        return hashlib.sha256(text.encode()).hexdigest()

    def array(self, field: str) -> np.ndarray:
        """All steps of a field, `[N, ...]`, in memory: not for images."""
        return np.concatenate(self.arrays(field))

    def arrays(self, field: str) -> tuple[np.ndarray, ...]:
        """All steps of a field, an array a dataset, mapped from disk."""
        return tuple(each.array(field) for each in self.readers)

    def key(self, field: str) -> str:
        """Names what the values of a field are made from, and how."""
        return self.readers[0].key(field)
