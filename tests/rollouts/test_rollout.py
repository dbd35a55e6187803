"""Accounting of rollouts, on the real simulator."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla.environments.metaworld import MetaWorld
from pdtla.environments.procgen import Procgen
from pdtla.experts.expert import Expert
from pdtla.experts.maze_expert import MazeExpert
from pdtla.experts.metaworld_expert import MetaworldExpert
from pdtla.rollouts.rollout import rollout, rollout_expert
from pdtla.rollouts.trivial_policies import Constant, UniformRandom
from pdtla.stage import Policy

RIGHT_AND_JUMP = 8


def make_env(env_id="maze", num_envs=4, **kwargs):
    kwargs = {"start_level": 5000, "num_levels": 1000, "seed": 3} | kwargs
    return Procgen(env_id=env_id, num_envs=num_envs, **kwargs)


def test_terminal_reward_counts_on_maze():
    """The only reward of maze arrives with the step that ends the episode."""
    result = rollout_expert(make_env(), MazeExpert(), episodes_per_slot=2)
    np.testing.assert_array_equal(result.returns, np.full((4, 2), 10.0))
    assert result.returns.dtype == np.float64
    assert not result.truncated.any()


def test_terminal_reward_counts_on_coinrun():
    """Constant right-and-jump reaches the coin, worth 10 at the end, on some levels."""
    result = rollout(make_env("coinrun", 16), Constant(RIGHT_AND_JUMP))
    assert set(np.unique(result.returns)) == {0.0, 10.0}


class AgainstTheLoop(Expert):
    """Random actions, with the episodes written down step by step as they happen."""

    name = "recorder"

    def __init__(self, num_envs):
        self.rng = np.random.default_rng(0)
        self.history = [[] for _ in range(num_envs)]

    def act(self, env, timestep):
        for slot, slot_history in enumerate(self.history):
            if timestep.first[slot]:
                if slot_history:
                    slot_history[-1]["return"] += timestep.reward[slot]
                slot_history.append(
                    {"return": 0.0, "length": 0, "level": timestep.level[slot]}
                )
            else:
                slot_history[-1]["return"] += timestep.reward[slot]
            slot_history[-1]["length"] += 1
        return self.rng.integers(15, size=env.num_envs).astype(np.int32)


def test_slots_weigh_equally_and_match_a_plain_loop():
    expert = AgainstTheLoop(6)
    result = rollout_expert(make_env("bigfish", 6), expert, episodes_per_slot=2)
    assert result.returns.shape == result.lengths.shape == (6, 2)
    played = [len(history) for history in expert.history]
    assert max(played) > 2, "some slot must have gone on uncounted for the test to bite"
    for slot, history in enumerate(expert.history):
        # The very last step of the loop is seen by no further call of `act`.
        for index in range(min(2, len(history) - 1)):
            assert result.returns[slot, index] == history[index]["return"]
            assert result.lengths[slot, index] == history[index]["length"]
            assert result.levels[slot, index] == history[index]["level"]


def test_levels_do_not_depend_on_the_policy():
    env = make_env()
    random = rollout(env, UniformRandom(env.action_spec), max_steps=20)
    expert = rollout_expert(make_env(), MazeExpert(), max_steps=20)
    np.testing.assert_array_equal(random.levels, expert.levels)
    other = rollout_expert(make_env(seed=4), MazeExpert())
    assert (other.levels != expert.levels).any()


def test_step_cap_cuts_and_begins_the_next_episode():
    result = rollout(make_env(), Constant(4), episodes_per_slot=3, max_steps=5)
    np.testing.assert_array_equal(result.lengths, np.full((4, 3), 5))
    np.testing.assert_array_equal(result.returns, np.zeros((4, 3)))
    assert result.truncated.all()
    assert len(np.unique(result.levels)) > 4
    capped_by_env = rollout(
        make_env(max_episode_steps=5), Constant(4), episodes_per_slot=3
    )
    np.testing.assert_array_equal(capped_by_env.levels, result.levels)
    np.testing.assert_array_equal(capped_by_env.lengths, result.lengths)
    assert capped_by_env.truncated.all()


def test_seed_of_a_random_policy():
    def returns(seed):
        env = make_env("bigfish", 8)
        policy = UniformRandom(env.action_spec)
        return rollout(env, policy, seed=seed).lengths

    np.testing.assert_array_equal(returns(0), returns(0))
    assert (returns(0) != returns(1)).any()


def test_begins_at_a_first_step():
    env = make_env()
    for _ in range(3):
        env.step(np.full(4, 4))
    result = rollout_expert(env, MazeExpert())
    fresh = rollout_expert(make_env(), MazeExpert(), episodes_per_slot=2)
    np.testing.assert_array_equal(result.levels[:, 0], fresh.levels[:, 1])
    np.testing.assert_array_equal(result.lengths[:, 0], fresh.lengths[:, 1])


class StepsSinceFirst(Policy):
    """Stands still; where `is_first` did not reset the count, acts illegally."""

    def initial_state(self, batch_size, seed=0):
        return {"count": tf.fill([batch_size], 100)}

    def step(self, observation, is_first, state):
        count = tf.where(is_first, 0, state["count"] + 1)
        return tf.where(count < 7, 4, 15 + count), {"count": count}


def test_is_first_marks_every_episode_start():
    """A count beyond the cap would be an illegal action, which raises."""
    result = rollout(make_env(), StepsSinceFirst(), episodes_per_slot=3, max_steps=7)
    np.testing.assert_array_equal(result.lengths, np.full((4, 3), 7))


def test_videos_are_the_first_episodes():
    result = rollout_expert(make_env(), MazeExpert(), episodes_per_slot=2, record=3)
    assert [len(video) for video in result.videos] == list(result.lengths[:3, 0])
    assert result.videos[0].shape[1:] == (64, 64, 3)
    assert result.videos[0].dtype == np.uint8
    first_frame = make_env().current().observation[0]
    np.testing.assert_array_equal(result.videos[0][0], first_frame)
    assert (result.videos[0][-1] != first_frame).any()


@pytest.mark.parametrize(
    "kwargs", [{"episodes_per_slot": 0}, {"max_steps": 0}, {"record": 5}]
)
def test_wrong_arguments(kwargs):
    name = next(iter(kwargs))
    with pytest.raises(ValueError, match=f"{name} must be"):
        rollout(make_env(), Constant(4), **kwargs)


class LazyExpert(MetaworldExpert):
    """Plays the levels of even number alone."""

    def act(self, env, timestep):
        return np.where(timestep.level[:, None] % 2, 0.0, super().act(env, timestep))


@pytest.mark.parametrize("end_on_success", [False, True])
def test_an_episode_succeeds_if_any_of_its_steps_does(end_on_success):
    env = MetaWorld(
        env_id="window-open",
        num_envs=2,
        num_levels=1000,
        max_episode_steps=120,
        end_on_success=end_on_success,
    )
    result = rollout_expert(env, LazyExpert("window-open"), episodes_per_slot=2)
    assert result.successes.dtype == bool and result.successes.shape == (2, 2)
    np.testing.assert_array_equal(result.successes, result.levels % 2 == 0)
    assert 0 < result.successes.sum() < 4
    ended = result.lengths < 120
    np.testing.assert_array_equal(ended, result.successes & end_on_success)
    np.testing.assert_array_equal(result.truncated, ~ended)


def test_no_success_where_environments_do_not_tell():
    assert rollout(make_env(max_episode_steps=2), Constant(4)).successes is None


def test_video_of_an_environment_that_shows_states():
    env = MetaWorld(env_id="reach", num_envs=2, max_episode_steps=6)
    begin = env.render(0)
    result = rollout(env, Constant([1.0, 0.0, 0.0, 0.0]), record=1)
    (video,) = result.videos
    assert video.shape == (6, 64, 64, 3) and video.dtype == np.uint8
    np.testing.assert_array_equal(video[0], begin)
    assert (video[5] != begin).mean() > 0.01
    env.close()
