"""Reading RLDS datasets, our own and others', and what is said about broken ones."""

import os
import shutil

import numpy as np
import pytest
import synthetic
import tensorflow_datasets as tfds

from pdtla import specs
from pdtla.datasets import rlds_reader

LENGTHS = [5, 1, 8, 2]


def test_plain_tfds_reads_what_we_write(tmp_path):
    directory = synthetic.write(tmp_path, LENGTHS, num_shards=2)
    builder = tfds.builder_from_directory(str(directory))
    assert builder.info.splits["train"].num_examples == 4
    for number, episode in enumerate(builder.as_dataset(split="train")):
        expected = synthetic.make_episode(number, LENGTHS[number])
        steps = list(episode["steps"].as_numpy_iterator())
        assert len(steps) == episode["length"] == LENGTHS[number]
        assert episode["episode_id"] == f"e{number}".encode()
        assert episode["level_seed"] == 1000 + number
        assert episode["episode_return"] == np.float32(expected.episode_return)
        assert bool(episode["truncated"]) == (number % 2 == 1)
        for t, step in enumerate(steps):
            last = t == LENGTHS[number] - 1
            terminal = last and number % 2 == 0
            np.testing.assert_array_equal(step["observation"], expected.observation[t])
            assert step["action"] == expected.action[t]
            assert step["reward"] == expected.reward[t]
            assert step["discount"] == (0.0 if terminal else 1.0)
            flags = step["is_first"], step["is_last"], step["is_terminal"]
            assert flags == (t == 0, last, terminal)


def test_arrays_keep_the_stored_order(tmp_path, monkeypatch):
    synthetic.write(tmp_path, LENGTHS, num_shards=3)
    reader = synthetic.reader(tmp_path)
    assert reader.lengths.tolist() == LENGTHS
    assert reader.starts.tolist() == [0, 5, 6, 14]
    assert reader.episode_ids == ("e0", "e1", "e2", "e3")
    assert reader.level_seeds.tolist() == [1000, 1001, 1002, 1003]
    assert reader.metadata == {"made_by": "tests"}
    episodes = [synthetic.make_episode(n, length) for n, length in enumerate(LENGTHS)]
    for field in (specs.OBSERVATION, specs.ACTION, specs.REWARD):
        expected = np.concatenate([getattr(e, field) for e in episodes])
        array = reader.array(field)
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype == reader.element_spec[field].dtype
    assert reader.element_spec[specs.ACTION].num_values == 15
    # The second time nothing is decoded.
    monkeypatch.setattr(rlds_reader.RldsReader, "_decode", None)
    again = synthetic.reader(tmp_path)
    np.testing.assert_array_equal(again.array("action"), reader.array("action"))
    assert again.fingerprint == reader.fingerprint


def test_other_data_has_another_fingerprint(tmp_path):
    synthetic.write(tmp_path / "a", LENGTHS)
    synthetic.write(tmp_path / "b", LENGTHS, levels=[1, 2, 3, 4])
    a, b = synthetic.reader(tmp_path / "a"), synthetic.reader(tmp_path / "b")
    assert a.fingerprint != b.fingerprint
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    assert synthetic.reader(tmp_path / "c").fingerprint == a.fingerprint


class Foreign(tfds.core.GeneratorBasedBuilder):
    """Plain TFDS: nested observations, PNG images, float actions, no ids."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        steps = {
            "observation": {
                "image": tfds.features.Image(shape=(4, 4, 3), encoding_format="png"),
                "state": tfds.features.Tensor(shape=(2,), dtype=np.float64),
            },
            "action": tfds.features.Tensor(shape=(2,), dtype=np.float32),
            "is_first": np.bool_,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {"steps": tfds.features.Dataset(steps)}
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(3):
            yield (
                number,
                {
                    "steps": [
                        {
                            "observation": {
                                "image": np.full((4, 4, 3), 10 * number + t, np.uint8),
                                "state": np.array([number, t], np.float64),
                            },
                            "action": np.array([t, -t], np.float32),
                            "is_first": t == 0,
                        }
                        for t in range(number + 2)
                    ]
                },
            )


@pytest.mark.parametrize("source", ["image", "state"])
def test_other_datasets_are_read_by_mapping_their_fields(tmp_path, source):
    Foreign(data_dir=str(tmp_path)).download_and_prepare(download_dir=tmp_path / "d")
    reader = synthetic.reader(
        tmp_path,
        dataset_name="foreign",
        field_map={"observation": f"observation/{source}"},
    )
    assert reader.lengths.tolist() == [2, 3, 4]
    assert reader.level_seeds is None
    assert set(reader.element_spec) == {"observation", "action", "is_first"}
    where = [(n, t) for n in range(3) for t in range(n + 2)]
    array = reader.array("observation")
    if source == "image":
        assert array.shape == (9, 4, 4, 3) and array.dtype == np.uint8
        np.testing.assert_array_equal(array[:, 1, 2, 0], [10 * n + t for n, t in where])
    else:
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, where)
    np.testing.assert_array_equal(reader.array("action"), [(t, -t) for _, t in where])
    np.testing.assert_array_equal(reader.array("is_first"), [t == 0 for _, t in where])


def test_errors_say_what_there_is(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="no dataset synthetic .* there is none"
    ):
        synthetic.reader(tmp_path)
    synthetic.write(tmp_path, LENGTHS)
    with pytest.raises(FileNotFoundError, match="there is synthetic/1.0.0"):
        synthetic.reader(tmp_path, dataset_name="procgen_dataset", config="coinrun")
    with pytest.raises(ValueError, match=r"no split 'valid'; it has \['train'\]"):
        synthetic.reader(tmp_path, split="valid")
    with pytest.raises(ValueError, match="no field 'pixels' in its steps; it has"):
        synthetic.reader(tmp_path).array("pixels")


@pytest.mark.parametrize("shard", [0, 1])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "last_episode"])
def test_damaged_files_are_named(tmp_path, shard, damage):
    directory = synthetic.write(tmp_path, [40, 40, 40, 40], num_shards=2)
    path = sorted(directory.glob("*tfrecord*"))[shard]
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) * 2 // 3])
    elif damage == "flip":
        path.write_bytes(data[:2000] + bytes(50) + data[2050:])
    elif damage == "last_episode":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()
    with pytest.raises(OSError, match=path.name) as error:
        synthetic.reader(tmp_path)
    assert "\n" not in str(error.value)
    # Nothing of the failed attempt is taken for a decoded dataset.
    path.write_bytes(data)
    assert synthetic.reader(tmp_path).lengths.tolist() == [40, 40, 40, 40]


def test_a_cut_decoded_file_is_noticed(tmp_path):
    directory = synthetic.write(tmp_path, LENGTHS)
    synthetic.reader(tmp_path)
    (path,) = directory.glob("decoded/*/observation.raw")
    os.truncate(path, 100)
    with pytest.raises(OSError, match="observation.raw should have"):
        synthetic.reader(tmp_path).array("observation")


def test_dataset_without_steps(tmp_path):
    synthetic.write_states(tmp_path, [0, 0])
    with pytest.raises(ValueError, match="Split 'train' of .* has no steps"):
        synthetic.reader(tmp_path)


@pytest.mark.parametrize(
    ("field", "marks", "step"), [("is_first", "is_last", 4), ("is_last", "is_first", 0)]
)
def test_episode_that_is_several_by_its_marks(tmp_path, field, marks, step):
    synthetic.write(tmp_path, [1, 5, 8])
    found = f"episode 'e1' of split 'train' has {field} at step {step} of 5"
    for _ in range(2):  # nothing of the first attempt is kept
        with pytest.raises(ValueError, match=found):
            synthetic.reader(tmp_path, field_map={field: marks})


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize("content", [b"", b"{'a': ", b"\xff\x00"])
def test_damaged_description_of_a_dataset(tmp_path, name, content):
    (synthetic.write(tmp_path, LENGTHS) / name).write_bytes(content)
    with pytest.raises(OSError, match="TFDS cannot read what describes .*synthetic"):
        synthetic.reader(tmp_path)


def test_damaged_index_of_decoded_fields(tmp_path):
    directory = synthetic.write(tmp_path, LENGTHS)
    synthetic.reader(tmp_path)
    (index,) = directory.glob("decoded/*/index.json")
    index.write_bytes(index.read_bytes()[:20])
    with pytest.raises(OSError, match=r"index.json is damaged; delete .*decoded"):
        synthetic.reader(tmp_path)
