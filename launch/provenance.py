"""Which command and which version of the code made a result."""

import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from launch import chain as chain_lib
from launch import commit

_PLACES = re.compile("--(data_dir|output)=")


def command(program: str) -> str:
    """The command line that called a program of `launch`.

    Where its files lay is left out: that is of one machine, and changes no result.
    """
    arguments = [each for each in sys.argv[1:] if not _PLACES.match(each)]
    return shlex.join(["python", "-m", f"launch.{program}", *arguments])


def of(
    chain: chain_lib.Chain, program: str, seeds: Sequence[int | str]
) -> dict[str, Any]:
    """What a summary says about how it was made.

    Args:
      chain: ran the stages.
      program: of `launch`, which also names the kind of the summary.
      seeds: of the training.

    Returns:
      `kind`, `command`, `preset`, `seeds`, `commit` and `wall_seconds` of all steps
      together, the times of skipped ones included.
    """
    return {
        "kind": program,
        "command": command(program),
        "preset": chain.preset,
        "seeds": [int(seed) for seed in seeds],
        "commit": commit.commit(),
        "wall_seconds": sum(chain.wall_seconds.values()),
    }
