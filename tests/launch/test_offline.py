"""The comparison on mixed data: its scores, and all of it in small."""

import json
import subprocess
import sys

import commands
import numpy as np
import pytest

from launch import offline_table
from pdtla.analysis import results as results_lib
from pdtla.datasets import rlds_reader

COMMON = """
include 'gin/envs/mujoco.gin'

MAX_EPISODE_STEPS = 30
TRAIN_FRAC = 0.5
BATCH_SIZE = 8
LOG_EVERY = 2
MAX_HELDOUT_BATCHES = 1
NUM_UPDATES = 2
RUN_EVAL_ROLLOUTS = True
NUM_EVALS = 1
NUM_EVAL_ROLLOUTS = 3
CHECKPOINT_EVERY = 0
"""
DATA = """
from __gin__ import dynamic_registration

from pdtla.datasets import build

NUM_TRAJS = 8
NUM_TEST_TRAJS = 1
build.build.num_workers = 1     # a process of its own takes longer to begin
"""
TRANSFORMER = """
include 'gin/data/return_to_go.gin'

CONTEXT_LEN = 4
CONTEXT_WINDOW = 4
MLP_HIDDEN = ()
MLP_OUTPUT = 8
TRANSFORMER_WIDTH = 8
TRANSFORMER_LAYERS = 1
TRANSFORMER_HEADS = 1
"""
NUMBERS = {
    "common": COMMON,
    "data": DATA,
    "policy": "",
    "transformer": TRANSFORMER,
}


def test_scores_are_shares_of_the_expert():
    found = {
        ("-", "random"): [np.array([0.0, 20.0])],
        ("medium", "dt"): [np.array([50.0, 60.0]), np.array([70.0, 80.0])],
    }
    rows = {row["method"]: row for row in offline_table.make_rows(found, 10.0, 110.0)}
    assert rows["random"]["score"] == 0.0
    dt = rows["dt"]
    assert dt["score"] == pytest.approx(0.55) and dt["seed_means"] == [55.0, 75.0]
    assert dt["ci95"][0] < 65 < dt["ci95"][1]
    lines = offline_table.table(list(rows.values())).splitlines()
    assert lines[3].startswith("| medium | `dt` | 65 |")


def test_methods_are_compared_on_the_simulator(tmp_path):
    """On Hopper, with episodes of 30 steps and stages of 2 updates."""
    (tmp_path / "numbers").mkdir()
    for name, text in NUMBERS.items():
        (tmp_path / "numbers" / f"{name}.gin").write_text(text)
    command = [sys.executable, "-m", "launch.offline", "--env_id=hopper"]
    command += [f"--preset={tmp_path / 'numbers'}", "--mixes=medium-expert"]
    command += [f"--output={tmp_path / 'out'}", f"--data_dir={tmp_path / 'data'}"]
    run = lambda *more: subprocess.run(  # noqa: E731
        [*command, *more], capture_output=True, text=True, env=commands.environment()
    )
    done = run()
    assert done.returncode == 0, done.stderr[-3000:]
    out = tmp_path / "out"
    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert [(row["data"], row["method"]) for row in rows] == [
        ("-", "random"),
        ("-", "expert"),
        *(("medium-expert", each) for each in ("data", "bc", "dt", "dt_no_returns")),
    ]
    assert done.stdout.endswith((out / "table.md").read_text())
    for row in rows[3:]:
        folder = out / "medium-expert/seed-0" / row["method"]
        results = results_lib.read_results(folder / "results.json")
        assert row["seed_means"] == [pytest.approx(results["rollouts"]["mean"])]
        assert np.size(results["rollouts"]["returns"]) == 3
    config = (out / "medium-expert/seed-0/dt/config.gin").read_text()
    target = float(config.split("TARGET_RETURN = ")[1].split()[0])
    data = rlds_reader.RldsReader(
        dataset_name="mujoco_dataset/hopper-medium-expert", data_dir=tmp_path / "data"
    )
    returns = np.add.reduceat(data.array("reward"), data.starts)
    assert target == pytest.approx(returns.max())
    assert rows[2]["mean"] == pytest.approx(returns.mean())
    wrong = run("--mixes=good")
    assert wrong.returncode == 2 and "--mixes are of" in wrong.stderr
