"""Continuous policies: cloning, chunks, latents through a decoder that sees states."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.layers.action_distributions import Deterministic
from pdtla.layers.mlp import MLP
from pdtla.policies.behavioral_cloning import BehavioralCloning
from pdtla.policies.chunked_policy import ChunkedPolicy
from pdtla.policies.feedforward_policy import FeedforwardPolicy

_MEAN, _STD = (1.0, -2.0, 5.0), (2.0, 0.5, 4.0)


def spec(steps):
    return {
        "observation": specs.ArraySpec((steps, 3), "float32", mean=_MEAN, std=_STD),
        "action": specs.ArraySpec((steps, 2), "float32", minimum=-1.0, maximum=1.0),
    }


def make(steps=1, **kwargs):
    stage = BehavioralCloning(MLP((8,), 7), **kwargs)
    stage.build(spec(steps))
    return stage


def states(steps=1):
    rng = np.random.default_rng(0)
    return tf.constant(rng.normal(0, 3, (6, steps, 3)).astype("float32"))


def test_states_are_standardised_in_the_policy():
    stage = make()
    standard = (states() - np.array(_MEAN, "float32")) / np.array(_STD, "float32")
    features = stage.network.encoder(standard[:, 0])
    np.testing.assert_allclose(
        stage.network(states()), stage.network.head(features), atol=1e-5
    )


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_policies_act_within_the_bounds(head):
    policy = make(head=head).policy(greedy=head == "deterministic")
    action, state = policy.step(states()[:, 0], None, policy.initial_state(6, seed=1))
    assert action.shape == (6, 2) and np.abs(action).max() <= 1.0
    again, _ = policy.step(states()[:, 0], None, state)
    assert np.any(again.numpy() != action.numpy()) == (head == "gaussian")


def test_a_chunk_is_fitted_to_the_actions_that_follow():
    stage = make(steps=3, chunk=3)
    action = tf.random.stateless_uniform((6, 3, 2), (0, 1), -1, 1)
    losses, _ = stage({"observation": states(3), "action": action})
    planned = stage.network(states(3)[:, :1])
    expected = np.square(planned - tf.reshape(action, (6, 6))).mean()
    np.testing.assert_allclose(losses["action"], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="windows of 3 steps, got 1"):
        make(steps=1, chunk=3)


def test_chunks_are_played_one_by_one_and_begun_anew_with_the_episode():
    plan = lambda seen: seen + tf.range(3.0)  # noqa: E731
    planner = FeedforwardPolicy(plan, Deterministic(3, bounded=False), greedy=True)
    policy = ChunkedPolicy(planner, length=3, size=1)
    state = policy.initial_state(1)
    played = []
    for seen, first in (
        (10, True),
        (20, False),
        (30, True),
        (40, False),
        (50, False),
        (60, False),
    ):
        action, state = policy.step(
            tf.constant([float(seen)]), tf.constant([first]), state
        )
        played.append(float(action[0, 0]))
    assert played == [10, 11, 30, 31, 32, 60]


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_sampled_chunks_differ_by_their_seeds(head):
    policy = make(steps=3, chunk=3, head=head).policy(greedy=False)
    first = tf.fill([6], True)
    played = [
        policy.step(states()[:, 0], first, policy.initial_state(6, seed=seed))[0]
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(played[0], played[1])
    assert np.any(played[0].numpy() != played[2].numpy()) == (head == "gaussian")
