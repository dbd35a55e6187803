"""Leaves no gin configuration and no Keras state behind a test."""

import pdtla  # isort: skip  # fixes the Keras backend before anything imports keras

import gin
import keras
import pytest

assert pdtla


def _clear():
    gin.unlock_config()
    gin.clear_config()
    keras.config.set_dtype_policy("float32")
    keras.utils.clear_session(free_memory=False)  # collecting garbage takes a second


@pytest.fixture(autouse=True)
def clean_state():
    _clear()
    yield
    _clear()
