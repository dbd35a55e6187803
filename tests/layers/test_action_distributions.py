"""Distributions over actions against SciPy."""

import numpy as np
import pytest
from scipy import stats

from pdtla import specs
from pdtla.layers import action_distributions as distributions

_RNG = np.random.default_rng(0)
_UNIFORM = np.float32((np.arange(4000) + 0.5) / 4000)[:, None]


def test_gaussian_likelihood_equals_scipy():
    params = _RNG.normal(0, 0.5, (5, 6)).astype("float32")
    action = _RNG.uniform(-0.9, 0.9, (5, 3)).astype("float32")
    before = np.arctanh(action)
    density = stats.norm.logpdf(before, params[:, :3], np.exp(params[:, 3:]))
    density -= np.log(1 - action**2)
    loss = distributions.TanhGaussian(3).loss(params, action)
    np.testing.assert_allclose(loss, -density.sum(-1).mean(), rtol=1e-4)


def test_actions_on_the_bounds_are_finite():
    loss = distributions.TanhGaussian(1).loss(
        np.zeros((2, 2), "f4"), np.float32([[1], [-1]])
    )
    assert np.isfinite(loss)


def test_gaussian_samples_have_its_quantiles():
    params = np.tile(np.float32([[0.3, -1.0]]), (4000, 1))
    samples = distributions.TanhGaussian(1).sample(params, np.tile(_UNIFORM, (1, 2)))
    before = np.arctanh(samples)[:, 0]
    np.testing.assert_allclose(before.mean(), 0.3, atol=5e-3)
    np.testing.assert_allclose(before.std(), np.exp(-1.0), rtol=1e-2)


def test_deterministic_actions_stay_in_the_bounds():
    point = distributions.Deterministic(2)
    params, action = np.float32([[3.0, -0.5]]), np.float32([[1.0, 0.5]])
    np.testing.assert_allclose(point.mode(params), [[1.0, -0.5]])
    np.testing.assert_allclose(point.loss(params, action), (4.0 + 1.0) / 2)
    np.testing.assert_allclose(point.metrics(params, action)["action_error"], 0.5)


@pytest.mark.parametrize("kind", ["deterministic", "gaussian"])
def test_wide_bounds_are_those_of_the_actions(kind):
    """A controller with torques of -3 to 2, say, is not cut at 1."""
    spec = specs.ArraySpec((2,), "float32", minimum=-3.0, maximum=2.0)
    wide = distributions.make_distribution(spec, kind)
    narrow = distributions.make_distribution(specs.ArraySpec((2,), "float32"), kind)
    params = _RNG.normal(0, 0.4, (20, wide.num_params)).astype("float32")
    action = _RNG.uniform(-3, 2, (20, 2)).astype("float32")
    uniform = np.full(params.shape, 0.3, "float32")
    np.testing.assert_allclose(wide.mode(params), 3 * narrow.mode(params), rtol=1e-6)
    np.testing.assert_allclose(
        wide.sample(params, uniform), 3 * narrow.sample(params, uniform), rtol=1e-6
    )
    # A density in other units: three times as wide in each of two directions.
    units = 2 * np.log(3) if kind == "gaussian" else 0.0
    np.testing.assert_allclose(
        wide.loss(params, action), narrow.loss(params, action / 3) + units, rtol=1e-5
    )
    assert wide.action_spec().minimum == -3.0 and wide.action_spec().maximum == 3.0
    again = type(wide).from_config(wide.get_config())
    np.testing.assert_array_equal(again.mode(params), wide.mode(params))


def test_r2_is_that_of_the_batch():
    action = _RNG.uniform(-1, 1, (50, 2)).astype("float32")
    point = distributions.Deterministic(2)
    assert float(point.metrics(action, action)["action_r2"]) == pytest.approx(1.0)
    mean = np.tile(action.mean(0), (50, 1))
    assert float(point.metrics(mean, action)["action_r2"]) == pytest.approx(0, abs=1e-5)


def test_actions_choose_their_distribution():
    discrete = specs.ArraySpec((), "int32", num_values=5)
    vector = specs.ArraySpec((3,), "float32")
    make = distributions.make_distribution
    assert isinstance(make(discrete), distributions.Categorical)
    assert make(vector).num_params == 3 and make(vector, "gaussian").num_params == 6
    with pytest.raises(ValueError, match="one of .* got 'mixture'"):
        make(vector, "mixture")
    with pytest.raises(ValueError, match="must be bounded, these lie in .*inf"):
        make(specs.ArraySpec((2,), "float32", minimum=-np.inf, maximum=np.inf))
    with pytest.raises(ValueError, match="must be categories or float vectors"):
        make(specs.ArraySpec((), "int32"))
