"""`whole_file`, for files that several processes may write at the same time."""

import contextlib
import os
import pathlib
import uuid
from collections.abc import Iterator


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a name to write to; the file gets its own name when it is complete.

    The temporary name is of this call alone, on whichever machine it is made: a bundle
    of work that is tried again, or a process that outlives a killed build, never writes
    into the file of another. What a failure leaves half-written is removed.

    Args:
      path: the file.
    """
    temporary = pathlib.Path(f"{os.fspath(path)}.{uuid.uuid4().hex}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
