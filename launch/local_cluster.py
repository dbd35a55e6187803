r"""Runs a command as several workers on this machine, on loopback.

    python -m launch.local_cluster --workers=2 -- \
        python -m launch.train --strategy=multi_worker --workdir=runs/lam ...

Every line of output begins with the worker that wrote it. Signals are passed on. When a
worker fails the others are ended too, since they cannot go on; the exit status is that
of the first that failed, else 75 where a worker stopped to be started again, else 0.
"""

import os
import sys

from absl import app, flags

from launch import worker_group

_WORKERS = flags.DEFINE_integer("workers", 2, "Processes to start.", lower_bound=1)


def main(argv: list[str]) -> int:
    if len(argv) < 2:
        raise app.UsageError("Give the command of a worker after --.")
    group = worker_group.WorkerGroup(argv[1:], _WORKERS.value, dict(os.environ))
    return group.run(sys.stdout)


if __name__ == "__main__":
    app.run(main)
