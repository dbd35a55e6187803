"""Aggregates against SciPy, rliable's definitions and known distributions."""

import itertools

import numpy as np
import pytest
import scipy.stats

from pdtla.analysis import aggregate

# Three runs (rows) of four tasks.
RUNS = np.array(
    [[0.1, 0.9, 1.4, 0.3], [0.4, 0.7, 1.1, 0.2], [0.2, 1.0, 0.6, 0.8]], np.float64
)
OTHER = np.array(
    [[0.3, 0.9, 1.0, 0.1], [0.2, 0.6, 0.9, 0.4], [0.1, 0.5, 0.6, 0.2]], np.float64
)
TASKS = list(RUNS.T)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 10, 101])
def test_iqm_is_scipys_trimmed_mean(size):
    scores = np.random.default_rng(size).normal(size=size)
    expected = scipy.stats.trim_mean(scores, 0.25)
    np.testing.assert_allclose(aggregate.iqm(scores), expected, rtol=1e-12)


def test_rliable_definitions():
    np.testing.assert_allclose(aggregate.mean(TASKS), np.mean(np.mean(RUNS, axis=0)))
    np.testing.assert_allclose(
        aggregate.median_of_means(TASKS), np.median(np.mean(RUNS, axis=0))
    )
    np.testing.assert_allclose(
        aggregate.iqm(TASKS), scipy.stats.trim_mean(RUNS, 0.25, axis=None)
    )
    np.testing.assert_allclose(
        aggregate.optimality_gap(TASKS), 1.0 - np.mean(np.minimum(RUNS, 1.0))
    )
    expected = []
    for x, y in zip(RUNS.T, OTHER.T, strict=True):
        u, _ = scipy.stats.mannwhitneyu(x, y, alternative="greater")
        expected.append(u / 9)
    np.testing.assert_allclose(
        aggregate.probability_of_improvement(TASKS, list(OTHER.T)), np.mean(expected)
    )


def test_mean_median_and_standard_error_pool_the_strata():
    strata = [np.array([1.0, 2.0]), np.array([3.0, 10.0])]
    assert aggregate.mean(strata) == 4.0
    assert aggregate.median(strata) == 2.5
    np.testing.assert_allclose(
        aggregate.standard_error(strata), scipy.stats.sem([1, 2, 3, 10])
    )
    assert aggregate.standard_error(np.array([3.0])) == 0.0


def test_normalize():
    np.testing.assert_allclose(
        aggregate.normalize(np.array([3.0, 10.0, -4.0]), 3.0, 10.0), [0.0, 1.0, -1.0]
    )
    with pytest.raises(ValueError, match="two different scores"):
        aggregate.normalize(np.zeros(2), 1.0, 1.0)


def test_interval_of_the_mean_is_the_normal_one_for_many_scores():
    scores = np.random.default_rng(0).normal(5.0, 2.0, size=400)
    interval = aggregate.bootstrap_interval(scores, seed=1)
    half = 1.96 * aggregate.standard_error(scores)
    np.testing.assert_allclose(
        [interval.low, interval.high],
        [interval.estimate - half, interval.estimate + half],
        atol=0.02,
    )
    assert aggregate.bootstrap_interval(scores, seed=1) == interval


def test_resampling_stays_within_strata():
    """Constant strata leave nothing to resample, unless the strata are drawn too."""
    strata = [np.full(5, 1.0), np.full(5, 3.0)]
    assert aggregate.bootstrap_interval(strata) == aggregate.Interval(2.0, 2.0, 2.0)
    wide = aggregate.bootstrap_interval(strata, resample_strata=True)
    assert (wide.low, wide.high) == (1.0, 3.0)


def test_interval_covers_the_truth():
    """Percentile intervals of 60 skewed scores cover about 95% of the time."""
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        strata = [rng.exponential(1.0, 30), rng.exponential(3.0, 30)]
        interval = aggregate.bootstrap_interval(strata, num_resamples=400, seed=trial)
        covered += interval.low <= 2.0 <= interval.high
    assert 0.89 <= covered / 300 <= 0.98


def test_paired_difference_is_narrower_than_the_unpaired_one():
    rng = np.random.default_rng(0)
    level = rng.normal(size=100)
    x, y = level + 0.2 + 0.1 * rng.normal(size=100), level + 0.1 * rng.normal(size=100)
    paired = aggregate.paired_difference(x, y)
    np.testing.assert_allclose(paired.estimate, x.mean() - y.mean())
    assert 0.1 < paired.low < paired.high < 0.3
    both = aggregate.bootstrap_interval(x), aggregate.bootstrap_interval(y)
    assert both[0].overlaps(both[1])


@pytest.mark.parametrize(
    "call",
    [
        lambda: aggregate.bootstrap_interval([]),
        lambda: aggregate.bootstrap_interval([np.zeros(0)]),
        lambda: aggregate.bootstrap_interval(np.zeros((2, 2))),
        lambda: aggregate.paired_difference(np.zeros(2), np.zeros(3)),
        lambda: aggregate.probability_of_improvement([np.zeros(2)], [np.zeros(2)] * 2),
    ],
)
def test_wrong_arguments(call):
    with pytest.raises(ValueError):
        call()


def test_improvement_of_runs_drawn_anew():
    """One task: the share of the 3 x 3 pairs of drawn runs that x wins, ties half."""
    x, y = [0.0, 1.0, 2.0], [0.0, 1.0, 1.0]
    found = aggregate.improvement_interval([np.array(x)], [np.array(y)])
    assert found.estimate == pytest.approx((0.5 + 1 + 0.5 + 0.5 + 1 + 1 + 1) / 9)
    drawn = itertools.product(itertools.product(x, repeat=3), repeat=1)
    wins = [
        np.mean([(a > b) + 0.5 * (a == b) for a in xs for b in ys])
        for (xs,) in drawn
        for ys in itertools.product(y, repeat=3)
    ]
    expected = np.quantile(wins, [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.06)


def test_performance_profile_is_the_share_of_runs_above():
    """Agarwal et al. 2021, equation 1: over tasks and runs alike."""
    thresholds = np.array([0.0, 0.2, 0.95])
    share, low, high = aggregate.performance_profile(list(RUNS.T), thresholds)
    expected = [(RUNS > threshold).mean() for threshold in thresholds]
    np.testing.assert_allclose(share, expected)
    assert expected == [1.0, 9 / 12, 3 / 12]
    assert low[0] == high[0] == 1.0
    # Runs are drawn within their tasks, each a binomial of its share.
    shares = (RUNS > 0.2).mean(axis=0)
    deviation = np.sqrt(np.sum(3 * shares * (1 - shares))) / 12
    assert low[1] == pytest.approx(share[1] - 1.96 * deviation, abs=1.5 / 12)
    assert high[1] == pytest.approx(share[1] + 1.96 * deviation, abs=1.5 / 12)
    assert low[1] < share[1] < high[1]


def test_levels_that_seeds_share_are_drawn_for_all_of_them():
    """Three seeds that find the same levels hard tell no more than one."""
    rng = np.random.default_rng(0)
    levels = rng.standard_normal(64)
    alike = [levels, levels, levels]
    one = aggregate.bootstrap_interval(levels)
    both = aggregate.bootstrap_interval(alike, same_levels=True)
    apart = aggregate.bootstrap_interval(alike)
    assert (both.low, both.high) == pytest.approx((one.low, one.high), abs=0.02)
    assert apart.high - apart.low < 0.7 * (both.high - both.low)
    with pytest.raises(ValueError, match="have as many scores, got .64, 3."):
        aggregate.bootstrap_interval([levels, levels[:3]], same_levels=True)


@pytest.mark.parametrize("two_stage", [False, True])
def test_intervals_over_shared_levels_cover_the_truth(two_stage):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        levels = rng.standard_normal(32)
        seeds = [levels + rng.standard_normal(32) for _ in range(3)]
        interval = aggregate.bootstrap_interval(
            seeds, same_levels=True, resample_strata=two_stage, num_resamples=300
        )
        covered += interval.low <= 0.0 <= interval.high
    assert covered >= 88
