"""Random networks, episodes and demonstrations for the tests of sequence policies."""

import keras
import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.layers.action_distributions import Categorical, Deterministic
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.mlp import MLP
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.policies.sequence_policy import SequencePolicy

WINDOW = 4
STEPS = 3 * WINDOW + 1
BATCH = 3
TARGET = 2
DEMO_STEPS = 5
LAYERS = 2


def make_network(discrete=False, returns=False, rotary=False, demos=0, stacked=False):
    """A network of 2 layers whose every weight matters."""
    keras.utils.set_random_seed(1)
    network = SequenceNetwork(
        MLP((6,), 5),
        CausalTransformer(width=16, num_layers=LAYERS, num_heads=2, dropout=0.0),
        Categorical(4) if discrete else Deterministic(2),
        num_actions=4 if discrete else None,
        returns=returns,
        return_scale=4.0,
        context_window=WINDOW,
        num_timesteps=None if rotary else STEPS + 3,
        num_demos=demos,
        stacked_demos=stacked,
    )
    network.build((None, None, 3), (None, None) if discrete else (None, None, 2))
    rng = np.random.default_rng(2)
    for variable in network.trainable_variables:
        variable.assign(variable + 0.2 * rng.standard_normal(variable.shape))
    # Far within the bounds of actions, which a policy clips.
    network.head.kernel.assign(network.head.kernel * 0.1)
    return network


def random_observations(seed=0, batch=BATCH, steps=STEPS):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.standard_normal((batch, steps, 3)), "float32")


def random_rewards(seed=0, batch=BATCH, steps=STEPS):
    return tf.constant(np.random.default_rng(seed).random((batch, steps)), "float32")


def random_prompt(network, seed=0, demos=2, batch=BATCH):
    """Demonstrations of which one row lacks the last."""
    rng = np.random.default_rng(seed)
    shape = (batch, demos * DEMO_STEPS)
    action = rng.integers(0, 4, shape).astype("int32")
    if network.num_actions is None:
        action = rng.uniform(-1, 1, (*shape, 2)).astype("float32")
    demo = np.repeat(np.arange(1, demos + 1), DEMO_STEPS)
    valid = np.ones(shape, bool)
    valid[0, -DEMO_STEPS:] = False
    return {
        specs.OBSERVATION: random_observations(seed, *shape),
        specs.ACTION: tf.constant(action),
        specs.TIMESTEP: tf.tile([tf.range(DEMO_STEPS)], [batch, demos]),
        specs.VALID: tf.constant(valid),
        specs.RETURN_TO_GO: tf.constant(rng.random(shape), "float32"),
        specs.DEMO: tf.constant(np.tile(demo, (batch, 1)), "int32"),
    }


def play(memory, observations, rewards, *, first=None, prompt=None, jit=None):
    """Rolls a greedy policy over given observations.

    Args:
      memory: of the policy.
      observations: float `[B, T, 3]`.
      rewards: float `[B, T]`, of the action at each step.
      first: bool `[B, T]`, where episodes begin; by default at step 0.
      prompt: demonstrations.
      jit: whether to compile with XLA; None runs eagerly.

    Returns:
      The actions `[B, T, ...]` and the last state.
    """
    policy = SequencePolicy(memory.network, memory, True, TARGET)
    step = policy.step if jit is None else tf.function(policy.step, jit_compile=jit)
    batch, steps, _ = observations.shape
    if first is None:
        first = np.tile(np.arange(steps) == 0, (batch, 1))
    state = policy.initial_state(batch)
    if prompt is not None:
        state = policy.with_prompt(state, prompt)
    actions = []
    for t in range(steps):
        if t > 0:
            state = policy.receive(rewards[:, t - 1], state)
        action, state = step(observations[:, t], tf.constant(first[:, t]), state)
        actions.append(action)
    return np.stack(actions, 1), state


def one_pass(network, observations, actions, rewards, prompt=None, steps=slice(None)):
    """Actions of one pass over some steps of episodes, as in training."""
    batch, length = observations.shape[:2]
    before = tf.cumsum(rewards, axis=1, exclusive=True)
    fields = {
        specs.OBSERVATION: observations,
        specs.ACTION: tf.constant(actions),
        specs.TIMESTEP: tf.tile([tf.range(length)], [batch, 1]),
        specs.VALID: tf.ones((batch, length), tf.bool),
        specs.RETURN_TO_GO: float(TARGET) - before,
        specs.DEMO: tf.zeros((batch, length), tf.int32),
    }
    fields = {name: field[:, steps] for name, field in fields.items()}
    own = fields[specs.TIMESTEP].shape[1]
    if prompt is not None:
        fields = {name: tf.concat([prompt[name], fields[name]], 1) for name in fields}
    params = network(*(fields[name] for name in _ORDER))
    return network.distribution.mode(params[:, -own:]).numpy()


_ORDER = (
    specs.OBSERVATION,
    specs.ACTION,
    specs.TIMESTEP,
    specs.VALID,
    specs.RETURN_TO_GO,
    specs.DEMO,
)
