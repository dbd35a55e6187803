"""Which variables a checkpoint holds, and whether they are those of a model."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

_SHOWN = 3
_KEY = "{group}/{index}/.ATTRIBUTES/VARIABLE_VALUE"
_NAMES = "names/.ATTRIBUTES/py_state"


class MismatchError(ValueError):
    """A checkpoint is whole, but of another model; the message is one line."""


class Named(NamedTuple):
    """A variable of a checkpoint or of a model.

    Attributes:
      name: its path in the model, None where a checkpoint does not tell.
      shape: its shape.
    """

    name: str | None
    shape: tuple[int, ...]


class VariableNames(tf.train.experimental.PythonState):
    """Names of the variables, kept in a checkpoint for those who read it.

    Args:
      groups: the variables in the order in which they are saved, by group.
    """

    def __init__(self, groups: dict[str, Sequence[keras.Variable]]):
        self._names = {
            group: [variable.path for variable in variables]
            for group, variables in groups.items()
        }

    def serialize(self) -> str:
        return json.dumps(self._names)

    def deserialize(self, string_value: str) -> None:
        """Does nothing: the model has its names."""


def has_names(path: str) -> bool:
    """Whether a checkpoint tells the names of its variables; older ones do not."""
    return tf.train.load_checkpoint(path).has_tensor(_NAMES)


def check_fit(path: str, groups: dict[str, Sequence[keras.Variable]]) -> None:
    """Holds a checkpoint to the variables that it is to be restored to.

    Names may differ in the numbers that Keras counts layers with.

    Args:
      path: the checkpoint.
      groups: the variables in the order in which they are saved, by group.

    Raises:
      MismatchError: a variable is missing, is one too many, or has another name or
        shape.
      OpError: the checkpoint cannot be read.
    """
    saved = _read(path, groups)
    for group, variables in groups.items():
        here = [Named(each.path, tuple(each.shape)) for each in variables]
        found = list(_differences(saved[group], here))
        if found:
            more = len(found) - _SHOWN
            raise MismatchError(
                f"{path} is a checkpoint of another model than this code and "
                f"configuration build: {'; '.join(found[:_SHOWN])}"
                + (f"; {more} more differ" if more > 0 else "")
                + ". Go back to the code and configuration that wrote it, or train "
                "anew in another workdir."
            )


def _read(path: str, groups: Iterable[str]) -> dict[str, list[Named]]:
    reader = tf.train.load_checkpoint(path)
    shapes = reader.get_variable_to_shape_map()
    names = json.loads(reader.get_tensor(_NAMES)) if _NAMES in shapes else {}
    saved = {}
    for group in groups:
        saved[group], of_group = [], names.get(group, [])
        while (key := _KEY.format(group=group, index=len(saved[group]))) in shapes:
            index = len(saved[group])
            name = of_group[index] if index < len(of_group) else None
            saved[group].append(Named(name, tuple(shapes[key])))
    return saved


def _differences(there: list[Named], here: list[Named]) -> Iterable[str]:
    """What is different, in the order of the variables."""
    if there and there[0].name is None:  # told by their places alone
        there = [
            Named(here[i].name if i < len(here) else f"variable {i}", each.shape)
            for i, each in enumerate(there)
        ]
    matcher = difflib.SequenceMatcher(
        None, *([_plain(each.name) for each in side] for side in (there, here)), False
    )
    for _, i, i_end, j, j_end in matcher.get_opcodes():
        if i_end - i == j_end - j:  # the same ones, or others in their place
            for a, b in zip(there[i:i_end], here[j:j_end], strict=True):
                if _plain(a.name) != _plain(b.name):
                    yield f"{_told(a)} there is {_told(b)} here"
                elif a.shape != b.shape:
                    yield f"{b.name} is {list(a.shape)} there, {list(b.shape)} here"
            continue
        yield from (f"{_told(each)} is not here" for each in there[i:i_end])
        yield from (f"{_told(each)} is not there" for each in here[j:j_end])


def _plain(name: str) -> str:
    """A name without the numbers that depend on what else a process has made."""
    return re.sub(r"_\d+(?=[/_]|$)", "", name)


def _told(variable: Named) -> str:
    return f"{variable.name} {list(variable.shape)}"
