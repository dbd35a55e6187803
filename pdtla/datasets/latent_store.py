"""`LatentStore`, the latent actions of a dataset, kept beside it under a name."""

import hashlib
import json
import re
from collections.abc import Mapping

import numpy as np

from pdtla import specs
from pdtla.datasets import latent_writer, rlds_reader

FIELDS = (specs.LATENT_ACTION, specs.LATENT_CODE, specs.ACTION)


class LatentStore:
    """Latents of every transition of a dataset, aligned step by step with it.

    A model's run writes one set of latents; several sets lie side by side. On disk a
    set is one .npy a field with a row for every step of the dataset, and a manifest
    with the fingerprints of the dataset and of the model, the episodes and their
    lengths. The last step of an episode has no successor, hence no latent: its row is 0
    (-1 for codes and discrete actions).

    Args:
      source: the dataset.
      name: name of the set.

    Raises:
      ValueError: a name that is no plain file name.
    """

    def __init__(self, source: rlds_reader.RldsReader, name: str):
        if not re.fullmatch(r"[\w.-]*\w[\w.-]*", name):
            raise ValueError(
                f"Latents are named with letters, digits and . _ -, got {name!r}."
            )
        self._source = source
        self.name = name
        self.directory = source.directory / "latents" / name / source.split

    @property
    def exists(self) -> bool:
        """Whether the set is complete."""
        return (self.directory / latent_writer.MANIFEST).exists()

    @property
    def manifest(self) -> dict:
        """What the set holds and what it was made from.

        Raises:
          FileNotFoundError: there is no complete set of this name.
          ValueError: the set is of another dataset.
        """
        if not self.exists:
            there = sorted(
                path.parent.parent.name
                for path in self._source.directory.glob(
                    f"latents/*/{self._source.split}/{latent_writer.MANIFEST}"
                )
            )
            raise FileNotFoundError(
                f"There are no latents {self.name!r} beside {self._source.directory} "
                f"({self._source.split}); there are {there}."
            )
        manifest = json.loads((self.directory / latent_writer.MANIFEST).read_text())
        self._check_source(manifest)
        return manifest

    @property
    def fingerprint(self) -> str:
        """Hex digest of the manifest."""
        text = json.dumps(self.manifest, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def element_spec(self) -> dict[str, specs.ArraySpec]:
        """The spec of one step of every field."""
        return {
            field: specs.ArraySpec(
                tuple(spec["shape"]),
                spec["dtype"],
                num_values=spec["num_values"],
                made_by=spec.get("made_by"),  # older sets do not tell
            )
            for field, spec in self.manifest["fields"].items()
        }

    def read(self) -> dict[str, np.ndarray]:
        """Maps all fields, `[N, ...]`, N steps of the dataset.

        Raises:
          OSError: a damaged file, by its name.
        """
        arrays = {}
        for field, spec in self.element_spec.items():
            path = self.directory / f"{field}.npy"
            shape = (self._source.num_steps, *spec.shape)
            try:
                array = np.load(path, mmap_mode="r")
            except (OSError, ValueError) as error:
                raise OSError(f"{path} is damaged: {error}") from None
            if array.shape != shape or array.dtype != spec.dtype:
                raise OSError(
                    f"{path} should hold {spec.dtype} {shape}, "
                    f"it holds {array.dtype} {array.shape}."
                )
            arrays[field] = array
        return arrays

    def writer(
        self, fields: Mapping[str, specs.ArraySpec], model_fingerprint: str
    ) -> latent_writer.LatentWriter:
        """Begins the set, or goes on with one that was interrupted.

        Args:
          fields: spec of one step of each field, some of `FIELDS`.
          model_fingerprint: identifies the model that makes them.

        Raises:
          ValueError: a field that latents cannot have.
        """
        unknown = sorted(set(fields) - set(FIELDS))
        if unknown or not fields:
            raise ValueError(f"Latents have the fields {FIELDS}, got {sorted(fields)}.")
        manifest = {
            "name": self.name,
            "source_fingerprint": self._source.fingerprint,
            "model_fingerprint": model_fingerprint,
            "fields": {
                field: {
                    "shape": list(spec.shape),
                    "dtype": spec.dtype,
                    "num_values": spec.num_values,
                    "made_by": spec.made_by,
                }
                for field, spec in fields.items()
            },
            "episode_ids": list(self._source.episode_ids),
            "lengths": self._source.lengths.tolist(),
        }
        return latent_writer.LatentWriter(self.directory, manifest, self._source)

    def _check_source(self, manifest: dict) -> None:
        theirs, ours = manifest["source_fingerprint"], self._source.fingerprint
        if theirs != ours:
            raise ValueError(
                f"Latents {self.name!r} were made for dataset fingerprint "
                f"{theirs[:16]} but this dataset is {ours[:16]}."
            )
        if manifest["lengths"] != self._source.lengths.tolist():
            raise ValueError(
                f"Latents {self.name!r} cover {sum(manifest['lengths'])} steps, this "
                f"dataset has {self._source.num_steps}, or in other episodes."
            )
