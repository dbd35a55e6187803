"""Latents beside a dataset: alignment, interruption, mistaken identity."""

import numpy as np
import pytest
import synthetic

from pdtla import specs
from pdtla.datasets import latent_store

LENGTHS = [4, 1, 3]
FIELDS = {
    specs.LATENT_ACTION: specs.ArraySpec((2,), "float32"),
    specs.LATENT_CODE: specs.ArraySpec((1,), "int32", num_values=8),
}


def values(start, stop):
    rows = np.arange(start, stop)
    return {
        specs.LATENT_ACTION: np.stack([rows + 1.0, -rows], 1).astype(np.float32),
        specs.LATENT_CODE: rows[:, None].astype(np.int32),
    }


@pytest.fixture
def source(tmp_path):
    synthetic.write(tmp_path, LENGTHS)
    return synthetic.reader(tmp_path)


def test_rows_are_those_of_transitions(source):
    store = latent_store.LatentStore(source, "lam")
    writer = store.writer(FIELDS, "model")
    assert writer.num_transitions == 5
    writer.write(values(0, 2))
    writer.write(values(2, 5))
    assert not store.exists
    writer.close()
    arrays = store.read()
    np.testing.assert_array_equal(
        arrays[specs.LATENT_CODE][:, 0], [0, 1, 2, -1, -1, 3, 4, -1]
    )
    np.testing.assert_array_equal(
        arrays[specs.LATENT_ACTION][:, 0], [1, 2, 3, 0, 0, 4, 5, 0]
    )
    assert store.element_spec == FIELDS
    assert store.manifest["model_fingerprint"] == "model"
    assert store.manifest["episode_ids"] == ["e0", "e1", "e2"]


def test_an_interrupted_set_is_not_read_and_goes_on(source, monkeypatch):
    monkeypatch.setattr("pdtla.datasets.latent_writer._FLUSH_ROWS", 2)
    store = latent_store.LatentStore(source, "lam")
    writer = store.writer(FIELDS, "model")
    writer.write(values(0, 3))
    with pytest.raises(ValueError, match="3 of 5 transitions"):
        writer.close()
    writer._arrays[specs.LATENT_CODE][5:] = 99  # written, but not yet recorded
    del writer
    with pytest.raises(FileNotFoundError, match="no latents 'lam'"):
        store.read()
    writer = store.writer(FIELDS, "model")
    assert writer.position == 3
    writer.write(values(3, 5))
    writer.close()
    codes = store.read()[specs.LATENT_CODE][:, 0]
    np.testing.assert_array_equal(codes[[0, 1, 2, 5, 6]], np.arange(5))
    # Another model does not go on with what this one began.
    other = store.writer(FIELDS, "other")
    other.write(values(0, 3))
    assert store.writer(FIELDS, "model").position == 0


def test_a_new_set_replaces_the_old_one_at_the_end(source):
    store = latent_store.LatentStore(source, "lam")
    for model, offset in (("a", 0), ("b", 1)):
        writer = store.writer(FIELDS, model)
        writer.write({k: v + offset for k, v in values(0, 5).items()})
        if model == "b":
            assert store.manifest["model_fingerprint"] == "a"
        writer.close()
    assert store.manifest["model_fingerprint"] == "b"
    assert store.read()[specs.LATENT_CODE][0, 0] == 1
    second = latent_store.LatentStore(source, "vpt")
    writer = second.writer(FIELDS, "c")
    writer.write(values(0, 5))
    writer.close()
    assert store.exists and second.exists and store.fingerprint != second.fingerprint
    assert sorted(p.name for p in store.directory.parent.iterdir()) == ["train"]


def test_latents_of_another_dataset_are_refused(source, tmp_path):
    store = latent_store.LatentStore(source, "lam")
    writer = store.writer(FIELDS, "model")
    writer.write(values(0, 5))
    writer.close()
    synthetic.write(tmp_path / "other", LENGTHS, levels=[1, 2, 3])
    other = synthetic.reader(tmp_path / "other")
    target = other.directory / "latents"
    target.parent.mkdir(exist_ok=True)
    (source.directory / "latents").rename(target)
    with pytest.raises(ValueError, match="were made for dataset fingerprint") as error:
        latent_store.LatentStore(other, "lam").read()
    assert source.fingerprint[:16] in str(error.value)
    assert other.fingerprint[:16] in str(error.value)


def test_wrong_values_are_refused(source):
    store = latent_store.LatentStore(source, "lam")
    writer = store.writer(FIELDS, "model")
    with pytest.raises(ValueError, match="5 transitions are left, got 6"):
        writer.write(values(0, 6))
    with pytest.raises(ValueError, match="Latents need"):
        writer.write({specs.LATENT_CODE: np.zeros((1, 1), np.int32)})
    wrong = {**values(0, 2), specs.LATENT_ACTION: np.zeros((2, 3), np.float32)}
    with pytest.raises(ValueError, match="latent_action should have the shape"):
        writer.write(wrong)
    with pytest.raises(ValueError, match="Latents are named"):
        latent_store.LatentStore(source, "../x")
    with pytest.raises(ValueError, match="Latents have the fields"):
        store.writer({"reward": FIELDS[specs.LATENT_CODE]}, "model")
    writer.write(values(0, 5))
    writer.close()
    path = store.directory / "latent_code.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(OSError, match="latent_code.npy is damaged"):
        store.read()
