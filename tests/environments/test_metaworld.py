"""Meta-World itself, at tiny size."""

import numpy as np
import pytest

from pdtla.environments import metaworld
from pdtla.experts import metaworld_expert


def _make(env_id="window-open", num_envs=2, **settings):
    return metaworld.MetaWorld(env_id=env_id, num_envs=num_envs, **settings)


def _actions(steps, num_envs, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (steps, num_envs, 4)).astype(np.float32)


def test_specs_describe_the_time_steps():
    env = _make(num_envs=3)
    timestep = env.step(np.zeros((3, 4)))
    assert env.observation_spec.shape == (39,)
    assert timestep.observation.shape == (3, 39)
    assert timestep.observation.dtype == timestep.reward.dtype == np.float32
    assert timestep.first.dtype == timestep.success.dtype == bool
    assert env.action_spec.shape == (4,)
    assert (env.action_spec.minimum, env.action_spec.maximum) == (-1.0, 1.0)
    copy = timestep.observation.copy()
    env.step(np.ones((3, 4)))
    np.testing.assert_array_equal(timestep.observation, copy)


@pytest.mark.parametrize("env_id", ["window-open", "assembly", "push-wall"])
def test_a_level_is_one_episode_whatever_was_before(env_id):
    """Not even the solver's warm start or a moved body may stay from the last one."""
    level = dict(start_level=77, num_levels=1)
    fresh = _make(env_id, 1, max_episode_steps=12, **level)
    used = _make(env_id, 1, max_episode_steps=12, **level)
    for action in _actions(31, 1, seed=1):
        used.step(action)
    used.restart(np.array([True]))
    np.testing.assert_array_equal(
        fresh.current().observation, used.current().observation
    )
    for action in _actions(11, 1):
        one, other = fresh.step(action), used.step(action)
        np.testing.assert_array_equal(one.observation, other.observation)
        np.testing.assert_array_equal(one.reward, other.reward)


def test_levels_differ_in_objects_and_goals():
    env = _make("push", num_envs=4, num_levels=10**6, seed=3)
    timestep = env.current()
    assert len(set(timestep.level.tolist())) == 4
    goals, objects = timestep.observation[:, -3:], timestep.observation[:, 4:7]
    assert len(np.unique(goals, axis=0)) == len(np.unique(objects, axis=0)) == 4
    same = _make("push", num_envs=4, num_levels=10**6, seed=3).current()
    np.testing.assert_array_equal(same.observation, timestep.observation)


def test_the_goal_stays_visible_after_the_first_step():
    env = _make("reach")
    goals = env.current().observation[:, -3:]
    assert np.all(np.abs(goals).sum(axis=1) > 0.1)
    after = env.step(np.zeros((2, 4))).observation
    np.testing.assert_array_equal(after[:, -3:], goals)


def test_step_limit_truncates_after_exactly_so_many_steps():
    env = _make(max_episode_steps=5, num_levels=50)
    assert env.current().first.all() and not env.current().truncated.any()
    levels = {tuple(env.current().level)}
    for episode_step in [1, 2, 3, 4, 5] * 3:
        timestep = env.step(np.zeros((2, 4)))
        assert (timestep.first == (episode_step == 5)).all()
        assert (timestep.truncated == timestep.first).all()
        levels.add(tuple(timestep.level))
    assert len(levels) == 4 and max(map(max, levels)) < 50


def test_actions_are_clipped():
    one, other = _make(num_levels=1), _make(num_levels=1)
    for action in 5 * _actions(5, 2):
        np.testing.assert_array_equal(
            one.step(action).observation,
            other.step(np.clip(action, -1, 1)).observation,
        )


def _play(env, steps):
    expert = metaworld_expert.MetaworldExpert(env.env_id)
    for step in range(steps):
        timestep = env.step(expert.act(env, env.current()))
        if timestep.success.any():
            return step, timestep
    raise AssertionError("No success.")


def test_success_goes_on_or_ends_the_episode():
    level = dict(start_level=5, num_levels=1)
    step, timestep = _play(_make(num_envs=1, **level), 120)
    assert not timestep.first.any()
    ending = _make(num_envs=1, end_on_success=True, **level)
    same_step, timestep = _play(ending, 120)
    assert same_step == step
    assert timestep.first.all() and not timestep.truncated.any()
    # The observation is the next episode's, the success the last one's.
    assert not ending.step(np.zeros((1, 4))).success.any()


def test_restart_begins_new_episodes_and_leaves_the_rest():
    env, other = _make(num_levels=1000), _make(num_levels=1000)
    for action in _actions(10, 2):
        env.step(action)
        other.step(action)
    before = env.current()
    after = env.restart(np.array([True, False]))
    assert after.first.tolist() == after.truncated.tolist() == [True, False]
    assert after.reward[0] == 0.0 and after.reward[1] == before.reward[1]
    assert after.level[0] != before.level[0]
    np.testing.assert_array_equal(after.observation[1], before.observation[1])
    for action in _actions(5, 2, seed=4):
        mine, theirs = env.step(action), other.step(action)
        np.testing.assert_array_equal(mine.observation[1], theirs.observation[1])


def test_pictures_show_what_happens():
    env = _make(images=True, num_envs=2, max_episode_steps=40)
    states = _make(num_envs=2, max_episode_steps=40)
    first = env.current().observation
    assert first.shape == (2, 64, 64, 3) and first.dtype == np.uint8
    assert env.observation_spec.is_image and first.std() > 20
    assert (first[0] != first[1]).any()  # other levels
    for action in _actions(10, 2):
        timestep, expected = env.step(action), states.step(action)
        np.testing.assert_array_equal(env.states(), expected.observation)
    assert np.mean(timestep.observation != first) > 0.01
    np.testing.assert_array_equal(states.render(1), timestep.observation[1])
    # The sky is above, the table below.
    sky, table = first[:, :8, :8].astype(int), first[:, -24:-16, 20:28].astype(int)
    assert np.ptp(sky.mean(axis=(0, 1, 2))) < np.ptp(table.mean(axis=(0, 1, 2)))
    env.close()
    states.close()


@pytest.mark.parametrize("env_id", ["window-open", "window-open-v2", "window-open-v3"])
def test_names_of_a_task(env_id):
    assert _make(env_id, 1).env_id == "window-open"


def test_unknown_task_names_all_of_them():
    with pytest.raises(ValueError, match="'windowopen' is not a Meta-World") as error:
        _make("windowopen")
    message = str(error.value)
    assert len(metaworld.TASKS) == 50 and "\n" not in message
    assert all(task in message for task in metaworld.TASKS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 0}, "num_envs must be 1 to 2\\^31 - 1, got 0"),
        ({"start_level": 5}, "ignores start_level"),
        ({"max_episode_steps": 0}, "max_episode_steps must be at least 1, got 0"),
        ({"camera": "behind"}, "camera must be one of corner, corner2"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        _make(**settings)


@pytest.mark.parametrize(
    ("actions", "message"),
    [(np.zeros((2, 3)), "shape"), (np.full((2, 4), np.nan), "finite")],
)
def test_impossible_actions_are_refused(actions, message):
    with pytest.raises(ValueError, match=message):
        _make().step(actions)
