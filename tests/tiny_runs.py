"""Real Procgen data and real runs of a few updates, made once for many tests.

Import the fixtures into a `conftest.py`. What they make is found again where it lies,
so that several directories can share it.
"""

import functools
import pathlib

import gin
import pytest
import tensorflow as tf

from pdtla.datasets import build, latent_store, procgen_settings, rlds_reader
from pdtla.latent_actions import labeller, relabel
from pdtla.training import configs
from pdtla.training import train as train_lib

LAM = "lam_and_action_decoder"
TINY = str(pathlib.Path(__file__).parent / "tiny.gin")
LABELS = "NUM_EXAMPLES = 16"


def files(stage: str) -> list[str]:
    """The gin files of a stage at its smallest."""
    return [
        f"gin/stages/{stage}.gin",
        "gin/envs/procgen.gin",
        "gin/smoke.gin",
        TINY,
    ]


def train(stage: str, data_dir, workdir, *bindings: str, swaps=()) -> dict:
    """Trains as the command line does; returns the results."""
    configs.parse_gin(
        [*files(stage), *swaps],
        [f"DATA_DIR = {str(data_dir)!r}", *bindings],
        roots=[train_lib.train],
    )
    return gin.get_configurable(train_lib.train)(workdir=str(workdir))


def weights(workdir) -> dict:
    """Every weight, statistic, seed and moment of a run's last checkpoint."""
    reader = tf.train.load_checkpoint(str(pathlib.Path(workdir) / "checkpoints"))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith(("stage", "optimizer"))
    }


def digests(workdir) -> dict[str, str]:
    """The names of the weight files of a run's modules, which hold their digests."""
    modules = pathlib.Path(workdir) / "modules"
    return {path.parent.name: path.name for path in modules.glob("*/weights-*.npz")}


def read(data_dir) -> rlds_reader.RldsReader:
    return rlds_reader.RldsReader(
        dataset_name="procgen_dataset", config="maze", data_dir=str(data_dir)
    )


def relabel_with(data_dir, workdir, name, **kwargs) -> latent_store.LatentStore:
    """Labels the data with the modules of a run."""
    return relabel.relabel(
        source=read(data_dir),
        labeller=labeller.Labeller(str(workdir)),
        name=name,
        **kwargs,
    )


def rewrite_actions(data_dir, poison) -> None:
    """Replaces actions in the stored files.

    Args:
      data_dir: of a dataset that was not read yet.
      poison: from the flat index of an episode's first step and its actions, `[T]`, to
        the actions to store.
    """
    start = 0
    (directory,) = pathlib.Path(data_dir).glob("procgen_dataset/maze/*")
    for path in sorted(directory.glob("*-train.tfrecord-*")):
        records = []
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            example = tf.train.Example.FromString(record)
            action = example.features.feature["steps/action"].int64_list.value
            action[:] = poison(start, list(action))
            start += len(action)
            records.append(example.SerializeToString())
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)


def cut(path: pathlib.Path) -> None:
    """Leaves the first half of a file."""
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)


@pytest.fixture(scope="session")
def maze(tmp_path_factory) -> pathlib.Path:
    """Data directory with 24 maze episodes of at most 16 steps, played for real."""
    data_dir = tmp_path_factory.getbasetemp() / "maze"
    build.build(
        env_id="maze",
        data_dir=str(data_dir),
        settings=functools.partial(
            procgen_settings.ProcgenSettings,
            max_episode_steps=16,
            use_backgrounds=False,
            restrict_themes=True,
            epsilon=0.2,
        ),
        num_trajs=24,
        num_test_trajs=1,
        num_workers=1,
    )
    return data_dir


@pytest.fixture(scope="session")
def lam(maze) -> pathlib.Path:
    """Workdir of a joint latent action model whose latents `lam` lie beside `maze`."""
    workdir = maze.parent / "lam"
    train(LAM, maze, workdir, LABELS)
    relabel_with(maze, workdir, "lam")
    return workdir


@pytest.fixture(scope="session")
def decoder(maze, lam) -> pathlib.Path:
    """Workdir of an action decoder of the latents `lam`."""
    workdir = maze.parent / "decoder"
    train("action_decoder", maze, workdir, LABELS)
    return workdir
