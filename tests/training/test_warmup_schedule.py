"""Tests of learning rate schedules."""

import keras
import numpy as np
import pytest

from pdtla.training import warmup_schedule


def rates(steps, **kwargs):
    schedule = warmup_schedule.WarmupSchedule(**kwargs)
    return [float(schedule(step)) for step in steps]


def test_warm_up_is_linear_and_never_zero():
    found = rates([0, 1, 3, 4, 100], peak=2.0, warmup_steps=4)
    np.testing.assert_allclose(found, [0.5, 1.0, 2.0, 2.0, 2.0])


def test_linear_decay():
    found = rates(
        [2, 4, 6, 10, 20],
        peak=1.0,
        warmup_steps=2,
        decay="linear",
        total_steps=10,
        final_fraction=0.2,
    )
    np.testing.assert_allclose(found, [1.0, 0.8, 0.6, 0.2, 0.2], rtol=1e-6)


def test_cosine_decay():
    found = rates([0, 5, 10], peak=1.0, decay="cosine", total_steps=10)
    np.testing.assert_allclose(found, [1.0, 0.5, 0.0], atol=1e-6)
    quarter = rates([2.5], peak=1.0, decay="cosine", total_steps=10)[0]
    assert quarter == pytest.approx(0.5 * (1 + np.cos(np.pi / 4)), rel=1e-6)


def test_serialisation_keeps_every_argument():
    config = {
        "peak": 0.1,
        "warmup_steps": 3,
        "decay": "linear",
        "total_steps": 9,
        "final_fraction": 0.5,
    }
    schedule = warmup_schedule.WarmupSchedule(**config)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(schedule)
    )
    assert copy.get_config() == schedule.get_config() == config


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"decay": "step"}, "decay must be one of"),
        ({"decay": "cosine"}, "needs total_steps"),
        ({"warmup_steps": -1}, "at least 0, got -1"),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        warmup_schedule.WarmupSchedule(**kwargs)
