"""Tests of the choice of a strategy; `mirrored` is tested in a process of its own."""

import pytest
import tensorflow as tf

from pdtla.training import strategies


def test_one_device():
    strategy = strategies.make_strategy("one_device")
    assert strategy.num_replicas_in_sync == 1
    assert not tf.distribute.has_strategy()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("parameter_server", "does not work with Keras 3"),
        ("fast", "one of one_device, mirrored, .*; got 'fast'"),
        ("tpu", "tpu needs a TPU, and 'local' is none"),
    ],
)
def test_refusals(name, message, monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(ValueError, match=message) as caught:
        strategies.make_strategy(name)
    assert "\n" not in str(caught.value)
