import pytest

from pdtla.environments import mujoco, names, scores


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("halfcheetah", "halfcheetah"),
        ("HalfCheetah-v5", "halfcheetah"),
        ("halfcheetah-medium-v0", "halfcheetah"),
        ("walker2d-expert-v2", "walker2d"),
        ("hopper-medium-replay", "hopper"),
        ("mujoco_dataset/walker2d-medium-expert", "walker2d"),
        ("d4rl_mujoco_halfcheetah/v0-expert", "halfcheetah"),
        ("d4rl_mujoco_ant", "ant"),
    ],
)
def test_names_resolve(name, task):
    assert names.locomotion(name) == task
    assert scores.bounds(name, "d4rl") == scores.TABLES["d4rl"][task]


@pytest.mark.parametrize(
    "name", ["cheetah", "halfcheetah-best", "halfcheetah-medium-v", "bigfish", ""]
)
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="the tasks are halfcheetah, walker2d, hopper"):
        names.locomotion(name)


def test_environments_take_the_names_of_datasets():
    env = mujoco.Mujoco(env_id="hopper-medium-v2", num_envs=1)
    assert env.env_id == "hopper"
    assert env.observation_spec.shape == (11,)
