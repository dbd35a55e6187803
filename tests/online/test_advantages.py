import numpy as np
import pytest

from pdtla.online import advantages

DISCOUNT, TRACE = 0.9, 0.8


def estimate(reward, value, last, ended, truncated):
    return advantages.generalized_advantages(
        reward, value, last, ended, truncated, discount=DISCOUNT, trace=TRACE
    )


def random_steps(steps=12, envs=3, end_share=0.3):
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(2, steps, envs))
    ended = rng.random((steps, envs)) < end_share
    truncated = ended & (rng.random((steps, envs)) < 0.5)
    assert truncated.any() and (ended & ~truncated).any()
    return reward, value, rng.normal(size=envs), ended, truncated


def test_equals_the_sum_of_discounted_errors():
    """Equation 16 as it stands, every step on its own."""
    reward, value, last, ended, truncated = random_steps()
    actual = estimate(reward, value, last, ended, truncated)
    for env in range(3):
        for start in range(12):
            expected, weight = 0.0, 1.0
            for step in range(start, 12):
                after = last[env] if step == 11 else value[step + 1, env]
                if ended[step, env]:
                    after = value[step, env] if truncated[step, env] else 0.0
                error = reward[step, env] + DISCOUNT * after - value[step, env]
                expected += weight * error
                weight *= DISCOUNT * TRACE
                if ended[step, env]:
                    break
            assert actual.advantage[start, env] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(actual.target, actual.advantage + value, atol=1e-6)


def test_nothing_crosses_the_end_of_an_episode():
    reward, value, last, ended, truncated = random_steps()
    before = estimate(reward, value, last, ended, truncated).advantage
    step, env = np.argwhere(ended[:-1])[0]
    reward[step + 1 :, env] += 100.0
    value[step + 1 :, env] -= 50.0
    after = estimate(reward, value, last, ended, truncated).advantage
    np.testing.assert_array_equal(after[: step + 1, env], before[: step + 1, env])
    assert (after[step + 1 :, env] != before[step + 1 :, env]).any()


def test_a_true_end_is_worth_nothing_and_a_cut_one_goes_on():
    reward, value = np.ones((1, 2)), np.full((1, 2), 5.0)
    ended, truncated = np.array([[True, True]]), np.array([[False, True]])
    actual = estimate(reward, value, np.full(2, 99.0), ended, truncated)
    np.testing.assert_allclose(actual.target, [[1.0, 1.0 + DISCOUNT * 5.0]])
