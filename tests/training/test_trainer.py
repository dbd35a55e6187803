"""Tests of the training loop."""

import itertools
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy_stages

from pdtla.training import trainer as trainer_lib
from pdtla.training.own_optimizer import OwnOptimizer

HERE = pathlib.Path(__file__).parent


def make(stage, optimizer=None, **kwargs):
    data = toy_stages.ToyDataset()
    stage.build(data.element_spec)
    trainer = trainer_lib.Trainer(
        stage,
        optimizer or keras.optimizers.SGD(0.1),
        strategy=tf.distribute.get_strategy(),
        **kwargs,
    )
    return trainer, trainer.distribute(data.train_batches(8, seed=1))


def first_batches(number):
    data = toy_stages.ToyDataset().train_batches(8, seed=1)
    return [
        (batch["observation"].numpy()[:, 0], batch["action"].numpy()[:, 0])
        for batch in itertools.islice(data, number)
    ]


def gradient(kernel, bias, x, y):
    """Of the mean squared error, by hand."""
    error = x @ kernel + bias - y
    return 2 * x.T @ error / len(x), 2 * error.mean(0), np.mean(error**2)


def test_updates_are_those_of_gradient_descent():
    trainer, batches = make(toy_stages.LinearRegression())
    scalars = trainer.train(batches, 3)
    kernel, bias, losses, norms = np.zeros((3, 1)), np.zeros(1), [], []
    for x, y in first_batches(3):
        kernel_gradient, bias_gradient, loss = gradient(kernel, bias, x, y)
        losses.append(loss)
        norms.append(np.sqrt(np.sum(kernel_gradient**2) + np.sum(bias_gradient**2)))
        kernel, bias = kernel - 0.1 * kernel_gradient, bias - 0.1 * bias_gradient
    np.testing.assert_allclose(trainer.stage.head.kernel, kernel, rtol=1e-5)
    np.testing.assert_allclose(trainer.stage.head.bias, bias, rtol=1e-5)
    assert scalars["loss"] == scalars["regression"] == pytest.approx(np.mean(losses))
    assert scalars["grad_norm"] == pytest.approx(np.mean(norms), rel=1e-5)
    assert set(scalars) == {"loss", "grad_norm", "regression", "error"}
    assert trainer.step == 3


def test_gradients_are_clipped_by_their_global_norm():
    trainer, batches = make(toy_stages.LinearRegression(), clip_norm=0.5)
    scalars = trainer.train(batches, 1)
    assert scalars["grad_norm"] > 0.5  # reported before clipping
    head = trainer.stage.head
    change = np.sqrt(np.sum(np.square(head.kernel)) + np.sum(np.square(head.bias)))
    assert change == pytest.approx(0.1 * 0.5, rel=1e-5)


def test_one_loop_of_updates_equals_several():
    keras.utils.set_random_seed(0)
    whole, batches = make(toy_stages.NoisyMLP())
    mean = whole.train(batches, 6)["loss"]
    keras.utils.set_random_seed(0)
    parts, batches = make(toy_stages.NoisyMLP())
    means = [parts.train(batches, number)["loss"] for number in (1, 2, 3)]
    assert mean == pytest.approx(np.dot(means, [1, 2, 3]) / 6, rel=1e-5)
    for value, other in zip(
        toy_stages.weights(whole.stage), toy_stages.weights(parts.stage), strict=True
    ):
        np.testing.assert_array_equal(value, other)


def test_jit_compiled_updates_agree():
    plain, batches = make(toy_stages.LinearRegression(), clip_norm=1.0)
    plain.train(batches, 4)
    jitted, batches = make(
        toy_stages.LinearRegression(), clip_norm=1.0, jit_compile=True
    )
    jitted.train(batches, 4)
    np.testing.assert_allclose(
        plain.stage.head.kernel, jitted.stage.head.kernel, rtol=1e-5
    )


def test_step_that_is_not_finite_stops_the_loop():
    data = toy_stages.ToyDataset(bad_step=5)
    stage = toy_stages.LinearRegression()
    trainer, _ = make(stage)
    batches = trainer.distribute(data.train_batches(8, seed=1))
    trainer.train(batches, 2)
    with pytest.raises(trainer_lib.NonFiniteError) as caught:
        trainer.train(batches, 10)
    assert caught.value.step == 6  # counted from 1
    assert np.isnan(caught.value.scalars["regression"])
    assert trainer.step == 6  # it stopped there
    assert str(caught.value).startswith("Update 6 is not finite: loss=nan")


def test_weight_without_gradient_is_an_error():
    trainer, batches = make(toy_stages.Frozen())
    with pytest.raises(ValueError, match=r"must receive a gradient.*idle"):
        trainer.train(batches, 1)


def test_frozen_weight_is_left_alone():
    stage = toy_stages.Frozen()
    stage.build(toy_stages.ToyDataset().element_spec)
    stage.idle.trainable = False
    before = np.asarray(stage.idle)
    trainer = trainer_lib.Trainer(
        stage,
        keras.optimizers.AdamW(0.1, weight_decay=0.5),
        strategy=tf.distribute.get_strategy(),
    )
    data = toy_stages.ToyDataset().train_batches(8, seed=1)
    trainer.train(trainer.distribute(data), 2)
    np.testing.assert_array_equal(stage.idle, before)


def test_optimizer_must_not_clip():
    with pytest.raises(ValueError, match="optimizer must not"):
        make(toy_stages.LinearRegression(), keras.optimizers.SGD(global_clipnorm=1.0))


def two_layers(clip_norm=None, **kwargs):
    """A trainer of a network whose `head` has another optimizer than its blocks."""
    keras.utils.set_random_seed(0)
    own = OwnOptimizer("head", **kwargs)
    return make(toy_stages.NoisyMLP(), own_optimizers=[own], clip_norm=clip_norm)


def change(trainer, batches, num_steps=1):
    """By how much the weights of the blocks and of the head move, as two vectors."""
    stage = trainer.stage
    layers = [stage.blocks, [stage.head]]
    read = lambda: [  # noqa: E731
        np.concatenate([np.ravel(x) for layer in part for x in layer.get_weights()])
        for part in layers
    ]
    before = read()
    trainer.train(batches, num_steps)
    return [new - old for new, old in zip(read(), before, strict=True)]


def test_own_optimizer_alike_changes_nothing():
    keras.utils.set_random_seed(0)
    single, batches = make(toy_stages.NoisyMLP(), keras.optimizers.AdamW(0.1))
    single.train(batches, 4)
    keras.utils.set_random_seed(0)
    own = OwnOptimizer("head", lambda: keras.optimizers.AdamW(0.1))
    parted, batches = make(
        toy_stages.NoisyMLP(), keras.optimizers.AdamW(0.1), own_optimizers=[own]
    )
    parted.train(batches, 4)
    for value, other in zip(
        toy_stages.weights(single.stage), toy_stages.weights(parted.stage), strict=True
    ):
        np.testing.assert_array_equal(value, other)


def test_own_optimizer_trains_its_module_alone_at_its_rate():
    blocks, head = change(*two_layers(optimizer=lambda: keras.optimizers.SGD(0.1)))
    others, slow = change(*two_layers(optimizer=lambda: keras.optimizers.SGD(0.001)))
    np.testing.assert_array_equal(blocks, others)
    np.testing.assert_allclose(slow, head / 100, rtol=1e-3, atol=1e-7)


def test_own_optimizer_rests_between_its_updates():
    make_optimizer = lambda: keras.optimizers.AdamW(0.1, weight_decay=0.5)  # noqa: E731
    trainer, batches = two_layers(optimizer=make_optimizer, every=3)
    moves = [change(trainer, batches) for _ in range(5)]
    assert all(np.any(blocks) for blocks, _ in moves)
    assert [bool(np.any(head)) for _, head in moves] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert [int(each.iterations) for each in trainer.optimizers] == [5, 2]
    assert trainer.step == 5
    loop, batches = two_layers(optimizer=make_optimizer, every=3)
    loop.train(batches, 5)
    for value, other in zip(
        toy_stages.weights(trainer.stage), toy_stages.weights(loop.stage), strict=True
    ):
        np.testing.assert_array_equal(value, other)


def test_every_optimizer_clips_by_a_norm_of_its_own():
    trainer, batches = two_layers(
        clip_norm=0.01, optimizer=lambda: keras.optimizers.SGD(1.0)
    )
    blocks, head = change(trainer, batches)
    assert np.linalg.norm(blocks) == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert np.linalg.norm(head) == pytest.approx(1.0 * 0.01, rel=1e-3)


@pytest.mark.parametrize(
    ("stage", "own", "message"),
    [
        (toy_stages.NoisyMLP, ["tail"], r"one of \['head'\]; got 'tail'"),
        (toy_stages.NoisyMLP, ["head", "head"], "No trainable variable of 'head'"),
        (toy_stages.LinearRegression, ["head"], "must leave variables"),
    ],
)
def test_modules_that_cannot_have_an_optimizer(stage, own, message):
    own = [OwnOptimizer(name, keras.optimizers.SGD) for name in own]
    with pytest.raises(ValueError, match=message):
        make(stage(), own_optimizers=own)


def test_own_optimizer_must_not_clip_and_has_a_period():
    clipping = OwnOptimizer("head", lambda: keras.optimizers.SGD(clipnorm=1.0))
    with pytest.raises(ValueError, match="optimizer must not"):
        make(toy_stages.NoisyMLP(), own_optimizers=[clipping])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        OwnOptimizer("head", keras.optimizers.SGD, every=0)


def test_scalars_must_have_different_names():
    with pytest.raises(ValueError, match="named 'loss'"):
        trainer_lib.scalars_of({"a": tf.constant(1.0)}, {"loss": tf.constant(2.0)})


def test_total_is_the_sum_of_the_losses():
    scalars = trainer_lib.scalars_of(
        {"a": tf.constant(1.0), "b": tf.constant(2.5)}, {"c": tf.constant(9.0)}
    )
    assert float(scalars["loss"]) == 3.5


def test_batches_are_split_in_order():
    data = tf.data.Dataset.from_tensors(
        {"x": tf.range(6), "inner": {"y": tf.reshape(tf.range(8), [4, 2])}}
    ).repeat()
    parts = list(itertools.islice(trainer_lib.split_batches(data, 2), 3))
    assert [part["x"].numpy().tolist() for part in parts] == [
        [0, 1, 2],
        [3, 4, 5],
        [0, 1, 2],
    ]
    assert parts[1]["inner"]["y"].numpy().tolist() == [[4, 5], [6, 7]]


def test_batch_must_divide_among_replicas():
    data = tf.data.Dataset.from_tensors({"x": tf.range(5)}).repeat()
    with pytest.raises(ValueError, match="multiple of the 2 replicas, got 5"):
        trainer_lib.split_batches(data, 2)


def test_two_replicas_update_as_one_device_does():
    """In a process of its own: logical devices are fixed before TensorFlow starts."""
    command = [sys.executable, str(HERE / "two_replicas.py")]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert finished.stdout.strip().endswith("equal")
