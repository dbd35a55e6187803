"""The policies that come with the package, on a few levels."""

import json
import pickle

import numpy as np
import pytest

from pdtla.environments import locomotion, mujoco
from pdtla.experts import collect, mujoco_expert, random_expert

# Lowest returns that make a policy an expert.
EXPERTS = {
    "halfcheetah": 4000,
    "walker2d": 3000,
    "hopper": 2500,
    "halfcheetah-dir": 900,
}
STEADY = ("halfcheetah", "walker2d")
LEVELS = {"expert", "medium", *(f"replay-{number}" for number in range(5))}


def facts(env_id, level):
    path = mujoco_expert.CHECKPOINTS / env_id / level / "facts.json"
    return json.loads(path.read_text())


def play(expert, env_id, episodes, **settings):
    env = mujoco.Mujoco(
        env_id=env_id, num_envs=episodes, start_level=2**30, num_levels=1000, **settings
    )
    return list(collect.collect_episodes(env, expert, episodes_per_slot=1))


def mean_return(episodes):
    return np.mean([episode.episode_return for episode in episodes])


@pytest.mark.parametrize("env_id", EXPERTS)
def test_shipped_policies_are_complete_and_small(env_id):
    steady = {"steady"} if env_id in STEADY else set()
    assert set(mujoco_expert.levels(env_id)) == LEVELS | steady
    expert = facts(env_id, "expert")["return_mean"]
    assert expert >= EXPERTS[env_id]
    assert 0.2 < facts(env_id, "medium")["return_mean"] / expert < 0.5
    for directory in (mujoco_expert.CHECKPOINTS / env_id).iterdir():
        assert sum(file.stat().st_size for file in directory.iterdir()) < 100_000
        assert facts(env_id, directory.name)["episodes"] == 50


@pytest.mark.parametrize("env_id", EXPERTS)
@pytest.mark.parametrize("level", ["expert", "medium"])
def test_policies_reach_their_recorded_return(env_id, level):
    recorded = facts(env_id, level)
    episodes = play(mujoco_expert.MujocoExpert(env_id, level), env_id, 4)
    # Standard error of a mean of 4, from that of a mean of 50, beside a small slack.
    error = recorded["return_standard_error"] * np.sqrt(50 / 4)
    slack = 4.0 * error + 0.02 * abs(recorded["return_mean"])
    assert abs(mean_return(episodes) - recorded["return_mean"]) < slack


@pytest.mark.parametrize("env_id", STEADY)
def test_steady_experts_bear_noise(env_id):
    recorded = facts(env_id, "steady")["return_mean"]
    returns = {
        noise: mean_return(
            play(mujoco_expert.MujocoExpert(env_id, "steady", noise), env_id, 4)
        )
        for noise in (0.0, 0.3, 0.5)
    }
    assert returns[0.0] == pytest.approx(recorded, rel=0.05)
    assert returns[0.3] > 0.6 * recorded
    # The noisy mix of datasets counts on a third.
    assert 0.15 * recorded < returns[0.5] < 0.45 * recorded


def test_noise_is_clipped_seeded_and_costs_return():
    experts = [
        mujoco_expert.MujocoExpert("halfcheetah", action_noise=noise)
        for noise in (0.0, 0.5)
    ]
    plain, noisy = (
        play(expert, "halfcheetah", 2, max_episode_steps=300) for expert in experts
    )
    assert mean_return(noisy) < 0.8 * mean_return(plain)
    actions = noisy[0].action
    assert actions.dtype == np.float32 and np.abs(actions).max() == 1.0
    env = mujoco.Mujoco(env_id="halfcheetah", num_envs=2)
    drawn = []
    for seed in (1, 2, 1):
        experts[1].reseed(seed)
        drawn.append(experts[1].act(env, env.current()))
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert (drawn[0] != drawn[1]).any()
    assert experts[1].name == "ppo_halfcheetah_expert_noise_0.5"


def test_travels_to_other_processes():
    env = mujoco.Mujoco(env_id="halfcheetah-expert-v2", num_envs=3)
    expert = mujoco_expert.MujocoExpert("halfcheetah-expert-v2")
    actions = expert.act(env, env.current())
    copy = pickle.loads(pickle.dumps(expert))
    np.testing.assert_array_equal(copy.act(env, env.current()), actions)


def test_random_expert_fills_the_bounds():
    env = mujoco.Mujoco(env_id="halfcheetah", num_envs=200)
    actions = random_expert.RandomExpert(0).act(env, env.current())
    assert actions.shape == (200, 6) and actions.dtype == np.float32
    assert -1.0 <= actions.min() < -0.98 and 0.98 < actions.max() <= 1.0
    assert abs(actions.mean()) < 0.06
    assert actions.std() == pytest.approx(1.0 / np.sqrt(3.0), abs=0.03)


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="no 'best' policy for halfcheetah; there are"):
        mujoco_expert.MujocoExpert("halfcheetah", "best")
    with pytest.raises(ValueError, match="action_noise must be at least 0, got -1"):
        mujoco_expert.MujocoExpert("halfcheetah", action_noise=-1.0)
    with pytest.raises(ValueError, match="plays hopper, got walker2d"):
        env = mujoco.Mujoco(env_id="walker2d", num_envs=1)
        mujoco_expert.MujocoExpert("hopper").act(env, env.current())


def test_expert_of_velocities_reaches_every_goal():
    expert = mujoco_expert.MujocoExpert("halfcheetah-vel")
    known = facts("halfcheetah-vel", "expert")
    assert known["return_mean"] > -30.0 and len(known["return_of_goal"]) == 50
    # Running at the mean velocity of all tasks costs 150.
    assert min(value for _, value in known["return_of_goal"]) > -70.0
    episodes = play(expert, "halfcheetah-vel", 8)
    goals = locomotion.TASKS["halfcheetah-vel"].goals.of_levels(
        np.array([episode.level_seed for episode in episodes])
    )
    for episode, goal in zip(episodes, goals, strict=True):
        assert episode.observation.shape == (200, 17)
        velocity = episode.observation[50:, 8]  # of the torso, forward
        assert abs(velocity.mean() - goal) < 0.15
