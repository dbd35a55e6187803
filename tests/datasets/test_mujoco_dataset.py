"""Datasets of real locomotion: who plays when, and what is stored."""

import functools
import hashlib

import numpy as np
import pytest
import synthetic
import tensorflow_datasets as tfds

from pdtla import specs
from pdtla.datasets import build, mujoco_settings, rlds_writer
from pdtla.datasets.mujoco_dataset import mujoco_dataset_dataset_builder
from pdtla.environments import levels, mujoco
from pdtla.experts import random_expert


class TimidExpert(random_expert.RandomExpert):
    """Stands in for a trained policy: small random actions keep a hopper up longer."""

    name = "timid_expert"

    def act(self, env, timestep):
        return 0.01 * super().act(env, timestep)


class BoldExpert(random_expert.RandomExpert):
    """Asks for more than the bounds allow."""

    name = "bold_expert"

    def act(self, env, timestep):
        return 3.0 * super().act(env, timestep)


def build_hopper(data_dir, mix="random", num_trajs=21, **kwargs):
    settings = functools.partial(
        mujoco_settings.MujocoSettings, mix=mix, max_episode_steps=30
    )
    kwargs = {"num_workers": 1, **kwargs}
    return build.build(
        env_id="hopper",
        data_dir=str(data_dir),
        settings=settings,
        num_trajs=num_trajs,
        num_test_trajs=3,
        **kwargs,
    )


def read(directory, split="train"):
    return synthetic.reader(
        directory.parents[2],
        dataset_name="mujoco_dataset",
        config=directory.parent.name,
        split=split,
    )


def checksums(directory):
    return [
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.glob("*.tfrecord*"))
    ]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_hopper(tmp_path_factory.mktemp("data"))


@pytest.fixture
def stand_in(monkeypatch):
    """Another policy in place of the trained one of medium strength."""
    whole = mujoco_settings.MujocoSettings._player
    monkeypatch.setattr(
        mujoco_settings.MujocoSettings,
        "_player",
        lambda self, policy, expert: (
            TimidExpert(1) if policy == "medium" else whole(self, policy, expert)
        ),
    )


def test_stored_actions_lead_from_the_level_to_the_stored_observations(built):
    reader = read(built)
    assert built.parent.name == "hopper-random"
    for episode in (0, 20):
        steps = slice(
            reader.starts[episode], reader.starts[episode] + reader.lengths[episode]
        )
        level = int(reader.level_seeds[episode])
        env = mujoco.Mujoco(
            env_id="hopper",
            num_envs=1,
            start_level=level,
            num_levels=1,
            max_episode_steps=30,
        )
        for observation, action, reward in zip(
            reader.array(specs.OBSERVATION)[steps],
            reader.array(specs.ACTION)[steps],
            reader.array(specs.REWARD)[steps],
            strict=True,
        ):
            np.testing.assert_array_equal(env.current().observation[0], observation)
            assert env.step(action[None]).reward[0] == reward
        assert env.current().first[0]


def test_random_actions_are_uniform_within_the_bounds(built):
    actions = read(built).array(specs.ACTION)
    assert actions.dtype == np.float32 and actions.shape[1] == 3
    assert np.abs(actions).max() <= 1.0
    np.testing.assert_allclose(actions.mean(), 0.0, atol=0.1)
    np.testing.assert_allclose(actions.std(), 1 / 3**0.5, atol=0.05)


def test_statistics_equal_those_of_numpy(built):
    reader = read(built)
    for field in (specs.OBSERVATION, specs.ACTION):
        rows = np.asarray(reader.array(field), np.float64)
        known = reader.metadata["statistics"][field]
        assert known["count"] == reader.num_steps == len(rows)
        for name in ("mean", "std", "min", "max"):
            expected = getattr(rows, name)(axis=0)
            np.testing.assert_allclose(known[name], expected, rtol=1e-9, atol=1e-12)


def test_two_processes_write_the_same_bytes(built, tmp_path):
    again = build_hopper(tmp_path, num_workers=2)
    assert checksums(again) == checksums(built)
    metadata = [read(directory).metadata for directory in (built, again)]
    assert metadata[0] == metadata[1]


def test_policies_take_turns_in_every_first_part(stand_in, tmp_path):
    directory = build_hopper(tmp_path, mix="medium-random", num_trajs=45)
    builder = tfds.builder_from_directory(str(directory))
    episodes = list(tfds.as_numpy(builder.as_dataset(split="train")))
    policies = [episode[rlds_writer.POLICY].decode() for episode in episodes]
    assert policies == ["medium", "random"] * 22 + ["medium"]
    lengths = np.array([episode["length"] for episode in episodes])
    # Not in the order in which they ended: that would put the short ones first.
    random = lengths[1::2]
    assert np.any(np.diff(random[:15]) < 0)
    metadata = builder.info.metadata
    assert metadata["policies"]["medium"]["episodes"] == 23
    returns = np.array([episode["episode_return"] for episode in episodes])
    for first, name in enumerate(["medium", "random"]):
        measured = metadata["policies"][name]["return_mean"]
        np.testing.assert_allclose(measured, returns[first::2].mean(), rtol=1e-6)
    assert len({int(episode["level_seed"]) for episode in episodes}) == 45
    assert metadata["expert"] == "timid_expert, random_expert"


def test_actions_beyond_the_bounds_are_stored_as_executed(tmp_path):
    directory = build_hopper(tmp_path, mix="expert", num_trajs=4, expert=BoldExpert(0))
    actions = read(directory).array(specs.ACTION)
    assert np.mean(np.abs(actions) == 1.0) > 0.5 and np.abs(actions).max() == 1.0
    assert read(directory).metadata["expert"] == "bold_expert"


def test_many_names_mean_one_dataset(built):
    settings = functools.partial(
        mujoco_settings.MujocoSettings, mix="random", max_episode_steps=30
    )
    again = build.build(
        env_id="Hopper-v5",
        data_dir=str(built.parents[2]),
        settings=settings,
        num_trajs=21,
        num_test_trajs=3,
    )
    assert again == built


def test_wrong_settings_are_refused(tmp_path):
    for kwargs, message in (
        (dict(mix="mediocre"), "mix must be one of expert, medium"),
        (dict(mix="random", expert=BoldExpert(0)), "random has no expert's part"),
    ):
        with pytest.raises(ValueError, match=message):
            build_hopper(tmp_path, **kwargs)
    assert not list(tmp_path.glob("**/*.tfrecord*"))


def test_shipped_policies_play_their_parts(tmp_path):
    settings = functools.partial(
        mujoco_settings.MujocoSettings, mix="medium-expert", max_episode_steps=300
    )
    directory = build.build(
        env_id="halfcheetah",
        data_dir=str(tmp_path),
        settings=settings,
        num_trajs=4,
        num_test_trajs=1,
        num_workers=1,
    )
    metadata = read(directory).metadata
    assert metadata["expert"] == "ppo_halfcheetah_medium, ppo_halfcheetah_expert"
    medium, expert = (metadata["policies"][name] for name in ("medium", "expert"))
    assert medium["episodes"] == expert["episodes"] == 2
    assert expert["return_mean"] > 1.5 * medium["return_mean"] > 300


def build_goals(data_dir, num_workers=1, **settings):
    return build.build(
        env_id="halfcheetah-vel",
        data_dir=str(data_dir),
        settings=functools.partial(
            mujoco_settings.MujocoSettings,
            **{"episodes_per_level": 3, "max_episode_steps": 20, **settings},
        ),
        num_trajs=24,
        num_test_trajs=6,
        num_workers=num_workers,
    )


def test_tasks_have_several_episodes_each(tmp_path):
    directory = build_goals(tmp_path / "one")
    assert directory.parent.name == "halfcheetah-vel-expert"
    train, test = read(directory), read(directory, "test")
    np.testing.assert_array_equal(train.level_seeds, np.repeat(np.arange(8), 3))
    start = levels.EVALUATION_START
    np.testing.assert_array_equal(test.level_seeds, start + np.repeat([0, 1], 3))
    assert train.element_spec[specs.OBSERVATION].shape == (17,)
    # Episodes of a task differ from their first state on.
    assert len(np.unique(train.array(specs.OBSERVATION)[train.starts], axis=0)) == 24
    again = build_goals(tmp_path / "two", num_workers=2)
    assert checksums(again) == checksums(directory)


def test_policies_share_every_task(tmp_path):
    directory = build_goals(tmp_path, mix="medium-expert", episodes_per_level=2)
    assert directory.parent.name == "halfcheetah-vel-medium-expert"
    builder = tfds.builder_from_directory(str(directory))
    episodes = list(tfds.as_numpy(builder.as_dataset(split="train")))
    policies = [episode[rlds_writer.POLICY].decode() for episode in episodes]
    assert policies == ["medium", "expert"] * 12
    assert [int(episode["level_seed"]) for episode in episodes] == [
        level for level in range(12) for _ in range(2)
    ]


def test_wrong_numbers_of_episodes_are_refused(tmp_path):
    for kwargs, message in (
        (dict(episodes_per_level=5), "train must have a multiple of 5, .* got 24"),
        (dict(num_levels=7), "a multiple of 3, at most 21, got 24"),
        (dict(episodes_per_level=0), "episodes_per_level must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            build_goals(tmp_path, **kwargs)


def test_configs_of_families_are_told_apart():
    for config, env_id, mix in (
        ("halfcheetah-medium-expert", "halfcheetah", "medium-expert"),
        ("halfcheetah-vel-medium-expert", "halfcheetah-vel", "medium-expert"),
        ("halfcheetah-dir-expert", "halfcheetah-dir", "expert"),
    ):
        made = mujoco_dataset_dataset_builder.Builder(config=config).default_settings()
        assert (made.env_id, made.mix) == (env_id, mix)
        assert made.max_episode_steps == (1000 if env_id == "halfcheetah" else 200)
