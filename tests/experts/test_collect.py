"""Episode collection with real games at tiny size."""

import collections

import numpy as np
import pytest

from pdtla.environments import procgen
from pdtla.experts import collect, constant_expert, maze_expert, random_expert


def _maze(**settings):
    settings = {"num_envs": 3, "num_levels": 500} | settings
    return procgen.Procgen(env_id="maze", **settings)


def _collect(env, expert=None, **settings):
    expert = expert or maze_expert.MazeExpert()
    return list(collect.collect_episodes(env, expert, **settings))


def test_terminal_reward_is_counted():
    for episode in _collect(_maze(), episodes_per_slot=2):
        assert episode.terminal
        assert episode.episode_return == 10.0
        assert episode.reward[-1] == 10.0
        assert episode.reward.sum() == 10.0


def test_every_slot_gives_as_many_episodes():
    env = _maze(num_levels=0)
    slot_of_level = {}

    class Spy(maze_expert.MazeExpert):
        def act(self, env, timestep):
            slot_of_level.update({int(x): i for i, x in enumerate(timestep.level)})
            return super().act(env, timestep)

    episodes = _collect(env, Spy(), episodes_per_slot=4)
    slots = collections.Counter(slot_of_level[e.level_seed] for e in episodes)
    assert slots == {0: 4, 1: 4, 2: 4}


def test_same_seed_gives_the_same_episodes():
    def play(seed):
        return _collect(_maze(), episodes_per_slot=2, epsilon=0.3, seed=seed)

    first, second, other = play(5), play(5), play(6)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.observation, b.observation)
        np.testing.assert_array_equal(a.action, b.action)
        assert a.level_seed == b.level_seed
    assert any(
        len(a) != len(c) or (a.action != c.action).any()
        for a, c in zip(first, other, strict=True)
    )


def test_steps_replay_to_the_same_frames_and_rewards():
    (episode,) = _collect(_maze(num_envs=1), episodes_per_slot=1, epsilon=0.5, seed=1)
    env = _maze(num_envs=1)
    assert env.current().level[0] == episode.level_seed
    for frame, action, reward in zip(
        episode.observation, episode.action, episode.reward, strict=True
    ):
        np.testing.assert_array_equal(env.current().observation[0], frame)
        assert env.step(np.array([action])).reward[0] == reward
    assert env.current().first[0]


def test_a_step_limit_is_not_terminal():
    episodes = _collect(
        _maze(max_episode_steps=7),
        constant_expert.ConstantExpert(procgen.NO_ACTION),
        episodes_per_slot=2,
    )
    assert len(episodes) == 6
    for episode in episodes:
        assert not episode.terminal
        assert len(episode) == 7
        assert episode.episode_return == 0.0


def test_collection_in_the_middle_of_an_episode_starts_anew():
    env = _maze(num_envs=1)
    env.step(np.array([procgen.NO_ACTION]))
    skipped = env.current().level[0]
    (episode,) = _collect(env, episodes_per_slot=1)
    assert episode.level_seed != skipped
    assert episode.episode_return == 10.0


def test_epsilon_one_is_uniform_over_what_differs():
    episodes = _collect(_maze(max_episode_steps=100), episodes_per_slot=4, epsilon=1.0)
    actions = np.concatenate([episode.action for episode in episodes])
    counts = np.bincount(actions, minlength=15) / len(actions)
    expected = np.zeros(15)
    expected[[1, 3, 4, 5, 7]] = 0.2
    np.testing.assert_allclose(counts, expected, atol=0.05)


def test_recorded_actions_are_canonical():
    episodes = _collect(
        _maze(max_episode_steps=3), constant_expert.ConstantExpert(8),
        episodes_per_slot=1,
    )  # fmt: skip
    for episode in episodes:
        assert episode.action.tolist() == [7, 7, 7]


def test_random_expert_repeats_by_seed():
    env = _maze()
    draws = [random_expert.RandomExpert(s).act(env, env.current()) for s in (1, 1)]
    np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"episodes_per_slot": 0}, "episodes_per_slot must be at least 1, got 0"),
        ({"episodes_per_slot": 1, "epsilon": 1.5}, "0 to 1, got 1.5"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        _collect(_maze(), **settings)
