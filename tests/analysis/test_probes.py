"""Probes and contingency on latents whose content is known."""

import numpy as np
import pytest

from pdtla.analysis import probes


def linear_problem(size=600, seed=0):
    """Actions are the argmax of the first three of eight features."""
    latents = np.random.default_rng(seed).normal(size=(size, 8)).astype(np.float32)
    return latents, latents[:, :3].argmax(axis=1)


def exclusive_or(size=800, seed=0):
    latents = np.random.default_rng(seed).normal(size=(size, 4)).astype(np.float32)
    return latents, ((latents[:, 0] > 0) ^ (latents[:, 1] > 0)).astype(int)


def test_linear_probe_reads_what_is_linear():
    x, y = linear_problem()
    accuracy = probes.probe_accuracy(x, y, *linear_problem(seed=1), num_actions=5)
    assert accuracy > 0.95
    again = probes.probe_accuracy(x, y, *linear_problem(seed=1), num_actions=5)
    assert again == accuracy


def test_scale_and_offset_of_latents_do_not_matter():
    x, y = linear_problem()
    test_x, test_y = linear_problem(seed=1)
    accuracy = probes.probe_accuracy(x, y, test_x, test_y, num_actions=3)
    scale = np.logspace(-4, 4, 8).astype(np.float32)
    moved = probes.probe_accuracy(
        x * scale + 3.0, y, test_x * scale + 3.0, test_y, num_actions=3
    )
    assert abs(moved - accuracy) < 0.03


def test_mlp_probe_reads_what_is_not_linear():
    x, y = exclusive_or()
    test_x, test_y = exclusive_or(seed=1)
    kwargs = dict(num_actions=2, steps=300)
    assert probes.probe_accuracy(x, y, test_x, test_y, **kwargs) < 0.65
    mlp = probes.probe_accuracy(x, y, test_x, test_y, hidden=(64,), **kwargs)
    assert mlp > 0.85


def test_noise_tells_no_more_than_the_majority():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(2000, 4)).astype(np.float32)
    actions = rng.choice(3, p=[0.6, 0.3, 0.1], size=2000)
    halves = latents[:1000], actions[:1000], latents[1000:], actions[1000:]
    accuracy = probes.probe_accuracy(*halves, num_actions=3)
    majority = probes.majority_accuracy(actions[:1000], actions[1000:])
    np.testing.assert_allclose([accuracy, majority], 0.6, atol=0.03)


def test_few_labels_know_less():
    x, y = linear_problem(2000)
    test = linear_problem(2000, seed=1)
    few = probes.probe_accuracy(x[:20], y[:20], *test, num_actions=3)
    many = probes.probe_accuracy(x, y, *test, num_actions=3)
    assert many > 0.96 > 0.9 > few > 0.5


def test_majority_is_that_of_the_training_half():
    assert probes.majority_accuracy(np.array([1, 1, 2]), np.array([2, 2, 1, 0])) == 0.25


def test_contingency_and_nmi():
    codes = np.array([0, 0, 1, 1, 2, 2])
    table = probes.contingency(codes, np.array([1, 1, 0, 0, 3, 3]), 4, 5)
    assert table.shape == (4, 5)
    assert table[0, 1] == table[1, 0] == table[2, 3] == 2
    assert table.sum() == 6
    assert probes.normalized_mutual_information(table) == pytest.approx(1.0)
    assert probes.normalized_mutual_information(np.outer([1, 2], [3, 4])) < 1e-12
    assert probes.normalized_mutual_information(np.array([[7]])) == 0.0
    # By hand: H(rows) = H(columns) = ln 2, joint (.4, .1, .1, .4).
    joint = -2 * (0.4 * np.log(0.4) + 0.1 * np.log(0.1))
    expected = (2 * np.log(2) - joint) / np.log(2)
    np.testing.assert_allclose(
        probes.normalized_mutual_information(np.array([[4, 1], [1, 4]])), expected
    )


def test_nothing_to_fit():
    with pytest.raises(ValueError, match="got 0 and 5"):
        probes.probe_accuracy(
            np.zeros((0, 2)), np.zeros(0), np.zeros((5, 2)), np.zeros(5), num_actions=2
        )
