"""Parquet files in the layouts that are published, frames that encode their step."""

import io

import numpy as np
import PIL.Image
import pyarrow as pa
import pytest
import synthetic
from pyarrow import parquet

from pdtla.datasets import imported_dataset, parquet_files
from pdtla.environments import procgen_actions

LENGTHS = [5, 3, 9, 1, 6]
EPISODE = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
STEPS = np.arange(len(EPISODE))
ENDS = np.cumsum(LENGTHS)
TRUNCATED = np.isin(STEPS, [ENDS[1] - 1, ENDS[4] - 1])
DONE = np.isin(STEPS, ENDS - 1)


def frames():
    steps = np.zeros((len(STEPS), 64, 64, 3), np.uint8)
    steps[..., 0], steps[..., 1] = EPISODE[:, None, None], STEPS[:, None, None]
    steps[:, 7, 9, 2] = 255  # tells rows from columns
    return steps


def as_lists(steps):
    nested = pa.array(steps.reshape(-1))
    for size in steps.shape[:0:-1]:
        nested = pa.FixedSizeListArray.from_arrays(nested, size)
        nested = nested.cast(pa.list_(nested.type.value_type))
    return nested


def as_images(steps):
    def encode(frame):
        file = io.BytesIO()
        PIL.Image.fromarray(frame).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": None}

    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    return pa.array([encode(frame) for frame in steps], kind)


def write(directory, observation, done=DONE, **more):
    """A row a step, in three files, none of which ends where an episode does."""
    table = pa.table(
        {
            "observation": observation,
            "action": pa.array(STEPS % 15, pa.uint8()),
            "reward": pa.array(EPISODE, pa.float32()),
            "done": done,
            "truncated": TRUNCATED,
            **more,
        }
    )
    directory.mkdir()
    for number, start in enumerate(range(0, len(STEPS), 10)):
        for split in ("train", "test"):
            path = directory / f"{split}-{number:05d}-of-00003.parquet"
            parquet.write_table(table.slice(start, 10), path, row_group_size=4)


def import_files(tmp_path, **kwargs):
    settings = {"path": str(tmp_path / "files"), "env_id": "bigfish", **kwargs}
    parquet_files.parquet_files(num_actions=15, **settings).write(str(tmp_path))
    return [
        synthetic.reader(tmp_path, dataset_name="parquet/bigfish", split=split)
        for split in ("train", "test")
    ]


def check(reader):
    assert reader.lengths.tolist() == LENGTHS
    np.testing.assert_array_equal(reader.array("observation"), frames())
    action = procgen_actions.canonical("bigfish", STEPS % 15)
    np.testing.assert_array_equal(reader.array("action"), action)
    np.testing.assert_array_equal(reader.array("reward"), EPISODE)
    np.testing.assert_array_equal(reader.array("is_terminal"), DONE & ~TRUNCATED)
    assert reader.element_spec["action"].num_values == 15


@pytest.mark.parametrize("encode", [as_lists, as_images])
def test_a_row_a_step(tmp_path, monkeypatch, encode):
    monkeypatch.setattr(parquet_files, "_BATCH_ROWS", 4)
    monkeypatch.setattr(imported_dataset, "_SHARD_STEPS", 8)
    write(tmp_path / "files", encode(frames()))
    for reader in import_files(tmp_path):
        check(reader)
        assert reader.shard_lengths == (2, 1, 2)
        assert reader.level_seeds is None and reader.last_step_valid


def test_marks_of_first_steps_and_levels(tmp_path):
    starts = np.isin(STEPS, ENDS - LENGTHS)
    write(
        tmp_path / "files",
        as_lists(frames()),
        done=starts,
        level_seed=pa.array(EPISODE + 70),
        truncated=np.zeros(len(STEPS), bool),
    )
    (train, _) = import_files(tmp_path, done_marks_first=True)
    assert train.lengths.tolist() == LENGTHS[:-1]  # nothing marks the end of the last
    assert train.level_seeds.tolist() == [70, 71, 72, 73]
    assert train.array("is_terminal").sum() == 4


def test_a_row_an_episode(tmp_path):
    rng = np.random.default_rng(0)
    states = [rng.standard_normal((n, 3)) for n in LENGTHS]
    actions = [rng.uniform(-1, 1, (n, 2)) for n in LENGTHS]
    table = pa.table(
        {
            "continuous_observations": [each.tolist() for each in states],
            "continuous_actions": [each.tolist() for each in actions],
            "rewards": [np.ones(n).tolist() for n in LENGTHS],
        }
    )
    (tmp_path / "files" / "train").mkdir(parents=True)
    parquet.write_table(table, tmp_path / "files" / "train" / "0000.parquet")
    columns = {
        "observation": "continuous_observations",
        "action": "continuous_actions",
        "reward": "rewards",
    }
    parquet_files.parquet_files(
        path=str(tmp_path / "files"),
        env_id="ant",
        num_actions=15,
        columns=columns,
        rows="episodes",
    ).write(str(tmp_path))
    reader = synthetic.reader(tmp_path, dataset_name="parquet/ant")
    assert reader.lengths.tolist() == LENGTHS
    for field, expected in (("observation", states), ("action", actions)):
        np.testing.assert_array_equal(
            reader.array(field), np.float32(np.concatenate(expected))
        )
    assert reader.metadata["return_mean"] == np.mean(LENGTHS)


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    names = [f"part.{number}.parquet" for number in range(12)]
    (tmp_path / "train").mkdir()
    for name in names:
        (tmp_path / "train" / name).touch()
    found = parquet_files._find(str(tmp_path), "train")
    assert [path.name for path in found] == names


@pytest.mark.parametrize("size", [1.0, 1.5])
def test_an_episode_a_row_with_one_mark_and_its_bounds(tmp_path, size):
    table = pa.table(
        {
            "observation": [np.zeros((3, 2)).tolist()],
            "action": [np.full((3, 1), size).tolist()],
            "done": [True],
            "truncated": [False],
        }
    )
    (tmp_path / "train").mkdir()
    parquet.write_table(table, tmp_path / "train" / "0.parquet")
    given = {"path": str(tmp_path), "env_id": "a", "num_actions": 2, "rows": "episodes"}
    data = parquet_files.parquet_files(**given)
    if size > 1.0:
        with pytest.raises(ValueError, match=r"must lie in \(-1.0, 1.0\), got 1.5 to"):
            data.write(str(tmp_path / "data"))
        return
    data.write(str(tmp_path / "data"))
    reader = synthetic.reader(tmp_path / "data", dataset_name="parquet/a")
    assert reader.array("is_terminal").tolist() == [False, False, True]
    with pytest.raises(ValueError, match="no done_marks_first"):
        parquet_files.parquet_files(**given, done_marks_first=True)


def test_errors_name_the_file_and_the_columns(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither train-"):
        import_files(tmp_path)
    write(tmp_path / "files", as_lists(frames()))
    with pytest.raises(ValueError, match=r"no column 'image' for obs.*'observation'"):
        import_files(tmp_path, columns={"observation": "image"})
    with pytest.raises(ValueError, match="columns must map some of"):
        import_files(tmp_path, columns={"image": "observation"})
    with pytest.raises(ValueError, match="Actions must be from 0 to 9, got"):
        parquet_files.parquet_files(
            path=str(tmp_path / "files"), env_id="bigfish", num_actions=10
        ).write(str(tmp_path))
    path = tmp_path / "files" / "train-00000-of-00003.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(OSError, match="train-00000-of-00003.parquet is damaged"):
        import_files(tmp_path)
    assert not list(tmp_path.glob("parquet/bigfish/*"))
