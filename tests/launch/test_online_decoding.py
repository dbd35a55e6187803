"""A latent policy that goes on learning in real simulators, in small."""

import json
import pathlib
import re
import shutil

import commands
import gin
import numpy as np
import pytest
import tiny_runs

from launch import chain as chain_lib
from pdtla.environments import mujoco, procgen
from pdtla.layers import module_io
from pdtla.online import collector
from pdtla.online import train_expert as train_lib
from pdtla.training import configs

ONLINE = "gin/online/latent_ppo.gin"
TINY = [
    "NUM_ENV_STEPS = 256",
    "NUM_ENVS = 4",
    "STEPS_PER_UPDATE = 8",
    "MINIBATCH_SIZE = 16",
    "EPOCHS = 2",
    "MAX_EPISODE_STEPS = 16",
    "NUM_EVALS = 2",
    "NUM_WATCHED = 2",
    "NUM_EVAL_ROLLOUTS = 3",
    "SNAPSHOT_EVERY = 4",
    "CHECKPOINT_EVERY = 3",
    "LOG_EVERY = 1",
]
COMMON = """
include 'gin/envs/mujoco.gin'

ENV_ID = "halfcheetah"
DATASET_NAME = "mujoco_dataset/halfcheetah-random"
MIX = "random"
MAX_EPISODE_STEPS = 16
TRAIN_FRAC = 0.5
CONTEXT_LEN = 0
BATCH_SIZE = 8
MLP_HIDDEN = (8,)
MLP_OUTPUT = 8
MAX_HELDOUT_BATCHES = 1
NUM_UPDATES = 2
NUM_EVALS = 1
CHECKPOINT_EVERY = 0
"""
DATA = """
from __gin__ import dynamic_registration

from pdtla.datasets import build

NUM_TRAJS = 4
NUM_TEST_TRAJS = 1
build.build.num_workers = 1
"""
FILES = {
    "maze": ["gin/envs/procgen.gin", tiny_runs.TINY],
    "halfcheetah": ["gin/envs/mujoco.gin"],
}


def train(env_id, workdir, *bindings):
    """As the command line does; returns the results."""
    numbers = ["MLP_HIDDEN = (8,)", "MLP_OUTPUT = 8"] if env_id != "maze" else []
    configs.parse_gin(
        [ONLINE, *FILES[env_id]],
        [f"ENV_ID = {env_id!r}", *TINY, *numbers, *bindings],
        roots=[train_lib.train_expert],
    )
    return gin.get_configurable(train_lib.train_expert)(workdir=str(workdir))


def start(run):
    return f"START_RUN = {str(run)!r}"


def decoder_of(run):
    return f"DECODER_RUN = {str(run)!r}"


@pytest.fixture(scope="session")
def maze_policy(maze, lam, decoder):
    """A run of la_bc on the maze, with a decoder of 16 labels."""
    workdir = maze.parent / "maze_policy"
    tiny_runs.train(
        "la_bc",
        maze,
        workdir,
        "NUM_UPDATES = 2",
        "NUM_EVALS = 1",
        f"DECODER_RUN = {str(decoder)!r}",
    )
    return workdir


@pytest.fixture(scope="session")
def cheetah(tmp_path_factory):
    """Directory of the runs `la_bc` and `decoder` on the half cheetah."""
    base = tmp_path_factory.mktemp("cheetah")
    preset = base / "preset"
    preset.mkdir()
    numbers = {"common": COMMON, "data": DATA, "policy": "", "action_decoder": ""}
    numbers["lam"] = "include 'gin/vq/none.gin'\nLATENT_DIM = 3\n"
    for name, text in numbers.items():
        (preset / f"{name}.gin").write_text(text)
    chain = chain_lib.Chain(str(preset), str(base / "data"), base)
    chain.build_dataset()
    chain.train("lam", "lam", "lam")
    chain.relabel("lam", "lam")
    few = {"NUM_EXAMPLES": 8, "NUM_UPDATES": 2, "WARMUP_STEPS": 0}
    chain.train("decoder", "action_decoder", "action_decoder", **few)
    chain.train("la_bc", "la_bc", "policy")
    return base


def digest(workdir):
    return module_io.read_digest(pathlib.Path(workdir) / "modules" / "policy")


def weights(layer):
    return [weight.numpy() for weight in layer.weights]


def test_pixels_and_categories(maze_policy, decoder, tmp_path):
    settings = start(maze_policy), decoder_of(decoder)
    results = train("maze", tmp_path, *settings)
    assert results["env_id"] == "maze" and results["labels"] == 16
    rollouts = results["rollouts"]
    assert rollouts["mode"] == "sampled"
    assert [other["mode"] for other in rollouts["other_modes"]] == ["greedy"]
    assert set(np.ravel(rollouts["returns"])) <= {0.0, 10.0}
    curve = results["curve"]
    assert [point["env_steps"] for point in curve] == [128, 256]
    assert all(0.0 <= point["sampled/return_mean"] <= 10.0 for point in curve)
    actor = module_io.load_module(tmp_path / "modules" / "policy")
    env = procgen.Procgen(env_id="maze", num_envs=3)
    action = np.array(actor(env.current().observation))
    assert action.shape == (3,) and action.dtype == np.int32
    env.step(action)


def test_resumed_run_equals_one_that_was_never_stopped(
    maze_policy, tmp_path, monkeypatch
):
    settings = start(maze_policy), "SHARE_CRITIC = True"
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train("maze", whole, *settings)
    collect, calls = collector.Collector.collect, []

    def stopping(self, rng):
        calls.append(rng)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return collect(self, rng)

    with monkeypatch.context() as patch:
        patch.setattr(collector.Collector, "collect", stopping)
        with pytest.raises(KeyboardInterrupt):
            train("maze", stopped, *settings)
    results = train("maze", stopped, *settings)
    assert digest(stopped) == digest(whole)
    found = json.loads((whole / "results.json").read_text())
    assert results["rollouts"] == found["rollouts"]
    for one, two in zip(results["curve"], found["curve"], strict=True):
        assert one == two


@pytest.mark.parametrize("fine_tune", [False, True])
def test_begins_as_the_latent_policy_and_its_decoder(cheetah, fine_tune, tmp_path):
    settings = start(cheetah / "la_bc"), decoder_of(cheetah / "decoder")
    results = train(
        "halfcheetah",
        tmp_path,
        *settings,
        f"FINE_TUNE = {fine_tune}",
        "NUM_CRITIC_STEPS = 128",
    )
    assert results["labels"] == 8
    trunk = module_io.load_module(cheetah / "la_bc" / "modules" / "policy")
    head = module_io.load_module(cheetah / "decoder" / "modules" / "decoder")
    env = mujoco.Mujoco(env_id="halfcheetah", num_envs=5)
    observation = env.current().observation
    expected = head.distribution.mode(head(trunk(observation[:, None])))
    # Up to here the critic alone has learnt.
    early = module_io.load_module(tmp_path / "snapshots" / "000000128")
    np.testing.assert_allclose(early(observation), expected, rtol=1e-5, atol=1e-6)
    last = module_io.load_module(tmp_path / "modules" / "policy")
    assert np.abs(last(observation) - expected).max() > 1e-5
    same = [
        np.array_equal(one, two)
        for one, two in zip(weights(last.trunk), weights(trunk), strict=True)
    ]
    assert same == [not fine_tune] * len(same)


def test_a_new_head_begins_in_the_middle(cheetah, tmp_path):
    results = train(
        "halfcheetah",
        tmp_path,
        start(cheetah / "la_bc"),
        "FINE_TUNE = False",
        "SHARE_CRITIC = True",
        "NUM_CRITIC_STEPS = 256",
    )
    assert results["labels"] == 0
    actor = module_io.load_module(tmp_path / "modules" / "policy")
    env = mujoco.Mujoco(env_id="halfcheetah", num_envs=5)
    action = actor(env.current().observation)
    assert 0.0 < np.abs(action).max() < 0.05
    mean, log_std = actor.parameters(
        actor.features(env.current().observation), env.current().observation
    )
    np.testing.assert_array_equal(action, mean)
    np.testing.assert_allclose(log_std, [-0.7] * 6)


def test_from_nothing_states_get_running_statistics(tmp_path):
    train("halfcheetah", tmp_path, "LATENT_DIM = 3")
    actor = module_io.load_module(tmp_path / "modules" / "policy")
    assert actor.trunk.output_dim == actor.head.input_dim == 3
    assert float(actor.trunk.standardize.count) == 256
    assert (actor.trunk.standardize.variance.numpy() != 1.0).all()


def other_width(cheetah, target):
    """A decoder of latents of another width than the policy's."""
    shutil.copytree(cheetah / "decoder", target)
    head = module_io.load_module(target / "modules" / "decoder")
    config = head.get_config()
    wide = type(head).from_config(config)
    wide.build((None, 7), (None, 1, 17))
    module_io.save_module(wide, target / "modules" / "decoder")
    return target


def command(env_id, workdir, *arguments):
    return [
        "train_expert",
        f"--gin_file={ONLINE}",
        *(f"--gin_file={file}" for file in FILES[env_id]),
        f"--gin.ENV_ID={env_id}",
        f"--workdir={workdir}",
        *arguments,
    ]


def test_wrong_input_is_told_in_one_line(
    maze_policy, lam, decoder, cheetah, tmp_path, subtests
):
    new = tmp_path / "new"
    policy = f"--gin.START_RUN={cheetah / 'la_bc'}"
    wide = other_width(cheetah, tmp_path / "wide")
    cases = {
        r"START_RUN must be a run of stage la_bc .*lam is of LatentAction": command(
            "maze", new, f"--gin.START_RUN={lam}"
        ),
        r"The run .*maze_policy is of maze, this one of halfcheetah": command(
            "halfcheetah", new, f"--gin.START_RUN={maze_policy}"
        ),
        r"nothing is not a finished run: no results.json": command(
            "maze", new, f"--gin.START_RUN={tmp_path / 'nothing'}"
        ),
        r"There is no saved module in .*la_bc/modules/decoder": command(
            "halfcheetah", new, policy, f"--gin.DECODER_RUN={cheetah / 'la_bc'}"
        ),
        r"The run .*decoder is of maze, this one of halfcheetah": command(
            "halfcheetah", new, policy, f"--gin.DECODER_RUN={decoder}"
        ),
        r"decoder of .*wide takes latents of width 7; those here have width 3": command(
            "halfcheetah", new, policy, f"--gin.DECODER_RUN={wide}"
        ),
        r"need the latent policy of a START_RUN": command(
            "halfcheetah", new, f"--gin.DECODER_RUN={cheetah / 'decoder'}"
        ),
        r"maps states to continuous actions, got .*uint8": command(
            "maze", new, "--gin.AGENT=@gaussian_agent.GaussianAgent"
        ),
        r"EVAL_MODES must be \(.greedy.,\)": command(
            "halfcheetah", new, policy, "--gin.EVAL_MODES=('sampled',)"
        ),
    }
    outcomes = commands.run_all(list(cases.values()))
    assert not (new / "checkpoints").exists()
    for message, outcome in zip(cases, outcomes, strict=True):
        with subtests.test(message):
            *_, line = outcome["stderr"].splitlines()
            assert outcome["status"] == 2, outcome["stderr"][-500:]
            assert re.fullmatch(f"error: .*{message}.*", line), line
