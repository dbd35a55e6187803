"""Checkpoints of other models are told from damaged ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla.training import checkpoints
from pdtla.training.saved_variables import MismatchError


class Model(keras.layers.Layer):
    """Dense layers of the given widths and names, in a row."""

    def __init__(self, **widths):
        super().__init__(name="model")
        self.widths = widths

    def build(self, input_shape):
        layers, width = [], input_shape[-1]
        for name, size in self.widths.items():
            layer = keras.layers.Dense(size, name=name)
            layer.build((None, width))
            layers.append(layer)
            width = size
        self.layers = tuple(layers)


def make(directory, optimizer=keras.optimizers.AdamW, **widths):
    model = Model(**widths)
    model.build((None, 3))
    made = optimizer(0.1)
    made.build(model.trainable_variables)
    return model, checkpoints.Checkpointer(directory, model, [made])


@pytest.fixture
def saved(tmp_path):
    """Two checkpoints of a model with three layers."""
    model, checkpointer = make(tmp_path, first=4, second=5, third=6)
    for step in (1, 2):
        checkpointer.save(step)
    return tmp_path, model


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        (
            {"first": 4, "other": 5, "third": 6},
            r"model/second/kernel \[4, 5\] there is model/other/kernel \[4, 5\] here",
        ),
        (
            {"first": 4, "second": 9, "third": 6},
            r"model/second/kernel is \[4, 5\] there, \[4, 9\] here; "
            r"model/second/bias is \[5\] there, \[9\] here; "
            r"model/third/kernel is \[5, 6\] there, \[9, 6\] here\. Go back",
        ),
        (
            {"first": 4, "second": 5},
            r"model/third/kernel \[5, 6\] is not here; model/third/bias \[6\] is not",
        ),
        (
            {"first": 4, "second": 5, "third": 6, "fourth": 1},
            r"model/fourth/kernel \[6, 1\] is not there",
        ),
        (
            {"first": 4, "between": 4, "second": 5, "third": 6},
            r"build: model/between/kernel \[4, 4\] is not there; "
            r"model/between/bias \[4\] is not there\. Go",
        ),
        ({"a": 1, "b": 1, "c": 1}, r"; 3 more differ\. Go back to the code"),
    ],
)
def test_names_the_first_that_differ(saved, widths, message):
    directory, _ = saved
    model, checkpointer = make(directory, **widths)
    before = [variable.numpy() for variable in model.variables]
    with pytest.raises(MismatchError, match=message) as error:
        checkpointer.restore_latest()
    assert "\n" not in str(error.value) and "ckpt-2 " in str(error.value)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    with pytest.raises(MismatchError, match=message):
        checkpointer.restore(1)


def test_another_optimizer(saved):
    _, checkpointer = make(saved[0], keras.optimizers.SGD, first=4, second=5, third=6)
    with pytest.raises(MismatchError, match=r"momentum \[3, 4\] is not here"):
        checkpointer.restore_latest()


def test_the_numbers_of_keras_do_not_matter(saved):
    directory, model = saved
    again, checkpointer = make(directory, first_7=4, second_12=5, third_1=6)
    assert checkpointer.restore_latest().endswith("ckpt-2")
    np.testing.assert_array_equal(again.variables[0], model.variables[0])


def test_checkpoints_from_before_names_were_saved(tmp_path):
    model, checkpointer = make(tmp_path, first=4)
    old = str(tmp_path / "old")
    tf.train.CheckpointManager(checkpointer._nameless, old, 2).save(5)
    again, checkpointer = make(tmp_path / "old", first=4)
    assert checkpointer.restore_latest().endswith("ckpt-5")
    np.testing.assert_array_equal(again.variables[0], model.variables[0])
    _, checkpointer = make(tmp_path / "old", first=8)
    expected = r"model/first/kernel is \[3, 4\] there, \[3, 8\] here"
    with pytest.raises(MismatchError, match=expected):
        checkpointer.restore_latest()
    _, checkpointer = make(tmp_path / "old", first=4, second=2)
    with pytest.raises(MismatchError, match=r"second/kernel \[4, 2\] is not there"):
        checkpointer.restore_latest()


def test_a_damaged_one_is_skipped_before_one_that_does_not_fit(saved):
    directory, _ = saved
    (directory / "ckpt-2.index").write_bytes(b"")
    _, checkpointer = make(directory, first=4)
    with pytest.raises(MismatchError, match="ckpt-1 is a checkpoint of another model"):
        checkpointer.restore_latest()


def test_names_do_not_hide_from_tensorflow(saved):
    directory, model = saved
    reader = tf.train.load_checkpoint(str(directory))
    kernel = reader.get_tensor("stage/0/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(kernel, model.variables[0])
