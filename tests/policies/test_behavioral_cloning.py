"""Behavioural cloning of actions against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.policies.behavioral_cloning import BehavioralCloning

_SPEC = {
    "observation": specs.ArraySpec((1, 8, 8, 3), "uint8"),
    "action": specs.ArraySpec((1,), "int32", num_values=5),
}


def make():
    stage = BehavioralCloning(ImpalaCNN(channels=(4,), blocks=1, output_dim=7))
    stage.build(_SPEC)
    return stage


def frames(seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.integers(0, 256, (6, 1, 8, 8, 3), "uint8"))


def test_loss_and_accuracy_equal_numpy():
    stage = make()
    action = np.random.default_rng(1).integers(0, 5, (6, 1), "int32")
    batch = {"observation": frames(), "action": tf.constant(action)}
    losses, metrics = stage(batch, training=True)
    (network,) = stage.modules().values()
    logits = network(frames()).numpy()
    assert logits.shape == (6, 5)
    picked = np.exp(logits)[np.arange(6), action[:, 0]] / np.exp(logits).sum(-1)
    np.testing.assert_allclose(losses["action"], -np.log(picked).mean(), rtol=1e-5)
    expected = (logits.argmax(-1) == action[:, 0]).mean()
    np.testing.assert_allclose(metrics["accuracy"], expected)


def test_greedy_policy_takes_the_most_likely_action():
    stage = make()
    policy = stage.policy()
    state = policy.initial_state(6, seed=3)
    action, _ = policy.step(frames()[:, 0], tf.zeros(6, bool), state)
    expected = stage.modules()["policy"](frames()).numpy().argmax(-1)
    assert action.dtype == tf.int32
    np.testing.assert_array_equal(action, expected)


def test_the_policy_follows_the_weights():
    stage = make()
    policy = stage.policy()
    bias = stage.modules()["policy"].head.bias
    for wanted in (4, 1):
        bias.assign(100.0 * tf.one_hot(wanted, 5))
        state = policy.initial_state(6)
        action, _ = policy.step(frames()[:, 0], tf.zeros(6, bool), state)
        np.testing.assert_array_equal(action, [wanted] * 6)


@pytest.mark.parametrize("missing", ["observation", "action"])
def test_missing_fields_are_refused(missing):
    element_spec = {name: spec for name, spec in _SPEC.items() if name != missing}
    with pytest.raises(ValueError, match=f"also needs \\['{missing}'\\]"):
        BehavioralCloning(ImpalaCNN()).build(element_spec)
