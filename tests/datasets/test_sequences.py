"""Sequences of steps, on frames that encode their own index."""

import numpy as np
import pytest
import synthetic
from test_window_dataset import LENGTHS, indices, one_pass, take, write_latents

from pdtla import specs
from pdtla.datasets import window_dataset

FIELDS = (specs.OBSERVATION, specs.ACTION, specs.RETURN_TO_GO)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    synthetic.write(directory, LENGTHS, num_shards=3)
    return synthetic.reader(directory)


def make(source, context_len=6, **kwargs):
    return window_dataset.WindowDataset(
        source=source,
        window="sequence",
        context_len=context_len,
        **{"fields": FIELDS, "train_frac": 1.0, **kwargs},
    )


def expected_steps(context_len, length, step):
    first = min(step - context_len // 2, length - context_len)
    return max(first, 0) + np.arange(context_len)


@pytest.mark.parametrize("budget", [8.0, 1e-7])
@pytest.mark.parametrize("context_len", [1, 2, 5, 6])
def test_sequences_hold_the_steps_of_one_episode(source, context_len, budget):
    dataset = make(source, context_len, memory_budget_gib=budget)
    assert bool(dataset.streamed_fields) == (budget < 1)
    batch = one_pass(dataset)
    assert dataset.num_train_windows == sum(LENGTHS)
    where = [(e, t) for e, length in enumerate(LENGTHS) for t in range(length)]
    for row, (episode, step) in enumerate(where):
        length = LENGTHS[episode]
        steps = expected_steps(context_len, length, step)
        assert step in steps
        valid = steps < length
        np.testing.assert_array_equal(batch[specs.VALID][row], valid)
        steps = np.minimum(steps, length - 1)
        np.testing.assert_array_equal(batch[specs.TIMESTEP][row], steps)
        np.testing.assert_array_equal(batch[specs.EPISODE][row], episode)
        frames = indices(batch)[row]
        np.testing.assert_array_equal(frames[:, 0], episode)
        np.testing.assert_array_equal(frames[:, 1], steps)
        np.testing.assert_array_equal(
            batch[specs.ACTION][row], (7 * episode + steps) % 15
        )
        rewards = 100 * episode + np.arange(length)
        to_go = [rewards[step:].sum() for step in steps]
        np.testing.assert_array_equal(batch[specs.RETURN_TO_GO][row], to_go)


def test_short_episodes_are_kept_and_no_step_is_rare(source):
    batch = one_pass(make(source, 8))
    valid = batch[specs.VALID]
    for episode, length in enumerate(LENGTHS):
        rows = batch[specs.EPISODE][:, 0] == episode
        assert rows.sum() == length
        steps = batch[specs.TIMESTEP][rows][valid[rows]]
        counts = np.bincount(steps, minlength=length)
        assert counts.min() >= min(length, 4) and counts.max() <= max(8, length)


def test_steps_without_action_or_latent_are_not_valid(tmp_path):
    synthetic.write(tmp_path, LENGTHS)
    unlabelled = make(synthetic.reader(tmp_path, last_step_valid=False))
    source = synthetic.reader(tmp_path)
    write_latents(source, actions=False)
    for dataset in (unlabelled, make(source, latents="lam")):
        batch = one_pass(dataset)
        assert len(batch[specs.VALID]) == sum(length - 1 for length in LENGTHS)
        last = np.array(LENGTHS)[batch[specs.EPISODE]] - 1
        assert batch[specs.VALID].any(axis=1).all()
        np.testing.assert_array_equal(batch[specs.VALID], batch[specs.TIMESTEP] < last)
    flat = source.starts[batch[specs.EPISODE]] + batch[specs.TIMESTEP]
    codes = batch[specs.LATENT_CODE]
    np.testing.assert_array_equal(codes[..., 0], np.where(batch[specs.VALID], flat, 0))
    # Its reward is not one either.
    batch = one_pass(unlabelled)
    last = batch[specs.TIMESTEP] == np.array(LENGTHS)[batch[specs.EPISODE]] - 1
    np.testing.assert_array_equal(batch[specs.RETURN_TO_GO][last], 0.0)


def test_batches_are_a_function_of_seed_and_step(source):
    dataset = make(source)
    spec = dataset.element_spec
    assert spec[specs.VALID] == specs.ArraySpec((6,), "bool")
    whole = take(dataset.train_batches(6, seed=1), 12)
    late = take(dataset.train_batches(6, seed=1, start_step=9), 3)
    for a, b in zip(whole[9:], late, strict=True):
        assert set(a) == set(b) == set(spec)
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])
            assert a[key].shape == (6, *spec[key].shape)
            assert a[key].dtype == spec[key].dtype
    assert dataset.fingerprint != make(source, 7).fingerprint


def test_wrong_settings_are_refused(source):
    with pytest.raises(ValueError, match="context_len of sequences must be at least 1"):
        make(source, 0)
    with pytest.raises(ValueError, match="by the trajectory .*, got num_examples=3"):
        make(source, num_examples=3)
