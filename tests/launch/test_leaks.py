"""What must not see actions does not: poisoned actions leave every weight alone."""

import shutil

import gin
import numpy as np
import pytest
import tiny_runs

from pdtla import specs
from pdtla.datasets import rlds_reader, window_dataset
from pdtla.datasets.latent_store import LatentStore
from pdtla.training import configs
from pdtla.training import train as train_lib

_NO_EVALUATION = "MAX_HELDOUT_BATCHES = 0"


@pytest.fixture
def copy(maze, tmp_path):
    """Copies the stored files of `maze`, without what was made from them."""

    def make(name, poison=None):
        data_dir = tmp_path / name
        ignored = shutil.ignore_patterns("decoded", "latents")
        shutil.copytree(maze, data_dir, ignore=ignored)
        if poison is not None:
            tiny_runs.rewrite_actions(data_dir, poison)
        return data_dir

    return make


def poison_all(start, actions):
    del start
    return [(action + 1) % 15 for action in actions]


def assert_same_weights(first, second):
    first, second = tiny_runs.weights(first), tiny_runs.weights(second)
    assert first.keys() == second.keys() and len(first) > 10
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def assert_poisoned(data_dir, clean, kept=()):
    poisoned = tiny_runs.read(data_dir).array("action")
    original = tiny_runs.read(clean).array("action")
    same = np.flatnonzero(poisoned == original)
    np.testing.assert_array_equal(same, np.sort(kept))


def test_latent_action_model(maze, copy, tmp_path):
    poisoned = copy("poisoned", poison_all)
    assert_poisoned(poisoned, maze)
    for name, data_dir in (("clean", maze), ("dirty", poisoned)):
        tiny_runs.train("lam", data_dir, tmp_path / f"{name}_run", _NO_EVALUATION)
    assert_same_weights(tmp_path / "clean_run", tmp_path / "dirty_run")


def test_joint_model_sees_labelled_actions_alone(maze, lam, copy, tmp_path):
    configs.parse_gin(
        tiny_runs.files(tiny_runs.LAM),
        [f"DATA_DIR = {str(maze)!r}", tiny_runs.LABELS],
        roots=[train_lib.train],
    )
    with gin.config_scope("labelled"):
        labelled = gin.get_configurable(window_dataset.WindowDataset)()
    kept = labelled.train_bases
    assert len(kept) == 16

    def poison(start, actions):
        steps = range(start, start + len(actions))
        changed = poison_all(start, actions)
        pairs = zip(steps, actions, changed, strict=True)
        return [old if step in kept else new for step, old, new in pairs]

    poisoned = copy("poisoned", poison)
    assert_poisoned(poisoned, maze, kept)
    tiny_runs.train(tiny_runs.LAM, poisoned, tmp_path / "run", tiny_runs.LABELS)
    assert_same_weights(lam, tmp_path / "run")


@pytest.mark.parametrize("stage", ["la_bc", "pdtla"])
def test_latent_policy(stage, copy, tmp_path):
    data = {"clean": copy("clean"), "dirty": copy("dirty", poison_all)}
    for name, data_dir in data.items():
        source = tiny_runs.read(data_dir)
        write_latents(source)
        tiny_runs.train(stage, data_dir, tmp_path / f"{name}_run", _NO_EVALUATION)
    assert_poisoned(data["dirty"], data["clean"])
    assert_same_weights(tmp_path / "clean_run", tmp_path / "dirty_run")


def write_latents(source: rlds_reader.RldsReader):
    """The same latents beside any copy of the dataset."""
    spec = {"latent_action": specs.ArraySpec((8,), "float32")}
    writer = LatentStore(source, "lam").writer(spec, "drawn at random")
    shape = (writer.num_transitions, 8)
    values = np.random.default_rng(0).standard_normal(shape).astype("float32")
    writer.write({"latent_action": values})
    writer.close()


def test_the_test_would_notice(maze, copy, tmp_path):
    """Cloning does depend on the actions."""
    poisoned = copy("poisoned", poison_all)
    for name, data_dir in (("clean", maze), ("dirty", poisoned)):
        tiny_runs.train("bc", data_dir, tmp_path / f"{name}_run", _NO_EVALUATION)
    with pytest.raises(AssertionError):
        assert_same_weights(tmp_path / "clean_run", tmp_path / "dirty_run")
