"""Small real stages and a dataset, which training tests and their processes share."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from pdtla import replica, specs
from pdtla import stage as stage_lib


class ToyDataset:
    """Windows of one step: y = x w + noise, drawn anew from (seed, step)."""

    def __init__(self, *, width=3, num_heldout=3, bad_step=-1):
        self.width = width
        self.num_heldout = num_heldout
        self.bad_step = bad_step
        self.element_spec = {
            "observation": specs.ArraySpec((1, width), "float32"),
            "action": specs.ArraySpec((1, 1), "float32"),
        }
        self.fingerprint = f"toy-{width}"

    def train_batches(self, batch_size, seed, start_step=0, part=(0, 1)):
        steps = tf.data.Dataset.range(start_step, 2**40)
        return steps.map(
            lambda step: {
                name: tf.split(rows, part[1])[part[0]]
                for name, rows in self._batch(batch_size, seed, step).items()
            }
        )

    def heldout_batches(self, batch_size):
        steps = tf.data.Dataset.range(self.num_heldout)
        return steps.map(lambda step: self._batch(batch_size, 10**6, step))

    def _batch(self, batch_size, seed, step):
        shape = [batch_size, 1, self.width]
        key = tf.stack([tf.cast(seed, tf.int64), step])
        x = tf.random.stateless_normal(shape, key)
        x = tf.where(tf.equal(step, self.bad_step), x * float("nan"), x)
        target = tf.reduce_sum(x * tf.range(1.0, self.width + 1), -1, keepdims=True)
        return {"observation": x, "action": target}


class LinearRegression(stage_lib.Stage):
    """One matrix, squared error."""

    def __init__(self, *, initial=0.0, **kwargs):
        super().__init__(**kwargs)
        self.initial = initial

    def build(self, element_spec):
        stage_lib.require_fields(element_spec, "observation", "action")
        width = element_spec["observation"].shape[-1]
        self.head = keras.layers.Dense(
            1, kernel_initializer=keras.initializers.Constant(self.initial)
        )
        self.head.build((None, width))

    def call(self, batch, training=False):
        error = ops.cast(self.head(batch["observation"]), "float32") - batch["action"]
        loss = ops.mean(ops.square(error))
        return {"regression": loss}, {"error": ops.mean(ops.abs(error))}

    def modules(self):
        return {"head": self.head}


class NoisyMLP(stage_lib.Stage):
    """Dropout, layers in a list and an average kept outside the gradient."""

    def __init__(self, *, hidden=8, rate=0.3, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden
        self.rate = rate

    def build(self, element_spec):
        width = element_spec["observation"].shape[-1]
        self.blocks = [keras.layers.Dense(self.hidden, "gelu") for _ in range(2)]
        for layer, size in zip(self.blocks, [width, self.hidden], strict=True):
            layer.build((None, size))
        self.dropout = keras.layers.Dropout(self.rate, seed=7)
        self.head = keras.layers.Dense(1)
        self.head.build((None, self.hidden))
        self.average = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name="average",
        )

    def call(self, batch, training=False):
        x = batch["observation"]
        for layer in self.blocks:
            x = layer(x)
        x = self.dropout(x, training=training)
        error = ops.cast(self.head(x), "float32") - batch["action"]
        loss = ops.mean(ops.square(error))
        if training:
            total = replica.all_sum([ops.stop_gradient(loss)])[0]
            mean = total / replica.num_replicas()
            self.average.assign(0.9 * self.average + 0.1 * mean)
        return {"regression": loss}, {"average": ops.convert_to_tensor(self.average)}

    def modules(self):
        return {"head": self.head}

    def images(self, batch):
        return {"black": tf.zeros([2, 4, 4, 3], tf.uint8)}


class Frozen(LinearRegression):
    """Has a weight that no loss depends on."""

    def build(self, element_spec):
        super().build(element_spec)
        self.idle = self.add_weight(shape=(2,), name="idle")


def weights(stage):
    """Every variable of a stage, seeds included."""
    return [np.asarray(variable) for variable in stage.variables]
