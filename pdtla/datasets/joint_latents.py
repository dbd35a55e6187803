"""`JointLatents`, the latents of joint datasets."""

import hashlib

import numpy as np

from pdtla import specs
from pdtla.datasets import joint_reader, latent_store, rlds_reader


class JointLatents:
    """The latents of one name beside each of several datasets, read as one.

    Args:
      source: the datasets.
      name: name of the sets.

    Raises:
      ValueError: fields of the sets differ.
    """

    def __init__(self, source: joint_reader.JointReader, name: str):
        self._stores = [
            latent_store.LatentStore(reader, name) for reader in source.readers
        ]
        self.directory = self._stores[0].directory
        found = [store.element_spec for store in self._stores]
        if any(each != found[0] for each in found):
            raise ValueError(f"Latents {name!r} of joint datasets differ: {found}.")

    @property
    def element_spec(self) -> dict[str, specs.ArraySpec]:
        """The spec of one step of every field."""
        return self._stores[0].element_spec

    @property
    def fingerprint(self) -> str:
        """Hex digest of all sets."""
        text = " ".join(store.fingerprint for store in self._stores)
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self) -> dict[str, np.ndarray]:
        """All fields, `[N, ...]`, in memory."""
        sets = [store.read() for store in self._stores]
        return {
            field: np.concatenate([each[field] for each in sets])
            for field in self.element_spec
        }


def open_latents(
    source: rlds_reader.RldsReader | joint_reader.JointReader, name: str
) -> latent_store.LatentStore | JointLatents:
    """The latents of a name beside a dataset, or beside each of joint ones."""
    if isinstance(source, joint_reader.JointReader):
        return JointLatents(source, name)
    return latent_store.LatentStore(source, name)
