"""Codes side by side, against each of them alone."""

import numpy as np

from pdtla.layers.action_distributions import Categorical
from pdtla.layers.latent_codes import LatentCodes

_RNG = np.random.default_rng(0)
_PARAMS = _RNG.standard_normal((6, 3 * 4)).astype("float32")
_CODES = _RNG.integers(0, 4, (6, 3)).astype("int32")
_WEIGHT = np.float32([1, 0, 1, 1, 0, 2])


def test_losses_and_metrics_are_means_over_the_codes():
    both, each = LatentCodes(3, 4), Categorical(4)
    for weight in (None, _WEIGHT):
        alone = [
            (_PARAMS[:, 4 * m : 4 * m + 4], _CODES[:, m], weight) for m in range(3)
        ]
        expected = np.mean([each.loss(*arguments) for arguments in alone])
        np.testing.assert_allclose(
            both.loss(_PARAMS, _CODES, weight), expected, rtol=1e-5
        )
        accuracy = [each.metrics(*arguments)["accuracy"] for arguments in alone]
        found = both.metrics(_PARAMS, _CODES, weight)["accuracy"]
        np.testing.assert_allclose(found, np.mean(accuracy), rtol=1e-5)


def test_modes_and_samples_are_those_of_each():
    both = LatentCodes(3, 4)
    best = _PARAMS.reshape(6, 3, 4).argmax(-1)
    np.testing.assert_array_equal(both.mode(_PARAMS), best)
    uniform = _RNG.uniform(0.01, 0.99, (6, 12)).astype("float32")
    gumbel = -np.log(-np.log(uniform))
    drawn = (_PARAMS + gumbel).reshape(6, 3, 4).argmax(-1)
    np.testing.assert_array_equal(both.sample(_PARAMS, uniform), drawn)
    assert np.any(drawn != best)
    assert both.action_spec().shape == (3,) and both.action_spec().num_values == 4
    assert LatentCodes.from_config(both.get_config()).num_params == 12
