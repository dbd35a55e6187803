"""Writes functions of tensors as a SavedModel."""

import os

import tensorflow as tf

Tensors = dict[str, tf.Tensor]
# Each takes named tensors and returns named tensors.
Functions = dict[str, tf.types.experimental.ConcreteFunction]


def save_functions(functions: Functions, directory: str | os.PathLike) -> None:
    """Writes functions as the signatures of a SavedModel, with what they read.

    It is loaded with TensorFlow alone: `tf.saved_model.load(directory).signatures`.

    Args:
      functions: by name.
      directory: where to.
    """
    module = tf.Module()
    read = {id(v): v for each in functions.values() for v in each.variables}
    module.variables_read = tuple(read.values())
    tf.saved_model.save(module, os.fspath(directory), signatures=functions)


def describe(functions: Functions) -> dict[str, dict[str, dict[str, list]]]:
    """The tensors that go in and out: `[dtype, shape]`, null for any size."""
    return {
        name: {
            "inputs": _described(function.structured_input_signature[1]),
            "outputs": _described(function.structured_outputs),
        }
        for name, function in functions.items()
    }


def _described(tensors: dict[str, tf.TensorSpec]) -> dict[str, list]:
    return {
        name: [tensor.dtype.name, tensor.shape.as_list()]
        for name, tensor in sorted(tensors.items())
    }
