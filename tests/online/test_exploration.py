import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.online import exploration

RNG = np.random.default_rng(0)


def test_log_probability_is_that_of_the_normal_distribution():
    action, mean = RNG.normal(size=(2, 5, 3))
    log_std = RNG.normal(size=3)
    std = np.exp(log_std)
    density = np.exp(-0.5 * ((action - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    found = exploration.Gaussian(3).log_prob(
        (tf.constant(mean), tf.constant(log_std)), tf.constant(action)
    )
    np.testing.assert_allclose(found, np.log(density.prod(axis=1)))


def test_categories_are_drawn_as_often_as_their_probability_says():
    spec = specs.ArraySpec((), "int32", num_values=3)
    categories = exploration.make_exploration(spec)
    logits = np.log(np.array([[0.6, 0.3, 0.1]], np.float32)) + 2.0
    noise = categories.noise(np.random.default_rng(0), (20_000,))
    assert noise.shape == (20_000, 3) and noise.dtype == np.float32
    params = tf.constant(np.repeat(logits, 20_000, axis=0))
    action = categories.sample(params, noise)
    shares = np.bincount(action, minlength=3) / 20_000
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.015)
    every = tf.constant([0, 1, 2])
    found = categories.log_prob(tf.constant(np.repeat(logits, 3, axis=0)), every)
    np.testing.assert_allclose(found, np.log([0.6, 0.3, 0.1]), rtol=1e-5)
    entropy = -np.sum([p * np.log(p) for p in (0.6, 0.3, 0.1)])
    assert float(categories.entropy(params)) == pytest.approx(entropy, rel=1e-5)
