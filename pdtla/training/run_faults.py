"""What the machine does to a run, told in one line."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator

import tensorflow as tf

from pdtla.training.config_error import RunError, one_line

_FULL = (errno.ENOSPC, errno.EDQUOT)
_GOES_ON = "the last checkpoint is kept, and the same command goes on"


@contextlib.contextmanager
def explained(path: os.PathLike, check_data: Callable[[], None]) -> Iterator[None]:
    """Turns errors of disks and of stored data into `RunError`s.

    Args:
      path: the workdir, for the message.
      check_data: reads the stored data; raises an `OSError` that names what is damaged.

    Raises:
      RunError: the disk is full, or the data are damaged.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if is_full(error):
            raise RunError(
                f"No space is left for {path}: make some; {_GOES_ON}. "
                f"({one_line(error)[:200]})"
            ) from error
        if isinstance(error, tf.errors.DataLossError | tf.errors.InvalidArgumentError):
            try:
                check_data()
            except OSError as damage:
                raise RunError(f"{damage} Mend it; {_GOES_ON}.") from error
        raise


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or what one may use of it, is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    text = str(error)
    return any(os.strerror(number) in text for number in _FULL)
