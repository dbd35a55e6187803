"""D4RL as TFDS converts it, read by its own name."""

import numpy as np
import pytest
import synthetic
import tensorflow_datasets as tfds
from d4rl_data import LENGTHS, NAME, write

from pdtla.datasets import window_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("d4rl")
    return directory, write(directory)


def test_the_made_up_last_step_is_left_out(data):
    """TFDS adds zeros to the terminal episode, and nothing to the others."""
    directory, played = data
    episodes = tfds.builder(NAME, data_dir=directory).as_dataset(split="train")
    stored = [list(episode["steps"].as_numpy_iterator()) for episode in episodes]
    assert sorted(len(steps) for steps in stored) == [14, 20, 20, 20]
    reader = synthetic.reader(directory, dataset_name=NAME)
    assert sorted(reader.lengths) == [13, 19, 19, 19]
    for field, key in (("observation", "observations"), ("action", "actions")):
        ends = np.cumsum(LENGTHS)
        parts = [
            played[key][end - n : end] for end, n in zip(ends, LENGTHS, strict=True)
        ]
        known = {part.tobytes() for part in (parts[2], *(p[:-1] for p in parts))}
        for start, length in zip(reader.starts, reader.lengths, strict=True):
            assert reader.array(field)[start : start + length].tobytes() in known
    whole = synthetic.reader(directory, dataset_name=NAME, drop_last_step=False)
    assert sorted(whole.lengths) == [14, 20, 20, 20]
    assert whole.fingerprint != reader.fingerprint


def test_its_specs(data):
    reader = synthetic.reader(data[0], dataset_name=NAME)
    dataset = window_dataset.WindowDataset(
        source=reader, window="lapo", fields=("observation", "action")
    )
    observation = dataset.element_spec["observation"]
    assert observation.shape == (3, 17) and len(observation.mean) == 17
    assert 0.0 < min(observation.std) < max(observation.std) < 20.0
    action = dataset.element_spec["action"]
    assert (action.shape, action.minimum, action.maximum) == ((3, 6), -1.0, 1.0)
    (batch,) = dataset.ordered_batches(1000)
    assert np.abs(batch["observation"]).max(-1).min() > 0.0  # no zeros


def test_a_missing_one_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"tfds build {NAME} --data_dir="):
        synthetic.reader(tmp_path, dataset_name=NAME)
    with pytest.raises(FileNotFoundError, match="there is none.$"):
        synthetic.reader(tmp_path, dataset_name="not_in_tfds/v0")
