"""What of a dataset's environment rollouts are held to."""

import pytest

from pdtla.environments import metaworld, procgen, recorded_options

MAZE = dict(
    pdtla_version="0.1.0",
    env_id="maze",
    distribution_mode="easy",
    use_backgrounds=False,
    restrict_themes=True,
    num_trajs=3,
)
OPTIONS = dict(env_id="maze", use_backgrounds=False, restrict_themes=True)


@pytest.mark.parametrize(
    ("recorded", "limit"), [(None, None), (200, 200), (1000, None), (None, 9999)]
)
def test_the_same_environment(recorded, limit):
    env = procgen.Procgen(num_envs=1, max_episode_steps=limit, **OPTIONS)
    assert not recorded_options.differences(
        {**MAZE, "max_episode_steps": recorded}, env
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"env_id": "heist"}, "env_id='maze' (not 'heist')"),
        ({"use_backgrounds": True}, "use_backgrounds=False (not True)"),
        ({"max_episode_steps": None}, "max_episode_steps=100 (not 500)"),
        (
            {"restrict_themes": False, "distribution_mode": "hard"},
            "distribution_mode='easy' (not 'hard'), restrict_themes=True (not False)",
        ),
    ],
)
def test_another_environment(changes, found):
    env = procgen.Procgen(num_envs=1, max_episode_steps=100, **OPTIONS)
    metadata = MAZE | {"max_episode_steps": 100} | changes
    assert recorded_options.differences(metadata, env) == found


def test_the_camera_counts_for_pictures_alone():
    env = metaworld.MetaWorld(env_id="reach", num_envs=1, camera="corner2")
    recorded = {"env_id": "reach", "camera": "corner", "images": False}
    assert not recorded_options.differences(recorded, env)
    found = recorded_options.differences(recorded | {"images": True}, env)
    assert found == "images=False (not True), camera='corner2' (not 'corner')"


def test_datasets_from_elsewhere_are_not_compared():
    assert recorded_options.is_recorded(MAZE)
    assert not recorded_options.is_recorded({"env_id": "HalfCheetah-v5"})
