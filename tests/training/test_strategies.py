"""Tests of the choice of a strategy; `mirrored` is tested in a process of its own."""

import pytest
import tensorflow as tf

from pdtla.training import strategies


def test_one_device():
    strategy = strategies.make_strategy("one_device")
    assert strategy.num_replicas_in_sync == 1
    assert not tf.distribute.has_strategy()


def test_unknown_name():
    with pytest.raises(ValueError, match="one of one_device, mirrored; got 'tpu'"):
        strategies.make_strategy("tpu")
