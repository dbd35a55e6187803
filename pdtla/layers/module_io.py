"""Saves a trained layer in a directory of its own, and loads it again."""

import contextlib
import hashlib
import importlib
import json
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO

import keras
import numpy as np

_VERSION = 1
_MANIFEST = "module.json"


class ModuleError(ValueError):
    """A saved module is missing, damaged or of another version."""


def save_module(
    layer: keras.layers.Layer,
    directory: str | os.PathLike,
    metadata: dict | None = None,
) -> None:
    """Writes a built layer: its configuration, shapes and weights.

    The manifest is replaced last and in one step, so that a reader or a killed writer
    finds either the module that was there or the new one, whole.

    Args:
      layer: a built, registered Keras layer.
      directory: where to; made if it is not there, overwritten if it is.
      metadata: anything JSON, read back with `read_metadata`.

    Raises:
      ValueError: the layer is not built.
    """
    if not layer.built:
        raise ValueError(f"Only a built layer can be saved; {layer.name!r} is not.")
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for index, variable in enumerate(layer.variables):
        arrays[f"{index:04d}"] = _storable(keras.ops.convert_to_numpy(variable))
    weights, digest = _write_arrays(directory, arrays)
    manifest = {
        "version": _VERSION,
        "module": type(layer).__module__,
        "layer": keras.saving.serialize_keras_object(layer),
        "weights": weights,
        "sha256": digest,
        "variables": [[v.path, list(v.shape)] for v in layer.variables],
        "metadata": metadata or {},
    }
    text = json.dumps(manifest, indent=2, sort_keys=True)
    _replace(directory / _MANIFEST, text.encode())
    for stale in directory.glob("weights-*.npz"):
        if stale.name != weights:
            stale.unlink(missing_ok=True)


def load_module(directory: str | os.PathLike) -> keras.layers.Layer:
    """Rebuilds a saved layer with its weights and its dtype policy.

    Variables are created in the strategy scope the caller is in.

    Raises:
      ModuleError: no module there, a damaged one, or one of another version.
    """
    directory = pathlib.Path(directory)
    manifest = _read_manifest(directory)
    arrays = _read_arrays(directory / manifest["weights"], manifest["sha256"])
    try:
        for module in {manifest["module"], *_modules_in(manifest["layer"])}:
            importlib.import_module(module)  # registers its classes
        layer = keras.saving.deserialize_keras_object(
            _unbuilt_inside(manifest["layer"])
        )
    except (ImportError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModuleError(
            f"The module in {directory} cannot be rebuilt: {reason}"
        ) from error
    saved = [tuple(array.shape) for array in arrays]
    built = [tuple(variable.shape) for variable in layer.variables]
    if saved != built:
        raise ModuleError(
            f"The weights in {directory} have {len(saved)} arrays that do not fit the "
            f"{len(built)} variables of {type(layer).__name__}."
        )
    for variable, array in zip(layer.variables, arrays, strict=True):
        variable.assign(array)
    return layer


def read_metadata(directory: str | os.PathLike) -> dict:
    """The metadata a module was saved with.

    Raises:
      ModuleError: no module there, a damaged one, or one of another version.
    """
    return _read_manifest(pathlib.Path(directory))["metadata"]


def read_digest(directory: str | os.PathLike) -> str:
    """Hex digest of a saved module's weights, equal for equal weights.

    Raises:
      ModuleError: no module there, a damaged one, or one of another version.
    """
    return _read_manifest(pathlib.Path(directory))["sha256"]


def _modules_in(config: object) -> Iterator[str]:
    """Names of the Python modules of all layers within a serialised layer."""
    if isinstance(config, dict):
        # Keras finds its own classes by itself.
        if config.get("registered_name") and config.get("module"):
            yield config["module"]
        for value in config.values():
            yield from _modules_in(value)
    elif isinstance(config, list):
        for value in config:
            yield from _modules_in(value)


def _read_manifest(directory: pathlib.Path) -> dict:
    path = directory / _MANIFEST
    if not path.is_file():
        raise ModuleError(f"There is no saved module in {directory}: no {_MANIFEST}.")
    try:
        manifest = json.loads(path.read_text())
        version = manifest["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModuleError(f"The saved module is damaged: {path}.") from error
    if version != _VERSION:
        raise ModuleError(
            f"The module in {directory} has format version {version}; "
            f"this code reads version {_VERSION}."
        )
    return manifest


def _unbuilt_inside(layer: dict) -> dict:
    """Drops the shapes of nested layers, which the outer layer builds."""

    def strip(value):
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k != "build_config"}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return layer | {"config": strip(layer["config"])}


def _write_arrays(directory: pathlib.Path, arrays: dict) -> tuple[str, str]:
    """Stores arrays under a name of their own; returns the name and their digest."""
    with _temporary_file(directory) as file:
        np.savez(file, **arrays)
        file.flush()
        digest = hashlib.sha256(pathlib.Path(file.name).read_bytes()).hexdigest()
        name = f"weights-{digest[:16]}.npz"
        os.fsync(file.fileno())
        os.replace(file.name, directory / name)
    return name, digest


def _read_arrays(path: pathlib.Path, digest: str) -> list[np.ndarray]:
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise ModuleError(f"The weights of a saved module are damaged: {path}.")
        with np.load(path) as file:
            return [file[name] for name in sorted(file.files)]
    except (OSError, zipfile.BadZipFile) as error:
        raise ModuleError(
            f"The weights of a saved module are missing or damaged: {path}."
        ) from error


def _replace(path: pathlib.Path, data: bytes) -> None:
    with _temporary_file(path.parent) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        os.replace(file.name, path)


@contextlib.contextmanager
def _temporary_file(directory: pathlib.Path) -> Iterator[IO[bytes]]:
    """A file that goes away unless it is given another name."""
    with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:
        try:
            yield file
        finally:
            pathlib.Path(file.name).unlink(missing_ok=True)


def _storable(array: np.ndarray) -> np.ndarray:
    # NumPy files cannot hold bfloat16; float32 holds each of its values.
    return array.astype("float32") if array.dtype.name == "bfloat16" else array
