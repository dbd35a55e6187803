"""Distribution strategies by name."""

import functools
import logging
import os
from collections.abc import Callable

import tensorflow as tf

from pdtla import error_text
from pdtla.training import cluster as cluster_lib

MULTI_WORKER = "multi_worker"
PARAMETER_SERVER = "parameter_server"


def make_strategy(
    name: str = "one_device", cluster: cluster_lib.Cluster | None = None
) -> tf.distribute.Strategy:
    """Returns a strategy; a process has one of several replicas at most.

    `parameter_server` is refused. Tried with TensorFlow 2.21 and Keras 3.15 on two
    workers and a server: `Trainer.train` fails ("You need to use this dataset in
    ClusterCoordinator.create_per_worker_dataset"). Updates that a ClusterCoordinator
    schedules run, but Keras's optimizers read and write without a lock: six of them
    left the step at 5, 5, 5 and 4, and what a step has seen cannot be told any more.

    Args:
      name: `one_device`, the first GPU or else the CPU; `mirrored`, synchronous
        replicas on every GPU of this machine, or on every logical CPU where there is
        no GPU; `multi_worker`, such replicas in several processes; or `tpu`, the cores
        of the TPU that TPU_NAME names or this machine has.
      cluster: of `multi_worker`, those processes. It must be the first thing that the
        process asks of TensorFlow, and returns when all are there.

    Raises:
      ValueError: there is no such strategy, or it does not work, and why.
    """
    check(name)
    if name == MULTI_WORKER:
        # Each sum would be announced, twice.
        logging.getLogger("tensorflow").setLevel(logging.WARNING)
        return tf.distribute.MultiWorkerMirroredStrategy(
            cluster_resolver=(cluster or cluster_lib.find()).resolver()
        )
    return _STRATEGIES[name]()


def cluster_of(name: str) -> cluster_lib.Cluster:
    """The cluster of a strategy, one process on its own where it is no other.

    Raises:
      ValueError: there is no such strategy, it does not work, or has no cluster.
    """
    check(name)
    return cluster_lib.find() if name == MULTI_WORKER else cluster_lib.Cluster()


def check(name: str) -> None:
    """Checks what can be told of a strategy before it is made.

    Raises:
      ValueError: there is no such strategy, or it does not work, and why.
    """
    if name == PARAMETER_SERVER:
        raise ValueError(
            "parameter_server does not work with Keras 3: its workers do not wait for "
            "each other, so that optimizers lose updates and codebooks are not those "
            "of the global batch; take multi_worker."
        )
    if name not in NAMES:
        raise ValueError(f"strategy must be one of {', '.join(NAMES)}; got {name!r}.")


def _one_device() -> tf.distribute.Strategy:
    # The default strategy, not OneDeviceStrategy: it places on the same device and
    # keeps Keras and tf.data on their plain, fastest paths.
    return tf.distribute.get_strategy()


@functools.cache  # a second one would fail on its first sum
def _mirrored() -> tf.distribute.Strategy:
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(devices)


def _tpu() -> tf.distribute.Strategy:
    # As https://www.tensorflow.org/guide/tpu has it; not run here.
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = error_text.first_line(error)[:150]
        raise ValueError(f"tpu needs a TPU, and {name!r} is none: {reason}") from error
    return tf.distribute.TPUStrategy(resolver)


_STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one_device": _one_device,
    "mirrored": _mirrored,
    "tpu": _tpu,
}
NAMES = (*_STRATEGIES, MULTI_WORKER, PARAMETER_SERVER)
