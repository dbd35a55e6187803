"""Datasets of the real Meta-World: alignment, success, pictures, statistics."""

import functools
import hashlib

import numpy as np
import pytest
import synthetic
import tensorflow_datasets as tfds

from pdtla import specs
from pdtla.datasets import build, metaworld_settings, rlds_writer, shards
from pdtla.environments import metaworld
from pdtla.experts import metaworld_expert, random_expert

STEPS = 110  # enough for the script at full speed


class SlowExpert(metaworld_expert.MetaworldExpert):
    """Solves some levels in time, and asks for more than the bounds allow."""

    def act(self, env, timestep):
        actions = super().act(env, timestep)
        return np.where(timestep.level[:, None] % 2, 3.0 * actions, 0.3 * actions)


def build_task(data_dir, env_id="window-open", num_trajs=6, **kwargs):
    settings = {
        key: kwargs.pop(key)
        for key in ("images", "successes_only", "end_on_success", "max_episode_steps")
        if key in kwargs
    }
    return build.build(
        env_id=env_id,
        data_dir=str(data_dir),
        settings=functools.partial(
            metaworld_settings.MetaworldSettings,
            **{"max_episode_steps": STEPS} | settings,
        ),
        num_trajs=num_trajs,
        num_test_trajs=1,
        **{"num_workers": 1, **kwargs},
    )


def read(directory, split="train"):
    return synthetic.reader(
        directory.parents[2],
        dataset_name="metaworld_dataset",
        config=directory.parent.name,
        split=split,
    )


def episodes_of(directory):
    data = tfds.builder_from_directory(str(directory)).as_dataset(split="train")
    return list(tfds.as_numpy(data))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_task(tmp_path_factory.mktemp("data"), expert=SlowExpert("window-open"))


def replay(directory, episode, **settings):
    """Checks that stored actions lead from the level to what was stored."""
    reader = read(directory)
    begin, length = reader.starts[episode], reader.lengths[episode]
    steps = slice(begin, begin + length)
    env = metaworld.MetaWorld(
        env_id="window-open",
        num_envs=1,
        start_level=int(reader.level_seeds[episode]),
        num_levels=1,
        **settings,
    )
    for observation, action, reward in zip(
        reader.array(specs.OBSERVATION)[steps],
        reader.array(specs.ACTION)[steps],
        reader.array(specs.REWARD)[steps],
        strict=True,
    ):
        # o_t is there before a_t is taken: the first one is that of the level.
        np.testing.assert_array_equal(env.current().observation[0], observation)
        assert env.step(action[None]).reward[0] == reward
    env.close()
    return env


def test_stored_actions_lead_from_the_level_to_the_stored_observations(built):
    assert read(built).array(specs.OBSERVATION).shape[1:] == (39,)
    for episode in (0, 5):
        env = replay(built, episode, max_episode_steps=STEPS)
        assert env.current().first[0]


def test_only_successes_are_kept_and_enough_of_them(built):
    episodes = episodes_of(built)
    assert len(episodes) == 6 and all(e[rlds_writer.SUCCESS] for e in episodes)
    metadata = read(built).metadata
    # Slow levels, about every second one, were played and left out.
    assert metadata["attempts"] > 6 and metadata["success_rate"] == 1.0
    assert all(level % 2 for level in read(built).level_seeds)
    assert [e["episode_id"] for e in episodes] == [b"train-%06d" % n for n in range(6)]


def test_failures_are_stored_on_demand(tmp_path):
    directory = build_task(
        tmp_path, expert=SlowExpert("window-open"), successes_only=False
    )
    levels = read(directory).level_seeds
    success = np.array([e[rlds_writer.SUCCESS] for e in episodes_of(directory)])
    np.testing.assert_array_equal(success, levels % 2 == 1)
    metadata = read(directory).metadata
    assert metadata["attempts"] == 6
    np.testing.assert_allclose(metadata["success_rate"], success.mean())


def test_too_few_successes_are_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="needs 4 episodes, but only 0 of the 40"):
        build_task(
            tmp_path,
            expert=random_expert.RandomExpert(0),
            num_trajs=4,
            max_episode_steps=3,
        )
    assert not list(tmp_path.glob("**/1.0.0"))


def test_actions_are_stored_clipped(built):
    actions = read(built).array(specs.ACTION)
    assert actions.dtype == np.float32 and actions.shape[1] == 4
    assert np.abs(actions).max() == 1.0 and np.mean(np.abs(actions) == 1.0) > 0.2


def test_statistics_equal_those_of_numpy(built):
    reader = read(built)
    for field in (specs.OBSERVATION, specs.ACTION):
        rows = np.asarray(reader.array(field), np.float64)
        known = reader.metadata["statistics"][field]
        assert known["count"] == len(rows)
        for name in ("mean", "std", "min", "max"):
            expected = getattr(rows, name)(axis=0)
            np.testing.assert_allclose(known[name], expected, rtol=1e-9, atol=1e-12)


def test_files_do_not_depend_on_who_wrote_which(tmp_path):
    """What makes the bytes the same for any number of processes."""
    settings = metaworld_settings.MetaworldSettings(
        env_id="push",
        num_trajs=9,
        num_test_trajs=1,
        max_episode_steps=8,
        successes_only=False,
    )
    sums = []
    for order in (1, -1):
        plans = shards.plan_shards(settings, tmp_path / str(order))
        assert len(plans) > 3
        for plan in plans[::order]:
            shards.write_shard(plan, lambda done: None)
        sums.append([hashlib.sha256(p.path.read_bytes()).hexdigest() for p in plans])
    assert sums[0] == sums[1] and len(set(sums[0])) == len(sums[0])


def test_pictures_are_a_dataset_of_their_own(tmp_path):
    settings = dict(num_trajs=2, max_episode_steps=9, successes_only=False)
    states = build_task(tmp_path, **settings)
    pictures = build_task(tmp_path, env_id="window-open-v2", images=True, **settings)
    assert pictures.parent.name == "window-open-images" != states.parent.name
    seen, known = read(pictures), read(states)
    assert seen.array(specs.OBSERVATION).shape == (18, 64, 64, 3)
    assert seen.array(specs.OBSERVATION).dtype == np.uint8
    np.testing.assert_array_equal(seen.array(specs.ACTION), known.array(specs.ACTION))
    assert set(seen.metadata["statistics"]) == {specs.ACTION}
    replay(pictures, 1, images=True, max_episode_steps=9)


def test_episodes_end_with_success_on_demand(tmp_path):
    directory = build_task(
        tmp_path, num_trajs=2, end_on_success=True, max_episode_steps=120
    )
    reader = read(directory)
    assert reader.lengths.max() < 120
    last = reader.starts + reader.lengths - 1
    np.testing.assert_array_equal(np.flatnonzero(reader.array(specs.IS_TERMINAL)), last)


def test_wrong_settings_are_refused(tmp_path):
    for kwargs, message in (
        (dict(env_id="windows"), "'windows' is not a Meta-World task"),
        (dict(num_trajs=0), "num_trajs must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            build_task(tmp_path, **kwargs)
    assert not list(tmp_path.iterdir())
