"""The masks of sequences and of caches, by the definition, token by token."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla.layers.rotary import rotate
from pdtla.layers.sequence_mask import cache_mask, sequence_mask

WINDOW = 3


def by_definition(segment, step, valid, stacked):
    length = len(segment)
    visible = np.eye(length, dtype=bool)
    for i in range(length):
        for j in range(i):
            if segment[i] == 0:
                sees = segment[j] > 0 or step[i] - step[j] < WINDOW
            else:
                sees = segment[i] == segment[j] or stacked
            visible[i, j] = sees and valid[j]
        visible[i, i] = True
    return visible


@pytest.mark.parametrize("stacked", [False, True])
def test_sequence_mask(stacked):
    # Two demonstrations of two steps, and a trajectory of five, two tokens a step.
    segment = np.repeat([1, 1, 2, 2, 0, 0, 0, 0, 0], 2)
    step = np.repeat([0, 1, 0, 1, 7, 8, 9, 10, 11], 2)
    valid = np.ones((2, len(step)), bool)
    valid[1, [2, 3, 8, 9, 17]] = False
    mask = sequence_mask(
        tf.constant([segment] * 2),
        tf.constant([step] * 2),
        tf.constant(valid),
        WINDOW,
        stacked,
    )
    expected = [by_definition(segment, step, row, stacked)[None] for row in valid]
    np.testing.assert_array_equal(mask, expected)
    assert np.all(np.any(mask, axis=-1))


@pytest.mark.parametrize("late", [(True, False), (True, False, False)])
def test_a_cache_shows_what_the_sequence_would(late):
    """Pushes of (a_{t-1}, [R_t], s_t) into a ring, row 1 beginning anew at push 2."""
    slots, size = WINDOW + 1, len(late)
    for push in range(3 * slots):
        age = np.array([push, push - 2 if push >= 2 else push], "int32")
        mask = cache_mask(
            tf.constant(push % slots), tf.constant(age), slots, late, WINDOW
        )
        assert mask.shape == (2, 1, size, slots * size)
        for row in range(2):
            for i in range(size):
                seen = set()
                step = age[row] - late[i]
                for ago in range(slots):
                    for j in range(size):
                        theirs = age[row] - ago - late[j]
                        before = ago > 0 or j <= i
                        if before and theirs >= 0 and step - theirs < WINDOW:
                            seen.add(((push - ago) % slots) * size + j)
                seen.add((push % slots) * size + i)
                assert set(np.flatnonzero(mask[row, 0, i])) == seen


def test_a_cache_that_was_cut_shows_no_more_than_is_left():
    mask = cache_mask(
        tf.constant(2), tf.constant([50]), 5, (True, False), 10, tf.constant(2)
    )
    # At slot 0 the action is of a step that is gone.
    seen = [[1, 2, 3, 4], [1, 2, 3, 4, 5]]
    for row, expected in zip(mask[0, 0], seen, strict=True):
        np.testing.assert_array_equal(np.flatnonzero(row), expected)


def test_rotated_scores_depend_on_distances_alone():
    rng = np.random.default_rng(0)
    query, key = rng.standard_normal((2, 1, 2, 5, 8)).astype("float32")
    position = tf.constant([[0, 3, 4, 9, 2]])
    scores = [
        tf.matmul(
            rotate(query, position + shift), rotate(key, position + shift), False, True
        )
        for shift in (0, 700)
    ]
    np.testing.assert_allclose(*scores, atol=2e-4)
    pairs = rotate(query, position)[0, 0, 1]
    turned = query[0, 0, 1, :4] + 1j * query[0, 0, 1, 4:]
    turned = turned * np.exp(3j * 10_000.0 ** (-np.arange(4) / 4))
    np.testing.assert_allclose(pairs, np.r_[turned.real, turned.imag], atol=1e-5)
    with pytest.raises(ValueError, match="even width, got 3"):
        rotate(query[..., :3], position)
