"""launch.evaluate on a run that was really trained."""

import json
import os
import pathlib
import subprocess
import sys

import commands
import gin
import keras
import numpy as np
import pytest
import tiny_runs
from PIL import Image

from launch import evaluate, follow, trained_run
from pdtla.analysis import results
from pdtla.training import configs
from pdtla.training import train as train_lib

CONFIG = """
from __gin__ import dynamic_registration
import maze_frames
from pdtla.environments import levels
from pdtla.environments import procgen
from pdtla.layers import impala_cnn
from pdtla.policies import behavioral_cloning
from pdtla.rollouts import evaluator

STAGE = @behavioral_cloning.BehavioralCloning
DATASET = @maze_frames.MazeFrames
EVALUATOR = @evaluator.Evaluator
ENV_ID = "maze"
DATASET_NAME = "maze_frames"

behavioral_cloning.BehavioralCloning.encoder = @impala_cnn.ImpalaCNN()
impala_cnn.ImpalaCNN:
    channels = (2, 2, 2)
    blocks = 1
    output_dim = 8

evaluator.Evaluator:
    make_env = @procgen.Procgen
    num_rollouts = %NUM_EVAL_ROLLOUTS
    levels = @levels.evaluation_levels()
    train_levels = @train/levels.training_levels()
train/levels.training_levels.num_levels = 10

procgen.Procgen:
    env_id = %ENV_ID
    max_episode_steps = 15
"""


@pytest.fixture(autouse=True)
def clean_state():
    yield
    gin.clear_config()
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The workdir of a few updates of behavioural cloning."""
    directory = tmp_path_factory.mktemp("evaluate")
    config = directory / "bc.gin"
    config.write_text(CONFIG)
    configs.parse_gin([str(config), "gin/smoke.gin"], [], roots=[train_lib.train])
    workdir = str(directory / "run")
    gin.get_configurable(train_lib.train)(workdir=workdir)
    return workdir


def test_restores_the_last_checkpoint(run):
    loaded = trained_run.load_run(run, [], [])
    assert loaded.step == 4
    saved = np.load(next((pathlib.Path(run) / "modules/policy").glob("*.npz")))
    for index, variable in enumerate(loaded.stage.variables):
        np.testing.assert_array_equal(variable.numpy(), saved[f"{index:04d}"])


def test_writes_results_and_table(run):
    loaded = trained_run.load_run(run, [], [])
    evaluator = trained_run.make_evaluator(loaded, num_rollouts=6, record=2)
    assert evaluator.num_rollouts == 6
    evaluation = evaluator(loaded.stage, loaded.step)
    section = evaluator.section(evaluation)
    follow.add_rollouts(pathlib.Path(run), section | {"step": loaded.step})
    written = results.read_results(pathlib.Path(run) / "results.json")
    assert written["rollouts"]["step"] == 4
    assert np.shape(written["rollouts"]["returns"]) == (6, 1)
    assert written["stage"] == "BehavioralCloning"
    greedy, sampled = evaluate.table(section).splitlines()[1:]
    assert greedy.split()[:3] == ["greedy", "6", f"{section['mean']:.2f}"]
    assert sampled.startswith("sampled")
    again = evaluator(loaded.stage, loaded.step)
    np.testing.assert_array_equal(
        again.rollouts["sampled"].lengths, evaluation.rollouts["sampled"].lengths
    )


def run_main(*arguments):
    """The command line, in a process of its own for flags are global."""
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(__file__))
    command = [sys.executable, "-m", "launch.evaluate", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        cwd=configs.REPOSITORY,
    )


def test_command_line(run):
    done = run_main(f"--run={run}", "--num_rollouts=4", "--nogreedy", "--record=2")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "95% interval" in done.stderr
    with open(f"{run}/results.json") as file:
        rollouts = json.load(file)["rollouts"]
    assert rollouts["mode"] == "sampled" and rollouts["episodes"] == 4
    with Image.open(f"{run}/rollouts/step-4-sampled.gif") as gif:
        assert 1 < gif.n_frames <= 15
    done = run_main(f"--run={run}", "--num_rollouts=3", "--record=0", "--name=few")
    assert done.returncode == 0, done.stderr[-2000:]
    with open(f"{run}/evaluations/few.json") as file:
        assert json.load(file)["rollouts"]["episodes"] == 3
    with open(f"{run}/results.json") as file:
        assert json.load(file)["rollouts"] == rollouts


def test_a_latent_policy_acts_through_another_decoder(maze, lam, decoder, tmp_path):
    run, own = tmp_path / "la_bc", f"DECODER_RUN = {str(decoder)!r}"
    tiny_runs.train("la_bc", maze, run, "NUM_UPDATES = 2", "NUM_EVALS = 1", own)
    evaluation = ["evaluate", f"--run={run}", "--num_rollouts=2"]
    other, binding, no_latents = commands.run_all(
        [
            [*evaluation, "--name=other", f"--decoder_run={lam}"],
            [*evaluation, f"--gin.DECODER_RUN={lam}"],
            ["evaluate", f"--run={decoder}", f"--decoder_run={lam}"],
        ]
    )
    assert other["status"] == 0, other
    kept = results.read_json(run / "evaluations/other.json")
    assert kept["settings"]["decoder"] == str(lam)
    assert binding["status"] == no_latents["status"] == 2
    assert "by --decoder_run, not DECODER_RUN" in binding["stderr"]
    assert "the run has a ActionDecoder" in no_latents["stderr"]


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("EVALUATOR = None", "has no EVALUATOR"),
        ("NUM_EVAL_ROLOUTS = 3", "Did you mean NUM_EVAL_ROLLOUTS"),
    ],
)
def test_wrong_configuration(run, binding, message):
    with pytest.raises(configs.ConfigError, match=message) as error:
        trained_run.make_evaluator(trained_run.load_run(run, [], [binding]))
    assert "\n" not in str(error.value)


def test_a_model_that_is_not_the_checkpoints(run):
    done = run_main(f"--run={run}", "--gin_bindings=impala_cnn.ImpalaCNN.output_dim=4")
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ") and "ckpt-4 is a checkpoint of another" in line
    assert "dense/kernel is [128, 8] there, [128, 4] here" in line


def test_missing_run(tmp_path):
    with pytest.raises(configs.ConfigError, match="not the workdir of a run"):
        trained_run.load_run(str(tmp_path), [], [])


def test_no_checkpoint_yet(run, tmp_path):
    config = pathlib.Path(run) / "config.gin"
    (tmp_path / "config.gin").write_text(config.read_text())
    with pytest.raises(configs.ConfigError, match="no checkpoint yet"):
        trained_run.load_run(str(tmp_path), [], [])


def test_table_shows_success_where_there_is_one():
    row = {"mode": "greedy", "episodes": 8, "mean": 3.0, "ci95": [2, 4], "iqm": 3.0}
    assert "success" not in evaluate.table(row)
    header, line = evaluate.table(row | {"success_rate": 0.625}).splitlines()
    assert header.endswith("success") and line.endswith("62%")
