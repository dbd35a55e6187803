import numpy as np

from pdtla.layers.running_normalizer import RunningNormalizer


def test_statistics_are_those_of_all_that_was_seen():
    rng = np.random.default_rng(0)
    batches = [
        rng.normal(shift, scale, (size, 3)).astype(np.float32)
        for shift, scale, size in ((5.0, 2.0, 10), (-1.0, 0.1, 200), (0.0, 30.0, 7))
    ]
    layer = RunningNormalizer()
    layer.build((None, 3))
    for batch in batches:
        layer.update(batch)
    everything = np.concatenate(batches).astype(np.float64)
    np.testing.assert_allclose(layer.mean, everything.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(layer.variance, everything.var(axis=0), rtol=1e-4)
    assert float(layer.count) == 217
    expected = (everything - everything.mean(axis=0)) / everything.std(axis=0)
    np.testing.assert_allclose(
        layer(everything), np.clip(expected, -10.0, 10.0), rtol=1e-3, atol=1e-4
    )


def test_output_is_bounded_and_raw_before_the_first_update():
    layer = RunningNormalizer(limit=2.0)
    np.testing.assert_allclose(layer(np.array([[0.5, -1.5, 9.0]])), [[0.5, -1.5, 2.0]])
