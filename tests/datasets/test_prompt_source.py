"""Demonstrations for evaluations, on frames that encode their own index."""

import numpy as np
import pytest
import synthetic
from test_window_dataset import indices

from pdtla import specs
from pdtla.datasets import prompt_settings, prompt_source, window_dataset

LENGTHS = [5, 9, 8, 6, 13, 3, 6, 9]
LEVELS = [7, 7, 7, 7, 3, 3, 3, 3]
H = 4


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    synthetic.write(directory, LENGTHS, levels=LEVELS)
    return synthetic.reader(directory)


def make(source, num_demos, segment="start", control=None, **kwargs):
    pool = window_dataset.WindowDataset(
        source=source,
        window="sequence",
        context_len=6,
        fields=(specs.OBSERVATION, specs.ACTION),
        train_frac=1.0,
    )
    settings = prompt_settings.PromptSettings(
        num_demos=num_demos, demo_len=H, segment=segment, control=control
    )
    return prompt_source.PromptSource(pool=pool, settings=settings, **kwargs)


def shown(prompt):
    """Episodes `[B, J]`."""
    prompt = {field: value.numpy() for field, value in prompt.items()}
    assert prompt[specs.VALID].reshape(-1, H)[:, 0].all()
    frames = indices(prompt)[prompt[specs.VALID]]
    np.testing.assert_array_equal(frames[:, 0], prompt["episode"][prompt["valid"]])
    return prompt["episode"].reshape(len(prompt["valid"]), -1, H).max(axis=2)


def test_demonstrations_are_of_the_levels_asked_for(source):
    levels = np.array([3, 7, 7, 3, 7])
    by_number = {k: shown(make(source, k, seed=5)(levels)) for k in (1, 2, 4)}
    for k, episodes in by_number.items():
        assert episodes.shape == (5, k)
        np.testing.assert_array_equal(
            np.array(LEVELS)[episodes], np.repeat(levels[:, None], k, 1)
        )
        assert all(len(set(row)) == k for row in episodes)
        # More demonstrations are the same and others.
        np.testing.assert_array_equal(episodes, by_number[4][:, :k])


def test_none_is_one_that_is_missing(source):
    prompt = make(source, 0)(np.array([3, 7]))
    assert prompt[specs.VALID].shape == (2, H)
    assert not prompt[specs.VALID].numpy().any()
    assert not prompt[specs.OBSERVATION].numpy().any()


def test_evaluations_see_the_same_unless_they_resample(source):
    levels = np.repeat([3, 7], 20)
    plain, other = make(source, 1, seed=1), make(source, 1, seed=2)
    first = shown(plain(levels, step=10))
    np.testing.assert_array_equal(first, shown(plain(levels, step=20)))
    assert (first != shown(other(levels, step=10))).any()
    resampled = make(source, 1, seed=1, resample=True)
    ten, twenty = (shown(resampled(levels, step=step)) for step in (10, 20))
    assert (ten != twenty).any()
    np.testing.assert_array_equal(ten, shown(resampled(levels, step=10)))


def test_controls(source):
    levels = np.repeat([3, 7], 8)
    wrong = shown(make(source, 2, control="wrong_level")(levels))
    np.testing.assert_array_equal(
        np.array(LEVELS)[wrong], np.repeat(10 - levels[:, None], 2, 1)
    )
    right = make(source, 2, seed=3)(levels)
    mixed = make(source, 2, seed=3, control="shuffled")(levels)
    np.testing.assert_array_equal(shown(right), shown(mixed))
    np.testing.assert_array_equal(right[specs.TIMESTEP], mixed[specs.TIMESTEP])
    one, two = (prompt[specs.OBSERVATION].numpy() for prompt in (right, mixed))
    assert (one != two).any()
    assert one.sum() == two.sum()


def test_wrong_levels_are_refused(source):
    with pytest.raises(ValueError, match="no demonstration of level 5; it has 2 level"):
        make(source, 1)(np.array([3, 5]))
    with pytest.raises(ValueError, match="needs as many of level 3, .* has 4"):
        make(source, 5)(np.array([3]))


@pytest.mark.parametrize("control", [None, "shuffled"])
def test_more_demonstrations_show_the_same_of_the_first(source, control):
    levels = np.array([3, 7, 7, 3, 7])
    by_number = {
        k: make(source, k, segment="uniform", control=control, seed=5)(levels)
        for k in (1, 2, 4)
    }
    for k, prompt in by_number.items():
        for field in (specs.TIMESTEP, specs.OBSERVATION):
            np.testing.assert_array_equal(
                prompt[field], by_number[4][field][:, : k * H]
            )
