import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.layers import gaussian_actor
from pdtla.online import gaussian_agent, ppo

RNG = np.random.default_rng(0)


def make(seed=0, **settings):
    keras.utils.set_random_seed(seed)
    agent = gaussian_agent.GaussianAgent(
        specs.ArraySpec((3,), "float32"),
        specs.ArraySpec((2,), "float32"),
        make_actor=gaussian_actor.GaussianActor,
        widths=(8,),
    )
    optimizer = keras.optimizers.Adam(1e-2)
    defaults = {"epochs": 1, "minibatch_size": 16}
    return ppo.Ppo(agent, optimizer, ppo.PpoSettings(**defaults | settings))


def played(learner, steps=64):
    observation = RNG.normal(1.0, 2.0, (steps, 3)).astype(np.float32)
    noise = RNG.normal(size=(steps, 2)).astype(np.float32)
    action, log_prob, _ = learner.act(observation, noise)
    advantage, target = RNG.normal(size=(2, steps)).astype(np.float32)
    return ppo.Played(observation, action.numpy(), log_prob.numpy(), advantage, target)


def test_clipped_loss_by_hand():
    ratio = tf.Variable([0.5, 0.9, 1.1, 1.5, 0.5, 1.5])
    advantage = np.array([2.0, 2.0, 2.0, 2.0, -3.0, -3.0], np.float32)
    with tf.GradientTape() as tape:
        loss = ppo.clipped_loss(ratio, advantage, 0.2)
    # What moved towards the gain by more than the clip counts at the clip, and there
    # is no gradient; what moved away counts in full.
    parts = [1.0, 1.8, 2.2, 2.4, -2.4, -4.5]
    assert float(loss) == pytest.approx(-np.mean(parts))
    gradient = -6.0 * tape.gradient(loss, ratio)
    np.testing.assert_allclose(gradient, [2.0, 2.0, 2.0, 0.0, 0.0, -3.0], rtol=1e-6)


def test_samples_have_the_probability_they_are_given():
    learner = make()
    observation = RNG.normal(size=(4, 3)).astype(np.float32)
    noise = RNG.normal(size=(4, 2)).astype(np.float32)
    learner.agent.actor.log_std.assign([0.3, -0.4])
    action, log_prob, value = learner.act(observation, noise)
    mean, log_std = learner.agent.actor.parameters(observation)
    np.testing.assert_allclose(
        action, mean + np.exp([0.3, -0.4]) * noise, rtol=1e-5, atol=1e-6
    )
    expected = learner.agent.exploration.log_prob((mean, log_std), action)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)
    np.testing.assert_allclose(
        value, learner.agent.critic(observation)[:, 0], rtol=1e-5
    )


def test_loss_before_any_change_by_hand():
    learner = make(entropy_weight=0.1, value_weight=0.7)
    batch = played(learner)
    loss, metrics = learner.losses(batch)
    value = learner.agent.critic(batch.observation).numpy()[:, 0]
    value_loss = 0.5 * np.mean((value - batch.target) ** 2)
    entropy = np.log(2 * np.pi * np.e)  # two components of deviation 1
    # All ratios are 1, and standardised advantages have the mean 0.
    assert float(metrics["policy_loss"]) == pytest.approx(0.0, abs=1e-5)
    assert float(metrics["kl"]) == pytest.approx(0.0, abs=1e-6)
    expected = 0.7 * value_loss - 0.1 * entropy
    assert float(loss) == pytest.approx(expected, abs=1e-5)


def test_compiled_update_equals_one_step_at_a_time():
    compiled, plain = make(epochs=2), make(epochs=2)
    steps = played(compiled)
    compiled.update(steps, np.random.default_rng(3), 1e-2)
    rng = np.random.default_rng(3)
    for order in [rng.permutation(64) for _ in range(2)]:
        for rows in order.reshape(-1, 16):
            batch = ppo.Played(*(tf.constant(field[rows]) for field in steps))
            with tf.GradientTape() as tape:
                loss, _ = plain.losses(batch)
            weights = (
                plain.agent.actor.trainable_variables
                + plain.agent.critic.trainable_variables
            )
            gradients = tape.gradient(loss, [weight.value for weight in weights])
            gradients, _ = tf.clip_by_global_norm(gradients, 0.5)
            plain.optimizer.apply(gradients, weights)
    for one, two in zip(
        compiled.agent.actor.trainable_variables
        + compiled.agent.critic.trainable_variables,
        plain.agent.actor.trainable_variables + plain.agent.critic.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    normalizer = compiled.agent.actor.normalizer
    np.testing.assert_allclose(
        normalizer.mean, steps.observation.mean(axis=0), rtol=1e-5
    )
    assert float(normalizer.count) == 64


def test_update_makes_good_actions_likelier():
    learner = make(epochs=5)
    steps = played(learner)
    good = steps.action[:, 0] > 0.0
    steps = steps._replace(advantage=np.where(good, 1.0, -1.0).astype(np.float32))
    before = learner.agent.actor(steps.observation)
    learner.update(steps, np.random.default_rng(0), 1e-2)
    after = learner.agent.actor(steps.observation)
    assert float(tf.reduce_mean(after[:, 0] - before[:, 0])) > 0.05


def test_target_kl_stops_an_update():
    free, held = make(epochs=20), make(epochs=20, target_kl=0.01)
    steps = played(free)
    metrics = free.update(steps, np.random.default_rng(0), 3e-2)
    assert metrics["minibatches"] == 80 and metrics["kl"] > 0.05
    metrics = held.update(steps, np.random.default_rng(0), 3e-2)
    assert 1 < metrics["minibatches"] < 40


def test_the_critic_learns_alone_when_it_is_told_to():
    learner = make(epochs=3)
    before = [weight.numpy() for weight in learner.agent.actor.trainable_variables]
    steps = played(learner)
    value = learner.agent.evaluate(learner.agent.prepare(steps.observation))[1]
    error = float(tf.reduce_mean(tf.square(value - steps.target)))
    metrics = learner.update(steps, np.random.default_rng(0), 1e-2, critic_only=True)
    for weight, old in zip(
        learner.agent.actor.trainable_variables, before, strict=True
    ):
        np.testing.assert_array_equal(weight, old)
    assert metrics["kl"] == pytest.approx(0.0, abs=1e-6)
    assert 2.0 * metrics["value_loss"] < error


def test_minibatches_must_divide_the_steps():
    learner = make()
    with pytest.raises(ValueError, match="must be a multiple of 16, got 60"):
        learner.update(played(learner, 60), np.random.default_rng(0), 1e-3)
