"""What an error says, as a line for a person."""

import re

_OF_TENSORFLOW = re.compile(r"\{\{.*?\}\} ?| ?\[Op:.*")


def first_line(error: BaseException) -> str:
    """The first line of a message, less the names of TensorFlow's functions.

    An error without a message gives the name of its class.
    """
    line = next(iter(str(error).strip().splitlines()), "")
    return _OF_TENSORFLOW.sub("", line).strip() or type(error).__name__
