"""Distribution strategies by name."""

import functools
from collections.abc import Callable

import tensorflow as tf


def make_strategy(name: str = "one_device") -> tf.distribute.Strategy:
    """Returns a strategy; a process has one mirrored strategy at most.

    Args:
      name: `one_device`, the first GPU or else the CPU; or `mirrored`, synchronous
        replicas on every GPU of this machine, or on every logical CPU where there is
        no GPU.

    Raises:
      ValueError: there is no such strategy.
    """
    if name not in _STRATEGIES:
        valid = ", ".join(_STRATEGIES)
        raise ValueError(f"strategy must be one of {valid}; got {name!r}.")
    return _STRATEGIES[name]()


def _one_device() -> tf.distribute.Strategy:
    # The default strategy, not OneDeviceStrategy: it places on the same device and
    # keeps Keras and tf.data on their plain, fastest paths.
    return tf.distribute.get_strategy()


@functools.cache  # a second one would fail on its first sum
def _mirrored() -> tf.distribute.Strategy:
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(devices)


_STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one_device": _one_device,
    "mirrored": _mirrored,
}
