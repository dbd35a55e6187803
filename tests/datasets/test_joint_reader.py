"""Several datasets as one, on frames that encode their own index."""

import numpy as np
import pytest
import synthetic
from test_window_dataset import indices, one_pass, take, write_latents

from pdtla import specs
from pdtla.datasets import (
    joint_reader,
    prompt_settings,
    window_dataset,
    with_prompts,
)

LENGTHS = {"one": [5, 9, 8, 2, 6], "two": [3, 6, 9, 4], "three": [7, 5]}
LEVELS = {"one": [7, 7, 3, 3, 3], "two": [7, 7, 3, 3], "three": [7, 7]}
FIELDS = (specs.OBSERVATION, specs.ACTION, specs.RETURN_TO_GO)


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path)


def make_source(data_dir):
    for name, lengths in LENGTHS.items():
        synthetic.write(data_dir, lengths, name=name, levels=LEVELS[name])
    return read(data_dir, LENGTHS)


def read(data_dir, names):
    return joint_reader.JointReader(
        make_reader=lambda config: synthetic.reader(data_dir, dataset_name=config),
        configs=tuple(names),
    )


def make(source, **kwargs):
    kwargs = {"window": "sequence", "context_len": 4, "train_frac": 1.0} | kwargs
    return window_dataset.WindowDataset(source=source, fields=FIELDS, **kwargs)


def test_episodes_follow_one_another(source):
    whole = sum(LENGTHS.values(), [])
    np.testing.assert_array_equal(source.lengths, whole)
    np.testing.assert_array_equal(source.parts, [0] * 5 + [1] * 4 + [2] * 2)
    assert source.num_steps == sum(whole) and len(source.episode_ids) == 11
    assert len(set(source.episode_ids)) == 11
    batch = one_pass(make(source))
    episode = batch[specs.EPISODE]
    # Each dataset's frames number its own episodes.
    own = indices(batch)
    np.testing.assert_array_equal(
        own[..., 0],
        episode - [0, 5, 9][0] - np.select([episode >= 9, episode >= 5], [9, 5], 0),
    )
    np.testing.assert_array_equal(own[..., 1], batch[specs.TIMESTEP])
    action = (7 * own[..., 0] + own[..., 1]) % 15
    np.testing.assert_array_equal(batch[specs.ACTION], action)
    length = np.array(whole)[episode]
    rewards = [
        sum(100 * e + t for t in range(first, end))
        for e, first, end in zip(
            own[..., 0].ravel(), own[..., 1].ravel(), length.ravel(), strict=True
        )
    ]
    np.testing.assert_array_equal(batch[specs.RETURN_TO_GO].ravel(), rewards)


def test_every_dataset_is_split_and_drawn_from(source):
    dataset = make(source, train_frac=0.5, disjoint_levels=False)
    # The episodes of each level, 2 and 3, 2 and 2, 2, and half of those of a dataset.
    np.testing.assert_array_equal(dataset.train_trajectories, [0, 2, 5, 7, 9])
    np.testing.assert_array_equal(dataset.heldout_trajectories, [1, 3, 4, 6, 8, 10])
    # Levels of one dataset are none of another: 7 of `one` is trained on, 3 is not.
    dataset = make(source, train_frac=0.4)
    np.testing.assert_array_equal(dataset.heldout_trajectories, [2, 3, 4, 7, 8])
    few = make(source, train_frac=0.5, num_trajs=1, disjoint_levels=False)
    np.testing.assert_array_equal(source.parts[few.train_trajectories], [0, 1, 2])
    with pytest.raises(ValueError, match="at most the 1 training trajectories, got 2"):
        make(source, train_frac=0.5, num_trajs=2)


def test_nothing_is_streamed(source):
    dataset = make(source, memory_budget_gib=1e-9)
    assert dataset.streamed_fields == ()
    (batch,) = take(dataset.train_batches(8, seed=0), 1)
    again = take(make(source).train_batches(8, seed=0, start_step=0), 1)[0]
    np.testing.assert_array_equal(batch[specs.OBSERVATION], again[specs.OBSERVATION])


def test_other_levels_are_of_the_same_dataset(source):
    settings = prompt_settings.PromptSettings(
        num_demos=1, demo_len=3, control="wrong_level"
    )
    dataset = with_prompts.WithPrompts(
        queries=make(source), settings=settings, vary_demos=False, drop=0.0
    )
    shown = set()
    for batch in take(dataset.train_batches(32, seed=0), 20):
        queries = batch[specs.EPISODE][:, 0]
        prompt = batch[specs.PROMPT]
        there = prompt[specs.VALID][:, 0]
        # Of the third dataset there is but one level.
        np.testing.assert_array_equal(there, queries < 9)
        episodes = prompt[specs.EPISODE][there, 0]
        queries = queries[there]
        np.testing.assert_array_equal(source.parts[episodes], source.parts[queries])
        levels = source.level_seeds
        assert (levels[episodes] != levels[queries]).all()
        shown |= set(episodes)
    assert shown == set(range(9))


def test_latents_beside_every_dataset(source):
    for reader in source.readers:
        write_latents(reader, actions=False)
    batch = one_pass(make(source, latents="lam"))
    valid = batch[specs.VALID]
    begins = np.array([0, 30, 52])[source.parts[batch[specs.EPISODE]]]
    flat = source.starts[batch[specs.EPISODE]] + batch[specs.TIMESTEP] - begins
    np.testing.assert_array_equal(batch[specs.LATENT_CODE][..., 0][valid], flat[valid])


def test_fingerprints_and_errors(source, tmp_path):
    fewer = read(tmp_path, ["one", "two"])
    assert fewer.fingerprint != source.fingerprint
    assert make(fewer).fingerprint != make(source).fingerprint
    with pytest.raises(ValueError, match="configs must name datasets"):
        read(tmp_path, [])
    synthetic.write_states(tmp_path / "states", [4, 5])
    with pytest.raises(ValueError, match="of images can be joined, .* is of states"):
        read(tmp_path / "states", [synthetic.NAME])


def test_metadata_are_what_all_datasets_say(source):
    source.readers[0].metadata = {"env_id": "one", "camera": "corner", "images": True}
    source.readers[1].metadata = {"env_id": "two", "camera": "corner"}
    source.readers[2].metadata = {"env_id": "three", "camera": "corner"}
    assert source.metadata == {"camera": "corner"}
