"""A latent action model of HalfCheetah's states, healthy and broken in five ways.

Each break is one edit of a trained run: of the weights of a module, or of the latents
that lie beside the data. The report names each.
"""

import functools
import pathlib
import shutil

import gin
import numpy as np
import pytest

from launch import health_of_run
from pdtla import specs
from pdtla.datasets import build, latent_store, mujoco_settings, rlds_reader
from pdtla.latent_actions import labeller, relabel
from pdtla.layers import module_io
from pdtla.training import configs
from pdtla.training import train as train_lib

NAME = "mujoco_dataset/halfcheetah-random"
NUMBERS = """
CONTEXT_LEN = 0
ENV_ID = "halfcheetah"
DATASET_NAME = "mujoco_dataset/halfcheetah-random"
PREDICT = "difference"
LATENT_DIM = 8
NUM_LATENTS = 2
MLP_HIDDEN = (128, 128)
MLP_OUTPUT = 128
NUM_EXAMPLES = 256
LEARNING_RATE = 1e-3
LR_DECAY = "cosine"
WARMUP_STEPS = 100
NUM_UPDATES = 1200
STEPS_PER_LOOP = 100
NUM_EVALS = 1
CHECKPOINT_EVERY = 0
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> pathlib.Path:
    """Workdir of a joint model of random play, whose latents `own` lie beside it."""
    base = tmp_path_factory.mktemp("health")
    settings = functools.partial(
        mujoco_settings.MujocoSettings, mix="random", max_episode_steps=100
    )
    build.build(
        env_id="halfcheetah",
        data_dir=str(base / "data"),
        settings=settings,
        num_trajs=80,
        num_test_trajs=1,
        num_workers=1,
    )
    files = ("stages/lam_and_action_decoder", "envs/mujoco", "vq/fsq")
    configs.parse_gin(
        [f"gin/{file}.gin" for file in files],
        [*NUMBERS.strip().splitlines(), f"DATA_DIR = {str(base / 'data')!r}"],
        roots=[train_lib.train],
    )
    gin.get_configurable(train_lib.train)(workdir=str(base / "run"))
    relabel.relabel(
        source=read(base / "run"),
        labeller=labeller.Labeller(str(base / "run")),
        name="own",
    )
    return base / "run"


def read(run) -> rlds_reader.RldsReader:
    data_dir = str(run.parent / "data")
    return rlds_reader.RldsReader(dataset_name=NAME, data_dir=data_dir)


def verdicts(report) -> dict[str, str]:
    return {name: item["verdict"] for name, item in report["items"].items()}


def examine(run, **kwargs):
    return health_of_run.report(str(run), [], [], max_windows=600, **kwargs).report


def with_module(run, target, name, change):
    """A copy of the run one of whose modules is changed."""
    shutil.copytree(run, target, ignore=shutil.ignore_patterns("health"))
    module = module_io.load_module(target / "modules" / name)
    change(module)
    module_io.save_module(module, target / "modules" / name, {"step": 1})
    return target


def with_latents(run, name, change):
    """Latents beside the data that are said to be the run's, but were changed."""
    source = read(run)
    latents = np.array(latent_store.LatentStore(source, "own").read()["latent_action"])
    field = {"latent_action": specs.ArraySpec(latents.shape[1:], "float32")}
    fingerprint = labeller.Labeller(str(run)).fingerprint
    writer = latent_store.LatentStore(source, name).writer(field, fingerprint)
    has_successor = np.ones(source.num_steps, bool)
    has_successor[source.starts + source.lengths - 1] = False
    changed = change(latents, np.asarray(source.array(specs.ACTION)))
    writer.write({"latent_action": changed[has_successor]})
    writer.close()


def remove_latents(run, name):
    shutil.rmtree(latent_store.LatentStore(read(run), name).directory.parent)


def zero(weight, rows):
    values = np.array(weight)
    values[rows] = 0.0
    weight.assign(values)


def test_a_healthy_model_passes(run):
    report = examine(run)
    assert set(verdicts(report).values()) == {"good"}, report["items"]
    assert report["verdict"] == "good" and report["cause"] is None
    assert report["items"]["leak"]["values"]["mismatch_own"] == 0.0


def test_collapsed_codes(run, tmp_path):
    def collapse(idm):
        zero(idm.head.kernel, slice(None))

    report = examine(with_module(run, tmp_path / "run", "idm", collapse))
    assert report["cause"] == "collapsed latents"
    assert report["items"]["codes"]["values"]["joint_perplexity"] == 1.0


def test_latent_ignored_by_the_forward_model(run, tmp_path):
    def ignore(fdm):
        zero(fdm.decoder.network.layers[0].kernel, slice(17, None))

    report = examine(with_module(run, tmp_path / "run", "fdm", ignore))
    assert report["cause"] == "a forward model that ignores the latent"
    assert report["items"]["listening"]["values"]["swap_ratio"] == pytest.approx(1.0)
    assert verdicts(report)["action"] == "good"


def test_latent_of_the_state_alone(run, tmp_path):
    def blind(idm):  # o_t stands before what follows it
        zero(idm.encoder.layers[0].kernel, slice(17, None))

    report = examine(with_module(run, tmp_path / "run", "idm", blind))
    assert report["cause"] == "latents of what is there, not of what happens"
    assert report["items"]["background"]["values"]["future_share"] < 1e-6
    assert verdicts(report)["codes"] != "broken"


def test_latents_one_step_off(run):
    with_latents(run, "late", lambda z, action: np.roll(z, 1, axis=0))
    report = examine(run, latents="late")
    assert report["cause"] == "latents one step off the actions"
    assert "One step late" in report["items"]["shift"]["finding"]
    # Such latents are not the model's either, but they tell no more than those.
    assert verdicts(report)["leak"] == "doubtful"
    remove_latents(run, "late")


def test_labels_leaked_into_stored_latents(run):
    def leak(z, action):
        return np.concatenate([action, z[:, action.shape[-1] :]], axis=1)

    with_latents(run, "leaky", leak)
    report = examine(run)  # not asked for, but said to be this run's
    assert report["cause"] == "labels leaked into the latents"
    assert "'leaky'" in report["items"]["leak"]["finding"]
    others = {n: v for n, v in verdicts(report).items() if n != "leak"}
    assert set(others.values()) == {"good"}
    remove_latents(run, "leaky")
