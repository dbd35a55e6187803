"""Procgen itself, at tiny size."""

import numpy as np
import pytest

from pdtla.environments import procgen, procgen_state

RIGHT, NO_ACTION = 7, procgen.NO_ACTION


def _make(env_id="maze", num_envs=2, **settings):
    return procgen.Procgen(env_id=env_id, num_envs=num_envs, **settings)


def _states(env):
    return [procgen_state.ProcgenState(data) for data in env.get_state()]


def test_specs_describe_the_time_steps():
    env = _make(num_envs=3)
    timestep = env.step(np.full(3, NO_ACTION))
    assert timestep.observation.shape == (3, *env.observation_spec.shape)
    assert timestep.observation.dtype == env.observation_spec.dtype
    assert timestep.reward.dtype == np.float32
    assert timestep.first.dtype == timestep.truncated.dtype == bool
    assert env.action_spec.num_values == 15


def test_time_steps_are_not_overwritten_by_later_ones():
    env = _make("bigfish")
    first = env.current().observation
    copy = first.copy()
    env.step(np.array([RIGHT, RIGHT]))
    np.testing.assert_array_equal(first, copy)


def test_same_seed_gives_the_same_run_and_another_seed_does_not():
    actions = np.random.default_rng(0).integers(15, size=(40, 2))

    def run(seed):
        env = _make("coinrun", seed=seed)
        return np.stack([env.step(action).observation for action in actions])

    np.testing.assert_array_equal(run(1), run(1))
    assert (run(1) != run(2)).any()


@pytest.mark.parametrize("num_threads", [0, 2])
def test_levels_stay_in_their_range(num_threads):
    env = _make(
        num_envs=8, start_level=100, num_levels=3, max_episode_steps=2,
        num_threads=num_threads,
    )  # fmt: skip
    levels = [env.current().level]
    for _ in range(20):
        levels.append(env.step(np.full(8, NO_ACTION)).level)
    assert set(np.concatenate(levels).tolist()) == {100, 101, 102}


def test_level_belongs_to_the_observation():
    env = _make(num_envs=4, max_episode_steps=3)
    for _ in range(7):
        timestep = env.step(np.full(4, NO_ACTION))
        assert [state.level_seed for state in _states(env)] == timestep.level.tolist()


def test_step_limit_truncates_after_exactly_so_many_steps():
    env = _make("bigfish", max_episode_steps=5)
    assert env.max_episode_steps == 5
    assert env.current().first.all() and not env.current().truncated.any()
    for episode_step in [1, 2, 3, 4, 5] * 3:
        timestep = env.step(np.array([NO_ACTION, NO_ACTION]))
        assert (timestep.first == (episode_step == 5)).all()
        assert (timestep.truncated == timestep.first).all()


def test_own_limit_of_the_game_stays_without_one():
    assert _make("maze").max_episode_steps == 500
    assert _make("maze", max_episode_steps=10_000).max_episode_steps == 500
    assert _make("coinrun").max_episode_steps == 1000


def test_step_limit_does_not_change_what_happens_before_it():
    free, limited = _make("coinrun"), _make("coinrun", max_episode_steps=30)
    for _ in range(29):
        expected = free.step(np.array([8, RIGHT]))
        actual = limited.step(np.array([8, RIGHT]))
        if expected.first.any():
            break
        np.testing.assert_array_equal(actual.observation, expected.observation)


def test_death_is_not_truncation():
    env = _make("bigfish", num_envs=16, seed=4)
    ends = 0
    for _ in range(150):
        timestep = env.step(np.full(16, NO_ACTION))
        assert not timestep.truncated.any()
        ends += timestep.first.sum()
    assert ends > 0


def test_restart_begins_new_episodes_and_leaves_the_rest():
    env, other = _make("bigfish"), _make("bigfish")
    for _ in range(10):
        env.step(np.array([RIGHT, RIGHT]))
        other.step(np.array([RIGHT, RIGHT]))
    before = env.current()
    after = env.restart(np.array([True, False]))
    assert after.first.tolist() == [True, False]
    assert after.truncated.tolist() == [True, False]
    np.testing.assert_array_equal(after.observation[1], before.observation[1])
    assert [state.time for state in _states(env)] == [0, 10]
    for _ in range(20):
        mine = env.step(np.array([RIGHT, 1]))
        theirs = other.step(np.array([RIGHT, 1]))
        np.testing.assert_array_equal(mine.observation[1], theirs.observation[1])


def test_set_state_returns_to_an_earlier_moment():
    env = _make("starpilot")
    for _ in range(5):
        env.step(np.array([9, RIGHT]))
    states = env.get_state()
    actions = np.random.default_rng(1).integers(15, size=(20, 2))
    expected = [env.step(action) for action in actions]
    env.set_state(states)
    for action, wanted in zip(actions, expected, strict=True):
        actual = env.step(action)
        np.testing.assert_array_equal(actual.observation, wanted.observation)
        np.testing.assert_array_equal(actual.reward, wanted.reward)


def test_plain_graphics_differ():
    plain = _make(use_backgrounds=False, restrict_themes=True).current()
    assert (plain.observation != _make().current().observation).any()


def test_unknown_game_names_the_sixteen():
    with pytest.raises(ValueError, match="'pong' is not a Procgen game") as error:
        _make("pong")
    message = str(error.value)
    assert "\n" not in message
    assert len(procgen.GAMES) == 16
    assert all(game in message for game in procgen.GAMES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_levels": -1}, "num_levels must be 0 to 2\\^31 - 1, got -1"),
        ({"start_level": 5}, "ignores start_level"),
        ({"start_level": 2**31 - 2, "num_levels": 5}, "must be at most"),
        ({"num_envs": 0}, "num_envs must be 1 to 2\\^31 - 1, got 0"),
        ({"max_episode_steps": 0}, "max_episode_steps must be 1"),
        ({"seed": -1}, "seed must be 0"),
        ({"distribution_mode": "medium"}, "'medium' is not a Procgen distribution"),
        ({"distribution_mode": "extreme"}, "no extreme mode of maze"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        _make(**settings)


@pytest.mark.parametrize(
    ("actions", "message"),
    [([1], "shape"), ([1, 15], "0 to 14"), ([-1, 1], "0 to 14")],
)
def test_impossible_actions_are_refused(actions, message):
    with pytest.raises(ValueError, match=message):
        _make().step(np.array(actions))
