"""Learning from demonstrations by gradients, environment by environment."""

import keras
import numpy as np
import pytest
import sequences
import tensorflow as tf

from pdtla import specs
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.mlp import MLP
from pdtla.policies.decision_transformer import DecisionTransformer

LENGTH, UPDATES, RATE = 4, 3, 0.01
FIELDS = {
    specs.OBSERVATION: specs.ArraySpec((3,), "float32"),
    specs.ACTION: specs.ArraySpec((2,), "float32", minimum=-1.0, maximum=1.0),
    specs.TIMESTEP: specs.ArraySpec((), "int32"),
    specs.VALID: specs.ArraySpec((), "bool"),
}


def make(**kwargs):
    keras.utils.set_random_seed(1)
    stage = DecisionTransformer(
        MLP((6,), 5),
        CausalTransformer(16, 2, 2, dropout=0.0),
        context_window=LENGTH,
        dropout=0.0,
        **kwargs,
    )
    stage.build({name: spec.with_time(LENGTH) for name, spec in FIELDS.items()})
    return stage


def weights_of(stage):
    return [variable.numpy() for variable in stage.trainable_variables]


def act(policy, state, steps=6):
    """Actions on fixed observations, `[B, T, A]`."""
    observations = sequences.random_observations(seed=3, steps=steps)
    actions, step = [], tf.function(policy.step)
    for t in range(steps):
        first = tf.fill([sequences.BATCH], t == 0)
        action, state = step(observations[:, t], first, state)
        actions.append(action)
    return np.stack(actions, 1)


def test_each_environment_has_weights_of_its_own():
    """As of a stage that is trained on its demonstrations in the usual way."""
    stage = make(fine_tuning=UPDATES, fine_tuning_rate=RATE)
    before, policy = weights_of(stage), stage.policy()
    prompt = sequences.random_prompt(stage.network)
    state = policy.with_prompt(policy.initial_state(sequences.BATCH), prompt)
    actions = act(policy, state)
    for old, new in zip(before, weights_of(stage), strict=True):
        np.testing.assert_array_equal(old, new)
    size = sequences.DEMO_STEPS
    for slot in range(sequences.BATCH):
        other = make()
        optimizer = keras.optimizers.Adam(RATE)
        batch = {}
        for name in FIELDS:
            # Sequences of 4 of the 5 steps of both demonstrations; the last is alone.
            demos = np.reshape(prompt[name][slot], (2, size, *prompt[name].shape[2:]))
            rest = np.zeros_like(demos[:, : 2 * LENGTH - size])
            parts = np.concatenate([demos, rest], 1)
            batch[name] = tf.reshape(parts, (4, LENGTH, *parts.shape[2:]))
        for _ in range(UPDATES):
            with tf.GradientTape() as tape:
                losses, _ = other(batch)
                loss = losses["action"]
            variables = other.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
        plain = other.policy()
        expected = act(plain, plain.initial_state(sequences.BATCH))
        np.testing.assert_allclose(actions[slot], expected[slot], atol=2e-5)
    assert np.abs(actions[0] - actions[1]).max() > 0.01


def test_without_demonstrations_it_acts_as_before():
    stage = make(fine_tuning=UPDATES)
    policy, plain = stage.policy(), make().policy()
    prompt = sequences.random_prompt(stage.network)
    prompt[specs.VALID] = tf.zeros_like(prompt[specs.VALID])
    state = policy.initial_state(sequences.BATCH)
    expected = act(plain, plain.initial_state(sequences.BATCH))
    np.testing.assert_allclose(act(policy, state), expected, atol=1e-6)
    shown = act(policy, policy.with_prompt(state, prompt))
    np.testing.assert_allclose(shown, expected, atol=1e-6)


def test_demonstrations_are_seen_or_learnt_from():
    with pytest.raises(ValueError, match="not shown demonstrations"):
        make(fine_tuning=1, demo_conditioning=True)
