"""`Cluster`, the processes that train one model together."""

import json
import os
from typing import NamedTuple

import tensorflow as tf

from pdtla import replica

_TF_CONFIG = "TF_CONFIG"
_JOBS = ("chief", "worker")
# SLURM says nothing of ports; those of two jobs on a node should not be the same.
_FIRST_PORT, _NUM_PORTS, _PORTS_EACH = 20_000, 40_000, 64


class Cluster(NamedTuple):
    """The processes that train one model together, each on its part of every batch.

    Attributes:
      addresses: `host:port` of each worker; the first one is the chief, which alone
        writes. None of a process on its own.
      index: number of this worker.
    """

    addresses: tuple[str, ...] = ()
    index: int = 0

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self.addresses) or 1

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes checkpoints, logs and results."""
        return self.index == 0

    @property
    def part(self) -> tuple[int, int]:
        """The part of every batch that is this worker's, and the number of parts."""
        return self.index, self.size

    def resolver(self) -> tf.distribute.cluster_resolver.ClusterResolver:
        """What TensorFlow wants to know."""
        return tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(self.addresses)}),
            task_type="worker",
            task_id=self.index,
            rpc_layer="grpc",
            num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        )


def find() -> Cluster:
    """The cluster that the environment describes, in TF_CONFIG or else SLURM's way.

    Raises:
      ValueError: it describes none, or not one of workers alone.
    """
    if os.environ.get(_TF_CONFIG):
        return _from_tf_config(os.environ[_TF_CONFIG])
    if "SLURM_STEP_NODELIST" in os.environ:
        return _from_slurm()
    raise ValueError(
        "multi_worker needs a cluster, in TF_CONFIG or from srun; there is neither. "
        "python -m launch.local_cluster starts one on this machine."
    )


def value_of_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """The value that the chief gives; returns once every worker has called.

    Args:
      strategy: of all workers.
      value: any integer of 64 bits; that of the other workers does not count.
    """

    @tf.function
    def ask(own: tf.Tensor) -> tf.Tensor:
        mine = lambda: tf.where(tf.equal(replica.index(), 0), own, 0)  # noqa: E731
        return strategy.reduce("SUM", strategy.run(mine), axis=None)

    return int(ask(tf.constant(value, tf.int64)))


def _from_tf_config(text: str) -> Cluster:
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        addresses = [address for job in _JOBS for address in jobs.get(job, ())]
        own = jobs[kind][index]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(
            f"TF_CONFIG must give a cluster and a task in it, got {text!r:.200}."
        ) from error
    if set(jobs) - set(_JOBS):
        raise ValueError(
            f"multi_worker needs a cluster of {' and '.join(_JOBS)} alone, TF_CONFIG "
            f"has {sorted(jobs)}."
        )
    return Cluster(tuple(addresses), addresses.index(own))


def _from_slurm() -> Cluster:
    job = int(os.environ.get("SLURM_JOB_ID", 0))
    first_port = _FIRST_PORT + job * _PORTS_EACH % _NUM_PORTS
    try:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=0,  # those of a task are SLURM's to give
            gpus_per_task=0,
        )
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"SLURM's variables describe no cluster: {error}") from error
    # The resolver's own list of addresses has the hosts sorted by name, node10 before
    # node9, and so gives tasks the addresses of other tasks' hosts.
    tasks = resolver._resolve_task_configuration()
    addresses = tuple(
        f"{host}:{first_port + task}"
        for host, count in tasks.items()
        for task in range(count)
    )
    return Cluster(addresses, int(os.environ["SLURM_PROCID"]))
