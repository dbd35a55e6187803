"""Gradients and compiled calls, under the Keras backend that the tests run with."""

import keras
import pytest
from keras import ops

NAME = keras.backend.backend()
TENSORFLOW = pytest.mark.skipif(NAME != "tensorflow", reason="Of TensorFlow alone.")


def value_and_gradients(function, *layers):
    """A scalar function's value, its gradients by trainable variables of the layers.

    `function` takes nothing; what it does to variables of the layers is done.
    """
    trainable, others = _variables(layers)
    if NAME == "jax":
        import jax

        gradient = jax.value_and_grad(_stateless(function, trainable, others), 0, True)
        (value, found), gradients = gradient(_values(trainable), _values(others))
        _assign(trainable + others, found)
        return value, gradients
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = function()
    return value, tape.gradient(value, _values(trainable))


def input_gradient(function, inputs):
    """The gradient of a scalar function by its input, an array."""
    if NAME == "jax":
        import jax

        def without_state(values):
            with keras.StatelessScope():
                return function(values)

        return jax.grad(without_state)(inputs)
    import tensorflow as tf

    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(inputs)
    return tape.gradient(value, inputs)


def compiled(layer):
    """The layer's call, in evaluation, as XLA compiles it."""
    if NAME == "jax":
        import jax

        trainable = [variable.value for variable in layer.trainable_variables]
        others = [variable.value for variable in layer.non_trainable_variables]
        return jax.jit(lambda *args: layer.stateless_call(trainable, others, *args)[0])
    import tensorflow as tf

    return tf.function(layer, jit_compile=True)


def training_step(loss, layers, optimizer):
    """A compiled step, `batch -> None`, of a built optimizer on `loss(batch)`."""
    trainable, others = _variables(layers)
    if NAME == "jax":
        import jax

        @jax.jit
        def update(values, states, slots, batch):
            function = _stateless(lambda: loss(batch), trainable, others)
            gradients, found = jax.grad(function, has_aux=True)(values, states)
            # Some quantizers move codes that nothing uses, which are trainable.
            values, states = found[: len(values)], found[len(values) :]
            values, slots = optimizer.stateless_apply(slots, gradients, values)
            return values, states, slots

        def step(batch):
            parts = trainable, others, optimizer.variables
            for part, found in zip(
                parts, update(*map(_values, parts), batch), strict=True
            ):
                _assign(part, found)

        return step
    import tensorflow as tf

    @tf.function
    def update(batch):
        _, gradients = value_and_gradients(lambda: loss(batch), *layers)
        assert all(gradient is not None for gradient in gradients)
        optimizer.apply(gradients, trainable)

    return lambda batch: update(tf.constant(batch))


def array(tensor):
    """As float32 of NumPy, which has no bfloat16."""
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def _variables(layers):
    trainable = [v for layer in layers for v in layer.trainable_variables]
    return trainable, [v for layer in layers for v in layer.non_trainable_variables]


def _values(variables):
    return [variable.value for variable in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _stateless(function, trainable, others):
    """`function()` as one of values, which also returns the new values of all."""

    def of_values(values, states):
        variables = trainable + others
        mapping = list(zip(variables, values + states, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            value = function()
        return value, [scope.get_current_value(variable) for variable in variables]

    return of_values
