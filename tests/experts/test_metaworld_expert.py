"""Meta-World's scripts on the real tasks."""

import numpy as np
import pytest

from pdtla.environments import metaworld
from pdtla.experts import collect, metaworld_expert


def play(task, episodes, **settings):
    env = metaworld.MetaWorld(env_id=task, num_envs=1, **settings)
    player = metaworld_expert.MetaworldExpert(task)
    return list(collect.collect_episodes(env, player, episodes_per_slot=episodes))


@pytest.mark.parametrize("task", ["drawer-close", "reach", "sweep-into", "window-open"])
def test_solves_as_many_as_recorded(task):
    episodes = play(task, 4, max_episode_steps=150)
    solved = sum(episode.success for episode in episodes)
    assert solved >= (4 if metaworld_expert.SOLVED_OF_TEN[task] == 10 else 2)
    assert all(np.abs(episode.action).max() == 1.0 for episode in episodes)


@pytest.mark.filterwarnings("ignore:Constant")
def test_reads_the_state_before_the_action():
    (episode,) = play("window-open", 1, max_episode_steps=60)
    script = metaworld_expert.MetaworldExpert("window-open")._script
    for observation, action in zip(episode.observation, episode.action, strict=True):
        wanted = script.get_action(observation.astype(np.float64))
        np.testing.assert_array_equal(np.clip(wanted, -1, 1).astype("f4"), action)


def test_sees_states_where_pictures_are_observed():
    (seen,) = play("window-open", 1, max_episode_steps=8, images=True)
    (known,) = play("window-open", 1, max_episode_steps=8)
    assert seen.observation.shape == (8, 64, 64, 3)
    np.testing.assert_array_equal(seen.action, known.action)


def test_refuses_other_environments():
    env = metaworld.MetaWorld(env_id="reach", num_envs=1)
    with pytest.raises(ValueError, match="window-open_script plays window-open, got r"):
        metaworld_expert.MetaworldExpert("window-open").act(env, env.current())
    with pytest.raises(ValueError, match="'fly' is not a Meta-World task"):
        metaworld_expert.MetaworldExpert("fly")


def test_every_task_has_a_script():
    for task in metaworld.TASKS:
        metaworld_expert.MetaworldExpert(task)
    assert sum(n >= 9 for n in metaworld_expert.SOLVED_OF_TEN.values()) >= 12
