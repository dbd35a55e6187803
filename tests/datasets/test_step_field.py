"""Fields of other people's datasets, found and combined by their paths."""

import foreign_data
import numpy as np
import pytest
import synthetic
import tensorflow as tf
import tensorflow_datasets as tfds

from pdtla import specs
from pdtla.datasets import step_field, window_dataset

STATE = ("observation/state", "observation/gripper", "observation/closed")
COMMAND = ("command/translation", "command/rotation")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("foreign")
    return directory, foreign_data.write(directory)


def read(data, **kwargs):
    return synthetic.reader(data[0], dataset_name=foreign_data.NAME, **kwargs)


def test_paths_are_joined_into_vectors(data):
    reader = read(data, field_map={"observation": STATE, "action": COMMAND})
    assert reader.lengths.tolist() == foreign_data.LENGTHS
    assert reader.level_seeds is None and reader.episode_ids[2] == "2"
    spec = reader.element_spec
    assert set(spec) == {"observation", "action", "is_first", "is_last"}
    assert spec["observation"] == specs.ArraySpec((4,), "float32")
    assert spec["action"] == specs.ArraySpec((5,), "float32", minimum=-1, maximum=1)
    states = [(n, t, t / 10, t % 2 == 0) for n, t in data[1]]
    np.testing.assert_allclose(reader.array("observation"), states, rtol=1e-6)
    actions = [(t / 20, -t / 20, 0.5, 0.1, n / 10) for n, t in data[1]]
    np.testing.assert_allclose(reader.array("action"), actions, rtol=1e-6)


def test_joined_states_have_statistics(data):
    reader = read(data, field_map={"observation": STATE, "action": COMMAND})
    dataset = window_dataset.WindowDataset(
        source=reader,
        window="n_step",
        k_step_preds=2,
        fields=("observation", "action"),
        train_frac=0.5,
    )
    spec = dataset.element_spec["observation"]
    trained = [(n, t, t / 10, t % 2 == 0) for n, t in data[1] if n < 3]
    np.testing.assert_allclose(spec.mean, np.mean(trained, 0), rtol=1e-6)
    np.testing.assert_allclose(spec.std, np.std(trained, 0), rtol=1e-6)
    assert dataset.element_spec["action"].maximum == 1.0


def test_a_lone_float_is_a_vector_and_other_kinds_keep_their_shape(data):
    names = {
        "observation": "observation/gripper",
        "action": "observation/closed",
        "turn": "command/rotation",
    }
    reader = read(data, field_map=names)
    assert reader.element_spec["observation"] == specs.ArraySpec((1,), "float32")
    assert reader.element_spec["action"] == specs.ArraySpec((), "bool")
    assert reader.element_spec["turn"] == specs.ArraySpec((1, 2), "float32")
    assert reader.array("observation").shape == (len(data[1]), 1)
    closed = [t % 2 == 0 for _, t in data[1]]
    np.testing.assert_array_equal(reader.array("action"), closed)


@pytest.mark.parametrize("size", [16, (48, 40)])
def test_images_are_resized_without_aliasing(data, size):
    reader = read(data, field_map={"observation": "observation/rgb"}, image_size=size)
    height, width = (size, size) if isinstance(size, int) else size
    frames = reader.array("observation")
    assert frames.shape == (len(data[1]), height, width, 3)
    assert frames.dtype == np.uint8
    # What is smooth stays, and every pixel of ours is a mean of theirs.
    np.testing.assert_array_equal(frames[:, 0, 0, 0], [20 * n for n, _ in data[1]])
    for row, (n, t) in list(enumerate(data[1]))[::7]:
        original = foreign_data.image(n, t).astype(np.float64)
        np.testing.assert_allclose(
            frames[row].mean((0, 1)), original.mean((0, 1)), atol=1.5
        )
        reference = tf.image.resize(original, (height, width), "area").numpy()
        assert np.abs(frames[row] - reference).mean() < 4.0


def test_sizes_do_not_share_what_is_decoded(data):
    names = {"observation": "observation/rgb"}
    for size in (8, 12):
        reader = read(data, field_map=names, image_size=size)
        assert reader.array("observation").shape[1] == size

    def fingerprint(**kwargs):
        reader = read(data, **kwargs)
        return window_dataset.WindowDataset(source=reader, window="lapo").fingerprint

    made = [
        fingerprint(field_map=names, image_size=8),
        fingerprint(field_map=names, image_size=12),
        fingerprint(field_map={"observation": STATE}),
    ]
    assert len(set(made)) == 3
    assert made[0] == fingerprint(field_map=names, image_size=8)


def test_streamed_frames_are_resized_too(data):
    reader = read(data, field_map={"observation": "observation/rgb"}, image_size=8)
    batches = [
        list(
            window_dataset.WindowDataset(
                source=reader, window="lapo", memory_budget_gib=budget
            ).ordered_batches(16)
        )
        for budget in (8.0, 1e-7)
    ]
    for memory, stream in zip(*batches, strict=True):
        np.testing.assert_array_equal(memory["observation"], stream["observation"])


def test_errors_list_what_there_is(data):
    there = "'command/rotation', 'command/translation', 'instruction', 'is_first'"
    cases = [
        ("observation/image", f"must name some of .*{there}.* got 'observation/im"),
        ("observation", "must name some of"),
        ("observation/rgb/x", "must name some of"),
        ("instruction", "must name arrays, 'instruction' is Text"),
        ("observation/rgb", r"one size, got \(None, None, 3\); image_size makes"),
    ]
    for path, message in cases:
        with pytest.raises(ValueError, match=message) as error:
            read(data, field_map={"observation": path})
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="field_map can map others to .'command/rot"):
        window_dataset.WindowDataset(source=read(data), window="lapo")


def test_field_without_values_is_refused():
    """Decoding one divides by its size, in TensorFlow's own code."""
    empty = tfds.features.Tensor(shape=(0,), dtype=np.float32)
    features = tfds.features.FeaturesDict({"reward": empty})
    with pytest.raises(ValueError, match="'reward' must hold values, its shape is"):
        step_field.StepField("reward", features, ("reward",))
