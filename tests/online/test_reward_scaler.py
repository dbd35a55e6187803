import numpy as np

from pdtla.online import reward_scaler


def test_divides_by_the_deviation_of_discounted_sums():
    rng = np.random.default_rng(0)
    reward = rng.normal(3.0, 2.0, (50, 4))
    ended = rng.random((50, 4)) < 0.1
    scaler = reward_scaler.RewardScaler(4, 0.9)
    scaler(reward[:20], ended[:20])
    actual = scaler(reward[20:], ended[20:])
    sums = np.zeros((50, 4))
    for env in range(4):
        running = 0.0
        for step in range(50):
            running = 0.9 * running + reward[step, env]
            sums[step, env] = running
            running *= not ended[step, env]
    # The statistics begin as those of no samples, not of one.
    np.testing.assert_allclose(actual, reward[20:] / sums.std(), rtol=1e-5)


def test_scaled_rewards_are_bounded():
    scaler = reward_scaler.RewardScaler(1, 0.9, limit=2.0)
    reward = np.zeros((1000, 1))
    reward[500] = 1e6
    scaled = scaler(reward, np.zeros((1000, 1), bool))
    assert scaled[500] == 2.0 and scaled[499] == 0.0


def test_goes_on_from_its_state():
    rng = np.random.default_rng(0)
    reward, ended = rng.normal(size=(30, 2)), rng.random((30, 2)) < 0.2
    first, second = (reward_scaler.RewardScaler(2, 0.9) for _ in range(2))
    first(reward[:15], ended[:15])
    second.set_state(first.get_state())
    np.testing.assert_array_equal(
        first(reward[15:], ended[15:]), second(reward[15:], ended[15:])
    )
