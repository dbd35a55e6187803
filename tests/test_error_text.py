"""What an error says, in one line."""

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
