import keras
import numpy as np

from pdtla.layers import gaussian_actor


def built(**settings):
    actor = gaussian_actor.GaussianActor(2, (8,), **settings)
    actor.build((None, 3))
    return actor


def inputs():
    return np.random.default_rng(0).normal(size=(16, 3)).astype("float32")


def test_bounded_means_are_the_tanh_of_unbounded_ones():
    free, bounded = built(), built(bounded=True)
    # Weights that lead far out of the bounds.
    weights = [100.0 * weight.numpy() for weight in free.network.weights]
    free.network.set_weights(weights)
    bounded.network.set_weights(weights)
    mean, _ = free.parameters(inputs())
    assert np.abs(mean).max() > 1.0
    squashed, _ = bounded.parameters(inputs())
    np.testing.assert_allclose(squashed, np.tanh(mean), rtol=1e-6)
    np.testing.assert_allclose(bounded(inputs()), np.tanh(mean), rtol=1e-5)


def test_the_deviation_has_a_floor():
    actor = built(initial_log_std=-3.0, min_log_std=-1.2)
    np.testing.assert_allclose(actor.parameters(inputs())[1], [-1.2, -1.2])
    actor.log_std.assign([0.5, -4.0])
    np.testing.assert_allclose(actor.parameters(inputs())[1], [0.5, -1.2])


def test_the_config_makes_the_same_actor():
    actor = built(initial_log_std=-0.5, min_log_std=-1.2, bounded=True)
    config = keras.saving.serialize_keras_object(actor)
    copy = keras.saving.deserialize_keras_object(config)
    copy.set_weights(actor.get_weights())
    np.testing.assert_array_equal(copy(inputs()), actor(inputs()))
    assert copy.min_log_std == -1.2 and copy.initial_log_std == -0.5
