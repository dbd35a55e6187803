"""Policies that need no learning."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.environments.metaworld import MetaWorld
from pdtla.environments.procgen import Procgen
from pdtla.rollouts.trivial_policies import (
    ActionMarginal,
    ActionSample,
    Constant,
    UniformRandom,
    action_marginal,
    best_constant_action,
    constant_actions,
)

DISCRETE = specs.ArraySpec((), "int32", num_values=15)
BOX = specs.ArraySpec((3,), "float32", minimum=-2.0, maximum=2.0)


def sample(policy, steps=200, batch=50, seed=0):
    state = policy.initial_state(batch, seed)
    step = tf.function(policy.step)
    observation = tf.zeros([batch, 8, 8, 3], tf.uint8)
    actions = []
    for _ in range(steps):
        action, state = step(observation, tf.zeros([batch], bool), state)
        actions.append(action.numpy())
    return np.stack(actions)


def test_uniform_over_categories():
    actions = sample(UniformRandom(DISCRETE))
    assert actions.shape == (200, 50) and actions.dtype == np.int32
    frequency = np.bincount(actions.ravel(), minlength=15) / actions.size
    np.testing.assert_allclose(frequency, 1 / 15, atol=0.01)
    assert abs(np.corrcoef(actions[:, 0], actions[:, 1])[0, 1]) < 0.3
    np.testing.assert_array_equal(actions, sample(UniformRandom(DISCRETE)))
    assert (actions != sample(UniformRandom(DISCRETE), seed=1)).any()


def test_uniform_over_a_box():
    actions = sample(UniformRandom(BOX))
    assert actions.shape == (200, 50, 3) and actions.dtype == np.float32
    np.testing.assert_allclose(actions.mean(), 0.0, atol=0.05)
    np.testing.assert_allclose(actions.std(), 4 / np.sqrt(12), atol=0.05)


def test_uniform_needs_bounds():
    with pytest.raises(ValueError, match="bounded"):
        UniformRandom(specs.ArraySpec((3,), "float32"))


def test_marginal_has_the_frequencies_of_the_data():
    data = np.array([[0, 0, 0, 2], [2, 2, 2, 4]])
    actions = sample(ActionMarginal.of_actions(data, 5))
    frequency = np.bincount(actions.ravel(), minlength=5) / actions.size
    np.testing.assert_allclose(frequency, [3 / 8, 0, 4 / 8, 0, 1 / 8], atol=0.015)
    assert frequency[1] == frequency[3] == 0


@pytest.mark.parametrize("probabilities", [[0.5, 0.4], [1.5, -0.5]])
def test_marginal_checks_probabilities(probabilities):
    with pytest.raises(ValueError, match="sum to 1"):
        ActionMarginal(probabilities)


def test_constant():
    np.testing.assert_array_equal(sample(Constant(7), 2, 5), np.full((2, 5), 7))
    actions = sample(Constant([0.5, -1.0]), 2, 5)
    np.testing.assert_array_equal(actions, np.tile([0.5, -1.0], (2, 5, 1)))


def test_best_constant_action_on_coinrun_goes_right():
    def make_env():
        return Procgen(
            env_id="coinrun", num_envs=8, num_levels=200, max_episode_steps=100
        )

    best, means = best_constant_action(make_env)
    assert best in (7, 8)  # right, right and jump
    assert means.shape == (15,) and means[best] == means.max() > 0
    assert means[4] == 0.0  # standing still


def test_sample_draws_whole_actions_as_often_as_the_data():
    data = np.array([[[0.0, 1.0], [0.5, -1.0]], [[0.5, -1.0], [0.5, -1.0]]])
    spec = specs.ArraySpec((2,), "float32", minimum=-1.0, maximum=1.0)
    policy = action_marginal(spec, data)
    assert isinstance(policy, ActionSample)
    actions = sample(policy).reshape(-1, 2)
    first = (actions == [0.0, 1.0]).all(axis=1)
    assert (first | (actions == [0.5, -1.0]).all(axis=1)).all()
    np.testing.assert_allclose(first.mean(), 1 / 4, atol=0.015)
    with pytest.raises(ValueError, match=r"must be floats \[..., A\], got \(3,\)"):
        ActionSample(np.zeros(3))


def test_best_of_the_constants_of_a_box():
    def make_env():
        return MetaWorld(env_id="reach", num_envs=2, num_levels=10, max_episode_steps=9)

    # Gripping downwards in all of the data: worse than to stay near the goals.
    data = np.full((4, 3, 4), [0.0, 0.0, -1.0, 1.0], np.float32)
    candidates = constant_actions(make_env().action_spec, data)
    np.testing.assert_array_equal(candidates, [[0, 0, 0, 0], [0, 0, -1, 1]])
    best, means = best_constant_action(make_env, candidates)
    assert means.shape == (2,) and means[0] != means[1]
    np.testing.assert_array_equal(best, candidates[means.argmax()])
    with pytest.raises(ValueError, match="Constants to try must be given"):
        best_constant_action(make_env)
