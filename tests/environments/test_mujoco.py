import gymnasium
import numpy as np
import pytest

from pdtla.environments import mujoco

GYMNASIUM = {
    "halfcheetah": "HalfCheetah-v5",
    "walker2d": "Walker2d-v5",
    "hopper": "Hopper-v5",
}


def make(env_id="halfcheetah", num_envs=2, **settings):
    return mujoco.Mujoco(env_id=env_id, num_envs=num_envs, **settings)


def random_actions(env, steps, seed=0):
    rng = np.random.default_rng(seed)
    shape = (steps, env.num_envs, *env.action_spec.shape)
    return rng.uniform(-1.0, 1.0, shape).astype(np.float32)


class Reference:
    """One of Gymnasium's environments that starts at a level of ours."""

    def __init__(self, env_id, limit):
        self.env = gymnasium.make(GYMNASIUM[env_id], max_episode_steps=limit)

    def begin(self, level):
        self.env.reset()
        self.env.unwrapped.np_random = np.random.default_rng(level)
        return self.env.reset()[0]


@pytest.mark.parametrize("num_threads", [0, 2])
@pytest.mark.parametrize("env_id", sorted(GYMNASIUM))
def test_equals_gymnasium(env_id, num_threads):
    limit = 150 if env_id == "halfcheetah" else 25
    env = make(env_id, max_episode_steps=limit, num_threads=num_threads)
    references = [Reference(env_id, limit) for _ in range(2)]
    timestep = env.current()
    assert timestep.first.all() and not timestep.truncated.any()
    for slot, reference in enumerate(references):
        observation = reference.begin(int(timestep.level[slot]))
        np.testing.assert_array_equal(
            timestep.observation[slot], observation.astype(np.float32)
        )
    ends = {"terminated": 0, "truncated": 0}
    for actions in random_actions(env, 400):
        timestep = env.step(actions)
        for slot, reference in enumerate(references):
            observation, reward, terminated, truncated, _ = reference.env.step(
                actions[slot]
            )
            # The reward of the last action comes with the next episode's start.
            np.testing.assert_allclose(
                timestep.reward[slot], reward, rtol=1e-6, atol=1e-6
            )
            assert timestep.first[slot] == (terminated or truncated)
            assert timestep.truncated[slot] == (truncated and not terminated)
            ends["terminated"] += terminated
            ends["truncated"] += truncated and not terminated
            if timestep.first[slot]:
                observation = reference.begin(int(timestep.level[slot]))
            np.testing.assert_array_equal(
                timestep.observation[slot], observation.astype(np.float32)
            )
    env.close()
    assert ends["truncated"]
    assert bool(ends["terminated"]) == (env_id != "halfcheetah")


def test_levels_fix_the_start_and_the_seed_their_order():
    first, again = (make(num_envs=3, seed=4) for _ in range(2))
    other = make(num_envs=3, seed=5)
    np.testing.assert_array_equal(first.current().level, again.current().level)
    np.testing.assert_array_equal(
        first.current().observation, again.current().observation
    )
    assert (first.current().level != other.current().level).any()
    assert len(set(first.current().level)) == 3


def test_order_of_levels_does_not_depend_on_actions():
    played = []
    for seed in (0, 1):
        env = make("hopper", num_envs=2, seed=3)
        levels = [[], []]
        for actions in random_actions(env, 200, seed):
            timestep = env.step(actions)
            for slot in np.flatnonzero(timestep.first):
                levels[slot].append(int(timestep.level[slot]))
        played.append([found[:3] for found in levels])
    assert played[0] == played[1]


def test_levels_stay_in_their_range():
    env = make(num_envs=32, start_level=2**30, num_levels=5)
    assert set(env.current().level) == set(range(2**30, 2**30 + 5))
    same = env.current().level == env.current().level[0]
    starts = env.current().observation[same]
    assert same.sum() > 1
    np.testing.assert_array_equal(starts, np.broadcast_to(starts[0], starts.shape))


def test_restart_leaves_the_others():
    env, untouched = make(num_envs=2), make(num_envs=2)
    for actions in random_actions(env, 5):
        env.step(actions)
        expected = untouched.step(actions)
    timestep = env.restart(np.array([True, False]))
    np.testing.assert_array_equal(timestep.first, [True, False])
    np.testing.assert_array_equal(timestep.truncated, [True, False])
    np.testing.assert_array_equal(timestep.reward, [0.0, expected.reward[1]])
    np.testing.assert_array_equal(timestep.observation[1], expected.observation[1])
    assert timestep.level[0] != expected.level[0]
    actions = random_actions(env, 1)[0]
    np.testing.assert_array_equal(
        env.step(actions).observation[1], untouched.step(actions).observation[1]
    )


def test_state_brings_everything_back():
    env = make("walker2d", max_episode_steps=20)
    actions = random_actions(env, 60)
    for action in actions[:30]:
        env.step(action)
    state = env.get_state()
    expected = [env.step(action) for action in actions[30:]]
    other = make("walker2d", max_episode_steps=20, seed=9)
    other.set_state(state)
    for action, timestep in zip(actions[30:], expected, strict=True):
        for one, two in zip(other.step(action)[:5], timestep[:5], strict=True):
            np.testing.assert_array_equal(one, two)


def test_actions_are_clipped():
    env, bounded = make(), make()
    actions = 3.0 * random_actions(env, 1)[0]
    loud, plain = env.step(actions), bounded.step(np.clip(actions, -1.0, 1.0))
    np.testing.assert_array_equal(loud.reward, plain.reward)
    np.testing.assert_array_equal(loud.observation, plain.observation)


def test_renders_the_slot_asked_for():
    env = make(num_envs=2)
    before = env.render(0)
    assert before.shape == (64, 64, 3) and before.dtype == np.uint8
    assert before.std() > 5.0
    for actions in random_actions(env, 30):
        env.step(actions)
    after = env.render(0)
    assert (after != before).mean() > 0.02
    assert (after != env.render(1)).any()
    assert env.render(0, height=48, width=80).shape == (48, 80, 3)
    np.testing.assert_array_equal(env.render(0), after)
    env.close()


def test_rendering_does_not_change_what_follows():
    env, watched = make(num_envs=1), make(num_envs=1)
    for actions in random_actions(env, 20):
        watched.render(0)
        np.testing.assert_array_equal(
            env.step(actions).observation, watched.step(actions).observation
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"env_id": "cheetah"}, "'cheetah' is not a locomotion task"),
        ({"env_id": "ant"}, "There is no ant here; the tasks are halfcheetah"),
        ({"num_envs": 0}, "num_envs must be 1 to"),
        ({"max_episode_steps": 0}, "max_episode_steps must be at least 1, got 0"),
        ({"start_level": 3}, "num_levels=0 means all levels"),
        ({"start_level": 2**31 - 2, "num_levels": 5}, "must be at most 2\\^31 - 1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_wrong_actions_are_refused():
    env = make()
    with pytest.raises(ValueError, match=r"shape \(2, 6\), got \(2,\)"):
        env.step(np.zeros(2))
    with pytest.raises(ValueError, match="Actions must be finite"):
        env.step(np.full((2, 6), np.nan))
