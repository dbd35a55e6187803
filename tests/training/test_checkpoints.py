"""Tests of checkpoints."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy_stages

from pdtla.training import checkpoints
from pdtla.training import trainer as trainer_lib
from pdtla.training.own_optimizer import OwnOptimizer

OWN = OwnOptimizer("head", lambda: keras.optimizers.Adam(0.1), every=2)


def make(directory, **kwargs):
    stage = toy_stages.NoisyMLP()
    stage.build(toy_stages.ToyDataset().element_spec)
    trainer = trainer_lib.Trainer(
        stage,
        keras.optimizers.AdamW(0.01),
        strategy=tf.distribute.get_strategy(),
        **kwargs,
    )
    return trainer, checkpoints.Checkpointer(directory, stage, trainer.optimizers)


def train(trainer, num_steps):
    data = toy_stages.ToyDataset().train_batches(8, seed=1, start_step=trainer.step)
    trainer.train(trainer.distribute(data), num_steps)


def state(trainer):
    slots = [x for optimizer in trainer.optimizers for x in optimizer.variables]
    return toy_stages.weights(trainer.stage) + [np.asarray(x) for x in slots]


def assert_equal(values, others):
    for value, other in zip(values, others, strict=True):
        np.testing.assert_array_equal(value, other)


def test_every_variable_is_saved(tmp_path):
    trainer, checkpointer = make(tmp_path)
    checkpointer.save(0)
    path = tf.train.latest_checkpoint(str(tmp_path))
    names = [name for name, _ in tf.train.list_variables(path)]
    values = [name for name in names if name.endswith("VARIABLE_VALUE")]
    expected = len(trainer.stage.variables) + len(trainer.optimizer.variables)
    assert len(values) == expected + 2  # the clock, and TensorFlow's save counter
    assert len(trainer.stage.variables) == 8  # three layers, an average, a seed


@pytest.mark.parametrize("own", [(), (OWN,)], ids=["one", "own"])
def test_resumed_training_equals_unbroken_training(tmp_path, own):
    trainer, checkpointer = make(tmp_path, own_optimizers=own)
    train(trainer, 3)
    checkpointer.save(trainer.step)
    saved = state(trainer)
    train(trainer, 4)
    resumed, checkpointer = make(tmp_path, own_optimizers=own)
    assert checkpointer.restore_latest().endswith("ckpt-3")
    assert resumed.step == 3
    assert_equal(state(resumed), saved)
    train(resumed, 4)
    assert_equal(state(resumed), state(trainer))


def test_nothing_to_restore(tmp_path):
    _, checkpointer = make(tmp_path)
    assert checkpointer.restore_latest() is None
    assert checkpoints.latest_step(tmp_path) is None


def test_old_checkpoints_go(tmp_path):
    _, checkpointer = make(tmp_path)
    for step in (1, 2, 3):
        checkpointer.save(step)
    indices = sorted(path.name for path in tmp_path.glob("*.index"))
    assert indices == ["ckpt-2.index", "ckpt-3.index"]
    assert checkpoints.latest_step(tmp_path) == 3


def damage(directory: pathlib.Path, name: str, how: str) -> None:
    file = directory / name
    data = bytearray(file.read_bytes())
    if how == "truncated":
        data = data[: len(data) // 2]
    elif how == "changed":
        data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    if how == "missing":
        file.unlink()


@pytest.mark.parametrize("how", ["truncated", "changed", "missing"])
@pytest.mark.parametrize("suffix", ["data-00000-of-00001", "index"])
def test_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, how, suffix, caplog):
    trainer, checkpointer = make(tmp_path)
    train(trainer, 2)
    checkpointer.save(2)
    saved = state(trainer)
    train(trainer, 2)
    checkpointer.save(4)
    damage(tmp_path, f"ckpt-4.{suffix}", how)
    resumed, checkpointer = make(tmp_path)
    assert checkpointer.restore_latest().endswith("ckpt-2")
    assert_equal(state(resumed), saved)
    train(resumed, 2)
    checkpointer.save(4)
    again, checkpointer = make(tmp_path)
    assert checkpointer.restore_latest().endswith("ckpt-4")
    assert_equal(state(again), state(trainer))


@pytest.mark.parametrize("how", ["garbage", "empty", "missing"])
def test_list_of_checkpoints_is_mended(tmp_path, how):
    trainer, checkpointer = make(tmp_path)
    for _ in range(2):
        train(trainer, 2)
        checkpointer.save(trainer.step)
    listed = tmp_path / "checkpoint"
    listed.write_bytes(b"\xff\x00" * 40 if how == "garbage" else b"")
    if how == "missing":
        listed.unlink()
    assert checkpoints.latest_step(tmp_path) == 4
    resumed, checkpointer = make(tmp_path)
    assert checkpointer.restore_latest().endswith("ckpt-4")
    assert_equal(state(resumed), state(trainer))
    checkpointer.save(6)
    assert sorted(path.name for path in tmp_path.glob("*.index")) == [
        "ckpt-4.index",
        "ckpt-6.index",
    ]


def test_another_worker_restores_the_step_it_is_told(tmp_path):
    trainer, checkpointer = make(tmp_path)
    for step in (1, 2):
        train(trainer, 1)
        checkpointer.save(step)
    other, checkpointer = make(tmp_path)
    checkpointer.restore(1)
    assert other.step == 1
    with pytest.raises(ValueError, match="ckpt-3 cannot be restored"):
        checkpointer.restore(3)


def test_only_damaged_checkpoints_are_an_error(tmp_path):
    _, checkpointer = make(tmp_path)
    checkpointer.save(1)
    damage(tmp_path, "ckpt-1.index", "truncated")
    _, checkpointer = make(tmp_path)
    with pytest.raises(ValueError, match="None of the checkpoints"):
        checkpointer.restore_latest()


def test_seconds_go_on(tmp_path):
    _, checkpointer = make(tmp_path)
    checkpointer._seconds.assign(100.0)
    checkpointer.save(1)
    _, checkpointer = make(tmp_path)
    assert checkpointer.elapsed() < 50.0
    checkpointer.restore_latest()
    assert 100.0 <= checkpointer.elapsed() < 150.0
