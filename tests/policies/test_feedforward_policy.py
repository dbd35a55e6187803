"""Greedy and sampled actions of a memoryless policy."""

import numpy as np
import tensorflow as tf

from pdtla.layers.action_distributions import Categorical
from pdtla.policies.feedforward_policy import FeedforwardPolicy

CATEGORICAL = Categorical(4)
LOGITS = np.array([0.0, 1.5, -1.0, 0.7], "float32")
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum()


def logits(observation):
    """The same for every observation `[B, 1, 1]`, shifted by what it shows."""
    return LOGITS + observation[:, 0]


def act(policy, steps, batch_size=8, seed=0):
    observation = tf.zeros((batch_size, 1))
    is_first = tf.zeros(batch_size, bool)
    state = policy.initial_state(batch_size, seed)
    actions = []
    for _ in range(steps):
        action, state = policy.step(observation, is_first, state)
        actions.append(action)
    return np.stack(actions)


def test_greedy():
    actions = act(FeedforwardPolicy(logits, CATEGORICAL, greedy=True), steps=3)
    np.testing.assert_array_equal(actions, np.ones((3, 8)))


def test_samples_have_the_probabilities_of_the_softmax():
    policy = FeedforwardPolicy(logits, CATEGORICAL, greedy=False)
    actions = act(policy, steps=50, batch_size=1000)
    number = actions.size
    shares = np.bincount(actions.ravel(), minlength=4) / number
    error = np.sqrt(PROBABILITIES * (1 - PROBABILITIES) / number)
    assert np.all(np.abs(shares - PROBABILITIES) < 5 * error)


def test_steps_and_rows_are_independent():
    policy = FeedforwardPolicy(logits, CATEGORICAL, greedy=False)
    actions = act(policy, steps=50, batch_size=1000)
    expected = np.sum(PROBABILITIES**2)  # that two independent samples agree
    error = np.sqrt(expected * (1 - expected) / 49_000)
    for first, second in (
        (actions[1:], actions[:-1]),
        (actions[:, 1:], actions[:, :-1]),
    ):
        assert abs(np.mean(first == second) - expected) < 6 * error


def test_the_seed_determines_the_samples():
    policy = FeedforwardPolicy(logits, CATEGORICAL, greedy=False)
    first = act(policy, steps=20, seed=1)
    np.testing.assert_array_equal(first, act(policy, steps=20, seed=1))
    assert np.any(first != act(policy, steps=20, seed=2))


def test_the_state_alone_carries_what_is_random():
    policy = FeedforwardPolicy(logits, CATEGORICAL, greedy=False)
    step = tf.function(policy.step)
    state = policy.initial_state(64, seed=5)
    observation, is_first = tf.zeros((64, 1)), tf.zeros(64, bool)
    before = tf.nest.map_structure(lambda x: x.numpy().copy(), state)
    first, after = step(observation, is_first, state)
    again, _ = step(observation, is_first, state)
    np.testing.assert_array_equal(first, again)
    tf.nest.map_structure(np.testing.assert_array_equal, state, before)
    later, _ = step(observation, is_first, after)
    assert np.any(first != later)
    assert all(leaf.shape[0] == 64 for leaf in tf.nest.flatten(state))
    tf.nest.map_structure(lambda x, y: x.shape == y.shape, state, after)


def test_observations_reach_the_network_with_a_time_axis():
    seen = []

    def network(observation):
        seen.append(tuple(observation.shape))
        return tf.zeros((observation.shape[0], 4))

    policy = FeedforwardPolicy(network, CATEGORICAL, greedy=True)
    observation = tf.zeros((3, 8, 8, 3), tf.uint8)
    policy.step(observation, tf.zeros(3, bool), policy.initial_state(3))
    assert seen == [(3, 1, 8, 8, 3)]
