"""The files of `gin/data`, alone and together."""

import gin
import gymnasium
import minari_recordings
import numpy as np
import pytest

from pdtla.datasets import minari_dataset, rlds_reader, with_labelled
from pdtla.training import configs
from pdtla.training import train as train_lib


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Two datasets of one environment, `minari/many-v0` and `minari/few-v0`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        directory = tmp_path_factory.mktemp("data")
        for name, seeds in (("many-v0", range(20)), ("few-v0", range(50, 60))):
            env = gymnasium.make("CartPole-v1", max_episode_steps=20)
            minari_recordings.record(env, name, seeds)
            minari_dataset.minari_dataset(minari_id=name).write(str(directory))
    return directory


def dataset(data_dir, files, *bindings):
    configs.parse_gin(
        ["gin/stages/lam_and_action_decoder.gin", *files],
        [
            f"DATA_DIR = {str(data_dir)!r}",
            "DATASET_NAME = 'minari/many-v0'",
            "ENV_ID = 'cartpole'",
            *bindings,
        ],
        roots=[train_lib.train],
    )
    return gin.get_bindings(train_lib.train)["dataset"]()


def read(data_dir, name):
    return rlds_reader.RldsReader(dataset_name=f"minari/{name}", data_dir=str(data_dir))


def states(batches, count):
    """The distinct observations of some batches."""
    taken = [next(batches)["observation"] for _ in range(count)]
    return {row.tobytes() for row in np.concatenate(taken).reshape(-1, 4)}


def test_labels_come_from_another_dataset(data_dir):
    made = dataset(
        data_dir,
        ["gin/data/n_step.gin"],
        "LABELLED_DATASET_NAME = 'minari/few-v0'",
        "LABELLED_NUM_TRAJS = 2",
        "NUM_EXAMPLES = -1",
        "CONTEXT_LEN = 2",
        "K_STEP_PREDS = 3",
    )
    assert isinstance(made, with_labelled.WithLabelled)
    labelled = made.element_spec["labelled"]
    assert made.element_spec["observation"].shape == (6, 4)
    assert labelled["observation"].shape == (6, 4)
    assert "action" in labelled and "action" not in made.element_spec
    batches = made.train_batches(64, seed=0).as_numpy_iterator()
    few, many = read(data_dir, "few-v0"), read(data_dir, "many-v0")
    batch = next(batches)
    known = {row.tobytes() for row in few.array("observation")}
    seen = {row.tobytes() for row in batch["labelled"]["observation"].reshape(-1, 4)}
    assert seen <= known
    assert states(batches, 3) <= {row.tobytes() for row in many.array("observation")}
    # Of two trajectories and no more.
    episodes = np.repeat(np.arange(len(few.lengths)), few.lengths)
    stored = [row.tobytes() for row in few.array("observation")]
    rows = dict(zip(stored, episodes, strict=True))
    assert len({rows[row] for row in seen}) == 2


def test_labels_come_from_the_same_dataset_otherwise(data_dir):
    made = dataset(data_dir, [], "NUM_EXAMPLES = 7")
    assert made.element_spec["labelled"]["observation"].shape == (3, 4)
    batch = next(made.train_batches(8, seed=0).as_numpy_iterator())
    few = batch["labelled"]["observation"][:, -2]
    assert len(np.unique(few, axis=0)) == 7
    assert (
        few.tobytes()[:16] in read(data_dir, "many-v0").array("observation").tobytes()
    )


def test_statistics_of_another_dataset(data_dir):
    own = dataset(data_dir, [])
    lent = dataset(
        data_dir, ["gin/data/statistics.gin"], "STATISTICS_DATASET = 'minari/few-v0'"
    )
    few = read(data_dir, "few-v0")
    rows = few.array("observation")[: few.lengths[:9].sum()]  # TRAIN_FRAC = 0.9
    for spec in (lent.element_spec, lent.element_spec["labelled"]):
        np.testing.assert_allclose(
            spec["observation"].mean, rows.mean(0, dtype=float), rtol=1e-6
        )
    assert own.element_spec["observation"].mean != lent.element_spec["observation"].mean
    assert own.fingerprint != lent.fingerprint


def test_chunks(data_dir):
    configs.parse_gin(
        ["gin/stages/bc.gin", "gin/data/chunk.gin"],
        [
            f"DATA_DIR = {str(data_dir)!r}",
            "DATASET_NAME = 'minari/few-v0'",
            "ENV_ID = 'cartpole'",
            "CHUNK_LEN = 5",
            "TRAIN_FRAC = 1.0",
        ],
        roots=[train_lib.train],
    )
    made = gin.get_bindings(train_lib.train)["dataset"]()
    assert made.element_spec["action"].shape == (5,)
    # A window ends at the last action; the observation after it has none.
    lengths = read(data_dir, "few-v0").lengths
    assert made.num_train_windows == np.maximum(lengths - 1 - 4, 0).sum()


def test_sequences(data_dir):
    configs.parse_gin(
        ["gin/stages/bc.gin", "gin/data/sequence.gin"],
        [
            f"DATA_DIR = {str(data_dir)!r}",
            "DATASET_NAME = 'minari/few-v0'",
            "ENV_ID = 'cartpole'",
            "CONTEXT_LEN = 7",
            "FIELDS = ('observation', 'action', 'return_to_go')",
        ],
        roots=[train_lib.train],
    )
    made = gin.get_bindings(train_lib.train)["dataset"]()
    assert made.element_spec["return_to_go"].shape == (7,)
    few = read(data_dir, "few-v0")
    assert made.num_train_windows == (few.lengths[:9] - 1).sum()
    rows = few.array("observation")[: few.lengths[:9].sum()]
    mean = made.element_spec["observation"].mean
    np.testing.assert_allclose(mean, rows.mean(0, dtype=float), rtol=1e-6)
    batch = next(made.train_batches(64, seed=0).as_numpy_iterator())
    # A reward of 1 a step but the last, which is an observation alone.
    lengths = few.lengths[batch["episode"]]
    expected = lengths - 1 - batch["timestep"]
    np.testing.assert_array_equal(batch["return_to_go"], expected)
