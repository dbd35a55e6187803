"""What an error says, in one line."""

import keras
import pytest
import tensorflow as tf

from pdtla import error_text


def test_line_without_the_names_of_tensorflow_functions():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.ensure_shape(tf.zeros((2, 3)), (4, 3))
    assert "{{function_node" in str(caught.value)
    line = error_text.first_line(caught.value)
    assert line.startswith("Shape of tensor input [2,3] is not compatible")


def test_error_of_an_eager_operation_loses_its_name():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.reshape(tf.zeros((2, 3)), (4,))
    assert "[Op:Reshape]" in str(caught.value)
    line = error_text.first_line(caught.value)
    assert line.endswith("but the requested shape has 4")


def test_error_without_message_gives_its_class():
    assert error_text.first_line(MemoryError()) == "MemoryError"


def test_error_of_a_layer_gives_the_layer_and_what_went_wrong_there():
    with pytest.raises(ValueError, match="Exception encountered") as caught:
        keras.layers.Reshape((5,))(tf.zeros((2, 3)))
    line = error_text.first_line(caught.value)
    assert line.startswith("Reshape.call(): ") and "\x1b" not in line


def test_error_of_traced_code_gives_its_message():
    @tf.function
    def divide(x):
        raise ValueError(f"No {x.shape[0]} parts.\nMore.")

    with pytest.raises(ValueError, match="in user code") as caught:
        divide(tf.zeros((2, 3)))
    assert error_text.first_line(caught.value) == "No 2 parts."
