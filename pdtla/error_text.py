"""What an error says, as a line for a person."""

import re

_OF_TENSORFLOW = re.compile(r"\{\{.*?\}\} ?| ?\[Op:.*|\x1b\[\d+m")
_OF_KERAS = re.compile(r"Exception encountered when calling (.+?)\.?$")
_OF_AUTOGRAPH = re.compile(r"in user code:|File .*, line \d+, in ")


def first_line(error: BaseException) -> str:
    """The first line of a message, less the names of TensorFlow's functions.

    An error from within a Keras layer gives the layer's name and what went wrong there;
    one without a message gives the name of its class.
    """
    lines = [_OF_TENSORFLOW.sub("", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        return type(error).__name__
    if _OF_AUTOGRAPH.match(lines[0]):
        lines = _below_the_stack(lines, type(error).__name__)
    if (layer := _OF_KERAS.search(lines[0])) and len(lines) > 1:
        return f"{layer[1]}: {lines[1]}"
    return lines[0]


def _below_the_stack(lines: list[str], name: str) -> list[str]:
    """What follows the stack that AutoGraph puts in front of a message."""
    starts = [number for number, line in enumerate(lines) if line.startswith(name)]
    if not starts:
        return lines[-1:]
    first = lines[starts[0]].removeprefix(name).lstrip(": *")
    return [first, *lines[starts[0] + 1 :]] if first else lines[starts[0] + 1 :]
