"""Point estimates and intervals of returns, by the definitions of rliable.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice", arXiv 2108.13264. Scores come as *strata*: a list of 1-D arrays, one for
each training seed or task, or one array for a single stratum. A statistic pools the
strata along the last axis, so that it also takes `[R, n]` arrays of R resamples.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

Strata = np.ndarray | Sequence[np.ndarray]
Statistic = Callable[[Strata], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Interval:
    """A point estimate and its confidence interval."""

    estimate: float
    low: float
    high: float

    def overlaps(self, other: "Interval") -> bool:
        """Whether the two intervals share a point."""
        return self.low <= other.high and other.low <= self.high


def pool(scores: Strata) -> np.ndarray:
    """The scores of all strata in one array, joined along the last axis, float64."""
    if isinstance(scores, np.ndarray):
        return scores.astype(np.float64)
    if not len(scores):
        raise ValueError("Statistics need at least one stratum of scores, got none.")
    return np.concatenate([np.asarray(s, np.float64) for s in scores], axis=-1)


def mean(scores: Strata) -> np.ndarray:
    """Mean of the pooled scores."""
    return pool(scores).mean(axis=-1)


def median(scores: Strata) -> np.ndarray:
    """Median of the pooled scores."""
    return np.median(pool(scores), axis=-1)


def iqm(scores: Strata) -> np.ndarray:
    """Interquartile mean: the mean of the pooled scores less a quarter at each end.

    As `scipy.stats.trim_mean(scores, 0.25)`, the number cut is rounded down.
    """
    pooled = np.sort(pool(scores), axis=-1)
    cut = pooled.shape[-1] // 4
    return pooled[..., cut : pooled.shape[-1] - cut].mean(axis=-1)


def optimality_gap(scores: Strata, gamma: float = 1.0) -> np.ndarray:
    """How far the normalised scores fall short of `gamma` on average."""
    return gamma - np.minimum(pool(scores), gamma).mean(axis=-1)


def median_of_means(scores: Strata) -> np.ndarray:
    """Median over strata of the mean in each, rliable's median over tasks."""
    if isinstance(scores, np.ndarray):
        return mean(scores)
    return np.median(np.stack([mean(stratum) for stratum in scores]), axis=0)


def standard_error(scores: Strata) -> float:
    """Standard error of the mean of the pooled scores, 0 for a single score."""
    pooled = pool(scores).ravel()
    if pooled.size < 2:
        return 0.0
    return float(pooled.std(ddof=1) / np.sqrt(pooled.size))


def normalize(scores: np.ndarray, low: float, high: float) -> np.ndarray:
    """Maps `low` (random, say) to 0 and `high` (expert) to 1.

    Raises:
      ValueError: `low` equals `high`, so the scale is undefined.
    """
    if low == high:
        raise ValueError(f"Normalisation needs two different scores, got {low} twice.")
    return (np.asarray(scores, np.float64) - low) / (high - low)


def bootstrap_interval(
    scores: Strata,
    statistic: Statistic = mean,
    *,
    confidence: float = 0.95,
    num_resamples: int = 5000,
    same_levels: bool = False,
    resample_strata: bool = False,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic by the stratified bootstrap.

    Each resample draws from every stratum as many scores as it has, with replacement.
    Within training seeds this is the uncertainty from the finite number of episodes
    for *these* seeds; with `resample_strata` the strata themselves are drawn first
    (the two-stage bootstrap, Davison and Hinkley 1997, section 3.8), which adds the
    variation between training seeds.

    Seeds that played the same levels find the same ones hard: three seeds on 64 levels
    tell less of other levels than 192 of them would. With `same_levels` a resample
    draws levels, the same ones for every seed (a crossed design: Owen 2007, "The
    pigeonhole bootstrap", Annals of Applied Statistics 1).

    Args:
      scores: the strata.
      statistic: maps strata to one number for each resample.
      confidence: probability that the interval should cover.
      num_resamples: R.
      same_levels: the strata are seeds, their scores of the same levels in one order.
      resample_strata: draw the strata with replacement as well.
      seed: seed of the resampling.

    Returns:
      The statistic of the scores and its interval.

    Raises:
      ValueError: a stratum is empty or not one-dimensional, or those of the same levels
        differ in length.
    """
    strata = _as_strata(scores)
    if same_levels and len({stratum.size for stratum in strata}) > 1:
        sizes = [stratum.size for stratum in strata]
        raise ValueError(f"Seeds of the same levels have as many scores, got {sizes}.")
    rng = np.random.default_rng(seed)
    if resample_strata:
        draws = _resample_two_stage(strata, statistic, num_resamples, same_levels, rng)
    elif same_levels:
        size = strata[0].size
        levels = rng.integers(size, size=(num_resamples, size))
        draws = statistic([stratum[levels] for stratum in strata])
    else:
        draws = statistic(
            [_resample(stratum, num_resamples, rng) for stratum in strata]
        )
    low, high = _ends(draws, confidence)
    return Interval(float(statistic(strata)), float(low), float(high))


def paired_difference(x: Strata, y: Strata, **kwargs) -> Interval:
    """Mean of x - y and its interval, episode against episode of the same level.

    Args:
      x: strata of scores, in the order of the evaluation levels.
      y: the same levels in the same order under the other method.
      **kwargs: passed to `bootstrap_interval`.

    Raises:
      ValueError: the scores do not pair up.
    """
    xs, ys = _as_strata(x), _as_strata(y)
    shapes = [s.shape for s in xs], [s.shape for s in ys]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"Paired scores must have equal shapes, got {shapes[0]} and {shapes[1]}."
        )
    differences = [np.subtract(a, b) for a, b in zip(xs, ys, strict=True)]
    return bootstrap_interval(differences, mean, **kwargs)


def probability_of_improvement(x: Strata, y: Strata) -> float:
    """Probability that a score of x beats one of y, ties counting half.

    The mean over tasks (strata) of the Mann-Whitney statistic, as in rliable.

    Raises:
      ValueError: x and y differ in their number of strata.
    """
    xs, ys = _as_strata(x), _as_strata(y)
    if len(xs) != len(ys):
        raise ValueError(f"Strata must pair up, got {len(xs)} and {len(ys)}.")
    wins = []
    for a, b in zip(xs, ys, strict=True):
        difference = np.subtract.outer(a, b)
        wins.append(np.mean((difference > 0) + 0.5 * (difference == 0)))
    return float(np.mean(wins))


def improvement_interval(
    x: Strata,
    y: Strata,
    *,
    confidence: float = 0.95,
    num_resamples: int = 5000,
    seed: int = 0,
) -> Interval:
    """`probability_of_improvement` with its interval by the stratified bootstrap.

    The scores of x and of y are resampled independently within each stratum.
    """
    estimate = probability_of_improvement(x, y)
    rng = np.random.default_rng(seed)
    draws = np.zeros(num_resamples)
    xs, ys = _as_strata(x), _as_strata(y)
    for a, b in zip(xs, ys, strict=True):
        a, b = (_resample(scores, num_resamples, rng) for scores in (a, b))
        difference = a[:, :, None] - b[:, None, :]
        wins = (difference > 0) + 0.5 * (difference == 0)
        draws += wins.mean(axis=(1, 2)) / len(xs)
    low, high = _ends(draws, confidence)
    return Interval(estimate, float(low), float(high))


def performance_profile(
    scores: Strata,
    thresholds: np.ndarray,
    *,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of the scores above each threshold, rliable's run-score distribution.

    Args:
      scores: the strata, each with the normalised scores of its runs.
      thresholds: `[T]`.
      confidence: probability that the intervals should cover.
      num_resamples: of the runs within their strata.
      seed: seed of the resampling.

    Returns:
      The shares and the ends of their pointwise intervals, `[T]` each.
    """
    strata = _as_strata(scores)
    rng = np.random.default_rng(seed)

    def shares(pooled: np.ndarray) -> np.ndarray:
        return np.stack([(pooled > each).mean(axis=-1) for each in thresholds], -1)

    draws = shares(pool([_resample(stratum, num_resamples, rng) for stratum in strata]))
    low, high = _ends(draws, confidence)
    return shares(pool(strata)), low, high


def _ends(draws: np.ndarray, confidence: float) -> np.ndarray:
    """The ends of the percentile interval of draws `[R, ...]`, `[2, ...]`."""
    tail = 50.0 * (1.0 - confidence)
    return np.percentile(draws, [tail, 100.0 - tail], axis=0)


def _as_strata(scores: Strata) -> list[np.ndarray]:
    """A list of checked float64 strata."""
    strata = [scores] if isinstance(scores, np.ndarray) else list(scores)
    strata = [np.asarray(stratum, np.float64) for stratum in strata]
    for stratum in strata:
        if stratum.ndim != 1 or not stratum.size:
            raise ValueError(
                f"A stratum must be a 1-D array of scores, got shape {stratum.shape}."
            )
    return strata


def _resample(stratum: np.ndarray, num: int, rng: np.random.Generator) -> np.ndarray:
    """Draws `[num, n]` scores from a stratum `[n]` with replacement."""
    return stratum[rng.integers(stratum.size, size=(num, stratum.size))]


def _resample_two_stage(
    strata: list[np.ndarray],
    statistic: Statistic,
    num_resamples: int,
    same_levels: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """The statistic of resamples of resampled strata, `[R]`."""
    draws = np.empty(num_resamples)
    for r in range(num_resamples):
        chosen = [strata[i] for i in rng.integers(len(strata), size=len(strata))]
        if same_levels:
            levels = rng.integers(strata[0].size, size=strata[0].size)
            draws[r] = statistic([stratum[levels] for stratum in chosen])
        else:
            draws[r] = statistic([_resample(stratum, 1, rng)[0] for stratum in chosen])
    return draws
