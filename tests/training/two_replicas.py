"""Compares training on two logical CPUs with training on one; run by test_trainer."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import pdtla  # isort: skip  # fixes the Keras backend before anything imports keras

import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
half = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [half, half])

import toy_stages  # noqa: E402

from pdtla.training import checkpoints, strategies  # noqa: E402
from pdtla.training import train as train_lib  # noqa: E402
from pdtla.training import trainer as trainer_lib  # noqa: E402
from pdtla.training.own_optimizer import OwnOptimizer  # noqa: E402

assert pdtla
NUM_UPDATES = 5


def train(strategy, make_optimizer, clip_norm, own_optimizers):
    """Weights and scalars after a few updates on the same global batches."""
    data = toy_stages.ToyDataset()
    keras.utils.set_random_seed(3)
    with strategy.scope():
        stage = toy_stages.NoisyMLP(rate=0.0)
        stage.build(data.element_spec)
        optimizer = make_optimizer()
    trainer = trainer_lib.Trainer(
        stage,
        optimizer,
        strategy=strategy,
        own_optimizers=own_optimizers,
        clip_norm=clip_norm,
    )
    batches = trainer.distribute(data.train_batches(8, seed=1))
    scalars = trainer.train(batches, NUM_UPDATES)
    assert trainer.step == NUM_UPDATES
    return toy_stages.weights(stage), scalars, trainer.learning_rate


def compare_runs():
    """Whole runs, with evaluation and checkpoints, agree too."""
    with tempfile.TemporaryDirectory() as directory:
        results = {
            strategy: train_lib.train(
                workdir=f"{directory}/{strategy}",
                stage=lambda: toy_stages.NoisyMLP(rate=0.0),
                dataset=toy_stages.ToyDataset,
                optimizer=lambda: keras.optimizers.Adam(0.01),
                num_updates=4,
                batch_size=8,
                clip_norm=1.0,
                strategy=strategy,
            )
            for strategy in ("one_device", "mirrored")
        }
        for name, value in results["one_device"]["heldout"].items():
            other = results["mirrored"]["heldout"][name]
            np.testing.assert_allclose(value, other, rtol=1e-4)
        # A checkpoint of one strategy can be restored under the other.
        stage = toy_stages.NoisyMLP(rate=0.0)
        stage.build(toy_stages.ToyDataset().element_spec)
        optimizer = keras.optimizers.Adam(0.01)
        optimizer.build(stage.trainable_variables)
        states = []
        for strategy in results:
            path = f"{directory}/{strategy}/checkpoints"
            checkpointer = checkpoints.Checkpointer(path, stage, [optimizer])
            assert checkpointer.restore_latest().endswith("ckpt-4")
            states.append(toy_stages.weights(stage))
        for value, other in zip(*states, strict=True):
            np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-6)


def main():
    mirrored = strategies.make_strategy("mirrored")
    assert mirrored.num_replicas_in_sync == 2
    one = strategies.make_strategy("one_device")
    own = OwnOptimizer("head", lambda: keras.optimizers.SGD(1.0), every=2)
    cases = (
        (lambda: keras.optimizers.SGD(0.1), 0.3, ()),  # the gradients' norm is about 10
        (lambda: keras.optimizers.SGD(0.1), 0.3, (own,)),
        (lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1), None, ()),
    )
    for case in cases:
        weights, scalars, rate = train(one, *case)
        others, other_scalars, other_rate = train(mirrored, *case)
        for value, other in zip(weights, others, strict=True):
            np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-6)
        assert scalars["grad_norm"] > 1.0
        for name in scalars:
            np.testing.assert_allclose(scalars[name], other_scalars[name], rtol=1e-4)
        assert rate == other_rate
    compare_runs()
    with_jit = {"strategy": mirrored, "jit_compile": True}
    with mirrored.scope():
        stage = toy_stages.LinearRegression()
        stage.build(toy_stages.ToyDataset().element_spec)
        optimizer = keras.optimizers.SGD()
    try:
        trainer_lib.Trainer(stage, optimizer, **with_jit)
    except ValueError as error:
        assert "one replica, got 2" in str(error)
    else:
        raise AssertionError("XLA on two replicas must be refused.")
    sys.stdout.write("equal\n")


if __name__ == "__main__":
    main()
