"""Acting by the nearest demonstrated step."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.policies.retrieval import RetrievalPolicy


def make_prompt():
    rng = np.random.default_rng(0)
    return {
        specs.OBSERVATION: tf.constant(rng.standard_normal((3, 8, 2)), "float32"),
        specs.ACTION: tf.constant(rng.integers(0, 9, (3, 8)), "int32"),
        specs.VALID: tf.constant(rng.random((3, 8)) < 0.7),
    }


def test_it_copies_the_nearest_step_that_is_valid():
    prompt = make_prompt()
    scale = np.array([1.0, 10.0], "float32")
    policy = RetrievalPolicy(
        lambda observation: observation * scale,
        lambda prompt: prompt,
        lambda action, observation: tf.stack([action, 0 * action], 1),
    )
    state = policy.with_prompt(policy.initial_state(3), prompt)
    observation = tf.constant(np.random.default_rng(1).random((3, 2)), "float32")
    action, _ = tf.function(policy.step)(observation, tf.zeros(3, tf.bool), state)
    far = (prompt[specs.OBSERVATION] - observation[:, None]).numpy() * scale
    distance = np.where(prompt[specs.VALID], np.square(far).sum(-1), np.inf)
    expected = prompt[specs.ACTION].numpy()[np.arange(3), distance.argmin(1)]
    np.testing.assert_array_equal(action[:, 0], expected)
    assert np.square(far).sum(-1).argmin(1).tolist() != distance.argmin(1).tolist()


def test_without_demonstrations_there_is_nothing_to_copy():
    policy = RetrievalPolicy(*[lambda given, *_: given] * 3)
    with pytest.raises(ValueError, match="needs demonstrations, got none"):
        policy.step(tf.zeros((1, 2)), tf.ones(1, tf.bool), policy.initial_state(1))
