"""What a sequence network may know when it predicts an action."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.layers.action_distributions import Categorical
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.mlp import MLP
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.layers.token_embedding import TokenEmbedding

STEPS, WINDOW, ACTIONS = 7, 4, 5


def make(encoder=None, **kwargs):
    keras.utils.set_random_seed(0)
    transformer = CausalTransformer(width=16, num_layers=2, num_heads=2, dropout=0.0)
    return SequenceNetwork(
        encoder or MLP((6,), 5),
        transformer,
        Categorical(ACTIONS),
        num_actions=ACTIONS,
        context_window=WINDOW,
        num_timesteps=50,
        **kwargs,
    )


def inputs(batch=2):
    rng = np.random.default_rng(0)
    return {
        "observation": rng.standard_normal((batch, STEPS, 3)).astype("float32"),
        "action": rng.integers(0, ACTIONS, (batch, STEPS)).astype("int32"),
        "timestep": np.tile(np.arange(STEPS, dtype="int32") + 10, (batch, 1)),
        "valid": np.ones((batch, STEPS), bool),
        "return_to_go": rng.standard_normal((batch, STEPS)).astype("float32"),
    }


def run(network, batch):
    tensors = {name: tf.constant(value) for name, value in batch.items()}
    return network(**tensors).numpy()


@pytest.mark.parametrize("returns", [False, True])
def test_an_action_is_predicted_from_its_past_alone(returns):
    """Not from itself, nor from what follows; but from all there is before."""
    network, batch = make(returns=returns), inputs()
    exact = run(network, batch)
    assert exact.shape == (2, STEPS, ACTIONS)
    names = ["observation", "action"] + ["return_to_go"] * returns
    for name in names:
        for t in range(STEPS):
            changed = {key: value.copy() for key, value in batch.items()}
            changed[name][:, t] += 1
            changed["action"] %= ACTIONS
            differs = np.any(run(network, changed) != exact, axis=(0, 2))
            own = name != "action"  # s_t and R_t are seen at t
            assert not differs[: t + (not own)].any()
            # A layer reaches W - 1 steps back.
            reach = min(STEPS, t + 2 * (WINDOW - 1) + 1)
            assert differs[t + (not own) : reach].all()
            assert not differs[reach:].any()


def test_padding_is_not_seen():
    network, batch = make(), inputs()
    batch["valid"][:, :2] = False
    exact = run(network, batch)
    batch["observation"][:, :2] = 1e6
    batch["action"][:, :2] = 0
    np.testing.assert_array_equal(run(network, batch)[:, 2:], exact[:, 2:])


def test_a_frame_is_encoded_once():
    seen = []

    class Counting(ImpalaCNN):
        def call(self, frames, **kwargs):
            seen.append(frames.shape)
            return super().call(frames, **kwargs)

    network = make(Counting(channels=(4,), blocks=1, output_dim=7))
    batch = inputs()
    frames = np.random.default_rng(0).integers(0, 256, (2, STEPS, 16, 16, 3), "uint8")
    assert np.isfinite(run(network, batch | {"observation": frames})).all()
    assert seen == [(2 * STEPS, 16, 16, 3)]


def test_late_steps_share_the_last_row_of_the_table():
    network, batch = make(), inputs()
    batch["timestep"] += 100
    exact = run(network, batch)
    batch["timestep"] += 1000
    np.testing.assert_array_equal(run(network, batch), exact)


def test_tables_have_dense_gradients():
    layer = TokenEmbedding(num_timesteps=6, num_segments=3)
    values = tf.random.stateless_normal((2, 4, 8), (0, 1))
    step, segment = tf.constant([[0, 1, 1, 9]] * 2), tf.constant([[1, 1, 0, 0]] * 2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(values, step, segment) ** 3)
    tables = [layer.timestep_table.value, layer.segment_table.value]
    gradients = tape.gradient(loss, tables)
    for gradient, unused in zip(gradients, ([2, 3, 4], [2]), strict=True):
        assert isinstance(gradient, tf.Tensor)
        empty = np.flatnonzero(np.all(gradient.numpy() == 0, axis=-1))
        np.testing.assert_array_equal(empty, unused)


def test_errors():
    with pytest.raises(ValueError, match="context_window must be at least 1, got 0"):
        SequenceNetwork(MLP(), CausalTransformer(), Categorical(2), 2, context_window=0)
    network, batch = make(returns=True), inputs()
    del batch[specs.RETURN_TO_GO]
    with pytest.raises(ValueError, match="needs returns-to-go"):
        run(network, batch)
