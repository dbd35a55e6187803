"""Statistics of states: of the training episodes alone, and never 0."""

import json

import numpy as np
import pytest
import synthetic

from pdtla import specs
from pdtla.datasets import field_statistics, rlds_reader, window_dataset

LENGTHS = [30, 10, 50, 20, 40, 10, 30, 20, 10, 20]
TRAINED = sum(LENGTHS[:7])


def make(source, **kwargs):
    settings = {"window": "lapo", "train_frac": 0.7, **kwargs}
    return window_dataset.WindowDataset(source=source, **settings)


def observation(dataset):
    return dataset.element_spec[specs.OBSERVATION]


def test_they_are_those_of_the_training_episodes(tmp_path):
    states = synthetic.write_states(tmp_path, LENGTHS)[specs.OBSERVATION][:TRAINED]
    spec = observation(make(synthetic.reader(tmp_path)))
    assert spec.shape == (3, 3) and spec.dtype == "float32"
    mean, std = states.mean(0, dtype=float), states.std(0, dtype=float)
    np.testing.assert_allclose(spec.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(spec.std[:2], std[:2], rtol=1e-6)
    # The constant component counts as one that varies as the others do.
    assert std[2] == 0
    np.testing.assert_allclose(spec.std[2], np.sqrt(np.mean(std**2)), rtol=1e-6)


def test_heldout_episodes_and_drawn_subsets_do_not_matter(tmp_path):
    synthetic.write_states(tmp_path / "clean", LENGTHS)
    synthetic.write_states(tmp_path / "dirty", LENGTHS, poison=7)
    clean = observation(make(synthetic.reader(tmp_path / "clean")))
    dirty = synthetic.reader(tmp_path / "dirty")
    assert np.max(dirty.array("observation")) > 1e6
    assert observation(make(dirty)) == clean
    assert observation(make(dirty, num_trajs=2, subset_seed=3)) == clean
    assert observation(make(dirty, num_examples=5)) == clean
    assert observation(make(dirty, train_frac=0.8)) != clean


def test_they_are_computed_once(tmp_path, monkeypatch):
    directory = synthetic.write_states(tmp_path, LENGTHS) and tmp_path
    first = observation(make(synthetic.reader(directory)))
    (path,) = directory.rglob("observation.statistics-7.json")
    assert json.loads(path.read_text())["count"] == TRAINED
    monkeypatch.setattr(rlds_reader.RldsReader, "array", None)
    assert observation(make(synthetic.reader(directory))) == first


def test_another_dataset_can_lend_its_statistics(tmp_path):
    synthetic.write_states(tmp_path / "a", LENGTHS)
    synthetic.write_states(tmp_path / "b", LENGTHS, poison=0)
    a, b = synthetic.reader(tmp_path / "a"), synthetic.reader(tmp_path / "b")
    lent = make(b, statistics_source=a)
    assert observation(lent) == observation(make(a))
    assert lent.fingerprint != make(b).fingerprint
    assert make(b, statistics_source=b).fingerprint == make(b).fingerprint
    synthetic.write(tmp_path / "images", [4, 4])
    with pytest.raises(ValueError, match=r"need observations of the shape \(3,\)"):
        make(b, statistics_source=synthetic.reader(tmp_path / "images"))


def test_images_have_none(tmp_path):
    synthetic.write(tmp_path, [4, 4])
    spec = observation(make(synthetic.reader(tmp_path)))
    assert spec.mean is None and spec.std is None


def test_action_bounds(tmp_path):
    actions = synthetic.write_states(tmp_path, LENGTHS)[specs.ACTION][:TRAINED]

    def action(**kwargs):
        reader = synthetic.reader(tmp_path, **kwargs)
        return make(reader, fields=("action",)).element_spec["action"]

    assert (action().minimum, action().maximum) == (-1.0, 1.0)
    measured = action(action_bounds="data")
    assert (measured.minimum, measured.maximum) == (actions.min(), actions.max())
    with pytest.raises(ValueError, match=r"must lie in action_bounds \(-0.5, 0.5\)"):
        action(action_bounds=(-0.5, 0.5))


def test_values_must_be_finite(tmp_path, monkeypatch):
    synthetic.write_states(tmp_path, LENGTHS)
    reader = synthetic.reader(tmp_path)
    monkeypatch.setattr(
        rlds_reader.RldsReader,
        "array",
        lambda self, field: np.full((sum(LENGTHS), 3), np.nan, np.float32),
    )
    with pytest.raises(ValueError, match="must be finite"):
        field_statistics.of(reader, "observation", 7)
