"""Families of tasks on real HalfCheetah: goals, rewards, and what is not seen."""

import gymnasium
import numpy as np
import pytest

from pdtla.environments import levels, locomotion, mujoco, names, scores

FAMILIES = ("halfcheetah-vel", "halfcheetah-dir")


def make(env_id, num_envs=3, **settings):
    return mujoco.Mujoco(env_id=env_id, num_envs=num_envs, **settings)


def actions_of(env, steps, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1.0, 1.0, (steps, env.num_envs, 6)).astype(np.float32)


@pytest.mark.parametrize("env_id", FAMILIES)
def test_rewards_are_about_the_goal(env_id):
    env = make(env_id, seed=3)
    goals = locomotion.TASKS[env_id].goals.of_levels(env.current().level)
    simulators = []
    for slot in range(env.num_envs):
        simulator = gymnasium.make("HalfCheetah-v5").unwrapped
        simulator.reset()
        state = env.get_state()["simulators"][slot]
        # Time, positions and velocities come first.
        simulator.set_state(state[1:10], state[10:19])
        simulators.append(simulator)
    for actions in actions_of(env, 20):
        timestep = env.step(actions)
        for slot, simulator in enumerate(simulators):
            observation, _, _, _, info = simulator.step(actions[slot])
            # The solver starts warm from a state that was set by hand.
            np.testing.assert_allclose(
                timestep.observation[slot], observation, rtol=1e-3, atol=1e-4
            )
            velocity, goal = info["x_velocity"], goals[slot]
            aim = -abs(velocity - goal) if "vel" in env_id else velocity * goal
            expected = aim - 0.05 * np.square(actions[slot]).sum()
            np.testing.assert_allclose(timestep.reward[slot], expected, rtol=1e-3)


def test_velocities_of_any_levels_in_a_row_are_even_and_distinct():
    goals = locomotion.TASKS["halfcheetah-vel"].goals
    train = goals.of_levels(np.arange(40))
    test = goals.of_levels(levels.EVALUATION_START + np.arange(100))
    for found in (train, test):
        assert 0.0 <= found.min() < 0.1 and 2.9 < found.max() <= 3.0
        assert np.diff(np.sort(found)).max() < 2.0 * 3.0 / len(found)
    assert len(set(train) | set(test)) == 140
    # The nearest task trained on is another one.
    assert np.abs(train[:, None] - test).min(axis=0).mean() > 0.01


def test_directions_alternate():
    goals = locomotion.TASKS["halfcheetah-dir"].goals
    for start in (0, levels.EVALUATION_START):
        found = goals.of_levels(start + np.arange(4))
        np.testing.assert_array_equal(found, [1.0, -1.0, 1.0, -1.0])


@pytest.mark.parametrize("env_id", FAMILIES)
def test_observations_tell_nothing_of_the_goal(env_id):
    """Two tasks that begin alike look alike whatever is done."""
    one, two = (make(env_id, 1, start_level=level, num_levels=1) for level in (4, 7))
    state, other = one.get_state(), two.get_state()
    two.set_state({**state, "levels": other["levels"], "timestep": other["timestep"]})
    rewards = []
    for actions in actions_of(one, 30):
        first, second = one.step(actions), two.step(actions)
        np.testing.assert_array_equal(first.observation, second.observation)
        rewards.append((first.reward[0], second.reward[0]))
    assert (np.diff(rewards) != 0).all()


@pytest.mark.parametrize("env_id", FAMILIES)
def test_episodes_of_a_task_begin_differently(env_id):
    env = make(env_id, 4, start_level=5, num_levels=1, max_episode_steps=3)
    starts = [env.current().observation]
    for actions in actions_of(env, 3):
        timestep = env.step(actions)
    starts.append(timestep.observation)
    assert timestep.first.all() and (timestep.level == 5).all()
    assert len(np.unique(np.concatenate(starts), axis=0)) == 8
    again = make(env_id, 4, start_level=5, num_levels=1, max_episode_steps=3)
    np.testing.assert_array_equal(again.current().observation, starts[0])


def test_episodes_have_200_steps():
    env = make("halfcheetah-vel", 1)
    ends = [env.step(actions).truncated[0] for actions in actions_of(env, 200)]
    assert ends[-1] and not any(ends[:-1])


def test_state_brings_tasks_back():
    env = make("halfcheetah-vel", max_episode_steps=5)
    actions = actions_of(env, 20)
    state = env.get_state()
    expected = [env.step(action) for action in actions]
    other = make("halfcheetah-vel", max_episode_steps=5, seed=9)
    other.set_state(state)
    for action, timestep in zip(actions, expected, strict=True):
        for one, two in zip(other.step(action)[:5], timestep[:5], strict=True):
            np.testing.assert_array_equal(one, two)


def test_experts_are_shown_the_goal():
    plain, shown = (make("halfcheetah-vel", show_goal=show) for show in (False, True))
    goals = locomotion.TASKS["halfcheetah-vel"].goals.of_levels(plain.current().level)
    assert plain.observation_spec.shape == (17,) and shown.observation_spec.shape == (
        18,
    )
    for actions in actions_of(plain, 3):
        seen, more = plain.step(actions).observation, shown.step(actions).observation
        np.testing.assert_array_equal(more[:, :17], seen)
        np.testing.assert_array_equal(more[:, 17], goals.astype(np.float32))
    with pytest.raises(ValueError, match="show_goal needs a task with goals, got hopp"):
        make("hopper", show_goal=True)


@pytest.mark.parametrize("env_id", FAMILIES)
def test_names_resolve(env_id):
    for name in (env_id, f"{env_id}-expert-v0", f"mujoco_dataset/{env_id}-medium"):
        assert names.locomotion(name) == env_id
        assert make(name, 1).env_id == env_id
    low, high = scores.bounds(env_id, "goals")
    assert low < high
