"""Which code is running."""

import subprocess

from pdtla.training import configs


def commit() -> str:
    """The commit of this repository, with `-dirty` where files differ; "" if none."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=configs.REPOSITORY
        )
    except OSError:  # there is no git
        return ""
    return done.stdout.strip()
