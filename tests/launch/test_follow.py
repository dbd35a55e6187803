"""launch.evaluate --follow beside runs that are really trained."""

import pathlib
import shutil
import signal
import subprocess
import sys
import time

import commands
import numpy as np
import pytest
import tiny_runs
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from launch import follow, trained_run
from pdtla.analysis import plots
from pdtla.analysis import results as results_lib
from pdtla.training import configs
from pdtla.training.sinks.json_lines import JsonLines
from pdtla.training.sinks.tensor_board import TensorBoard

LIMIT = 200  # seconds that a process may take
SCALAR = "greedy/return_mean"


def start(module, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", f"launch.{module}", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=configs.REPOSITORY,
        env=commands.environment(),
    )


def follower_of(workdir):
    return start("evaluate", f"--run={workdir}", "--follow", "--record=1")


def ended(process):
    """The exit status and what it said."""
    _, stderr = process.communicate(timeout=LIMIT)
    return process.returncode, stderr


def curve(workdir):
    path = pathlib.Path(workdir) / "rollouts/metrics.jsonl"
    return plots.read_metrics(path, "rollouts") if path.exists() else {}


@pytest.fixture(scope="module")
def finished(maze, tmp_path_factory):
    """A finished run with checkpoints of two updates."""
    workdir = tmp_path_factory.mktemp("finished") / "bc"
    few = ("NUM_UPDATES = 2", "NUM_EVALS = 1", "CHECKPOINT_EVERY = 1")
    tiny_runs.train("bc", maze, workdir, *few)
    return workdir


@pytest.fixture
def copied(finished, tmp_path):
    return pathlib.Path(shutil.copytree(finished, tmp_path / "bc"))


def make_follower(workdir):
    run = trained_run.build_run(
        str(workdir), trained_run.read_settings(str(workdir), [], [])
    )
    evaluator = trained_run.make_evaluator(run, num_rollouts=2, record=0)
    return follow.Follower(workdir, run, evaluator, asked={})


def test_beside_a_run(maze, tmp_path):
    workdir = tmp_path / "bc"
    follower = follower_of(workdir)  # there is nothing yet
    trainer = start(
        "train",
        f"--workdir={workdir}",
        *(f"--gin_file={file}" for file in tiny_runs.files("bc")),
        f"--gin.DATA_DIR={maze}",
        "--gin.NUM_UPDATES=8",
        "--gin.KEEP_CHECKPOINTS=4",
    )
    status, stderr = ended(trainer)
    assert status == 0, stderr[-2000:]
    status, stderr = ended(follower)
    assert status == 0, stderr[-2000:]
    assert "Waiting for the first checkpoint" in stderr
    assert curve(workdir), stderr
    steps, values = curve(workdir)[SCALAR]
    assert steps == [2, 4, 6, 8], stderr
    section = results_lib.read_results(workdir / "results.json")["rollouts"]
    assert section["step"] == 8 and len(section["returns"]) == 2
    greedy = next(r for r in section["other_modes"] if r["mode"] == "greedy")
    assert greedy["mean"] == values[-1]
    events = EventAccumulator(str(workdir / "rollouts")).Reload().Tensors(SCALAR)
    assert [event.step for event in events] == steps
    shown = [tensor_util.make_ndarray(event.tensor_proto) for event in events]
    np.testing.assert_allclose(shown, values, rtol=1e-6)
    assert (workdir / "rollouts/step-8.gif").exists()
    assert len(plots.metrics_files(workdir)) == 2
    assert "rollouts" not in (workdir / "metrics.jsonl").read_text()


def test_stopped_follower_goes_on_where_it_was(copied):
    results = (copied / "results.json").rename(copied.parent / "results.json")
    follower = follower_of(copied)  # of a run that is not finished
    deadline = time.monotonic() + LIMIT
    while not curve(copied).get(SCALAR, ([0],))[0][-1] == 2:
        assert time.monotonic() < deadline and follower.poll() is None
        time.sleep(0.5)
    follower.send_signal(signal.SIGTERM)
    status, stderr = ended(follower)
    assert status == 75, stderr[-2000:]
    assert stderr.splitlines()[-1].endswith("Stopping, as SIGTERM asks.")
    before = curve(copied)
    results.rename(copied / "results.json")
    status, stderr = ended(follower_of(copied))
    assert status == 0, stderr[-2000:]
    assert curve(copied) == before
    assert before[SCALAR][0] == [1, 2]
    section = results_lib.read_results(copied / "results.json")["rollouts"]
    assert section["step"] == 2


def test_damaged_and_deleted_checkpoints_are_passed_over(copied, caplog):
    tiny_runs.cut(next(copied.glob("checkpoints/ckpt-1.data*")))
    follower = make_follower(copied)
    with pytest.raises(configs.ConfigError, match="Another run is using"):
        make_follower(copied)
    follower._evaluate(7)
    assert "Update 7: deleted before it could be read." in caplog.text
    follower.follow()
    follower.close()
    assert "CHECKPOINT OF UPDATE 1 SKIPPED" in caplog.text
    assert curve(copied)[SCALAR][0] == [2]


def test_wrong_input_is_one_line(copied):
    outcomes = commands.run_all(
        [
            ["evaluate", f"--run={copied}", "--follow", "--name=all"],
            ["evaluate", f"--run={copied}", "--follow", "--gin.EVALUATOR=None"],
        ]
    )
    assert [done["status"] for done in outcomes] == [2, 2]
    assert "takes no --name" in outcomes[0]["stderr"]
    assert "has no EVALUATOR" in outcomes[1]["stderr"]


def test_rollouts_of_training_itself_stay_in_the_curve(copied):
    """The follower adds to the curve that the run has."""
    board = TensorBoard(copied, step=0)
    lines = JsonLines(copied, step=0)
    for step in (1, 2):
        for sink in (board, lines):
            sink.scalars(step, "rollouts", {SCALAR: float(step)})
    board.close()
    lines.close()
    follower = make_follower(copied)
    follower.follow()
    follower.close()
    events = EventAccumulator(str(copied / "rollouts")).Reload().Tensors(SCALAR)
    assert [event.step for event in events] == [1, 2, 1, 2]
