"""The comparison of demonstrations: its arithmetic, and all of it in small."""

import json
import subprocess
import sys

import commands
import numpy as np
import pytest

from launch import prompting_table
from pdtla.analysis import results as results_lib

COMMON = """
include 'gin/envs/halfcheetah_vel.gin'

MAX_EPISODE_STEPS = 12
NUM_TRAIN_LEVELS = 8
NUM_EVAL_LEVELS = 3
EPISODES_PER_LEVEL = 4
TRAIN_FRAC = 0.5
BATCH_SIZE = 8
LOG_EVERY = 2
MAX_HELDOUT_BATCHES = 1
NUM_EVALS = 1
NUM_EVAL_ROLLOUTS = 6
CHECKPOINT_EVERY = 0
"""
DATA = """
from __gin__ import dynamic_registration

from pdtla.datasets import build

NUM_TRAJS = 32
NUM_TEST_TRAJS = 12
build.build.num_workers = 1     # a process of its own takes longer to begin
"""
LAM = """
include 'gin/vq/none.gin'

LATENT_DIM = 3
CONTEXT_LEN = 1
NUM_UPDATES = 2
"""
TRANSFORMER = """
include 'gin/data/prompted.gin'

CONTEXT_LEN = 4
CONTEXT_WINDOW = 2
MAX_DEMOS = 4
DEMO_LEN = 3
MLP_HIDDEN = ()
MLP_OUTPUT = 8
TRANSFORMER_WIDTH = 8
TRANSFORMER_LAYERS = 1
TRANSFORMER_HEADS = 1
NUM_UPDATES = 2
"""
TWO = "NUM_UPDATES = 2\n"
NUMBERS = {
    "common": COMMON,
    "data": DATA,
    "lam": LAM,
    "lam_joint": LAM,
    "action_decoder": TWO,
    "vpt": TWO,
    "policy_few": TWO,
    "transformer": TRANSFORMER,
}
METHODS = (
    "la_dt,la_dt_tuned,pdtla,pdtla_predicted,pdtla_two_stages,vpt_pdt,retrieval_la,"
    "oracle"
)


def episodes(returns, levels=(0, 0, 1)):
    return prompting_table.Episodes(np.array(returns, np.float64), np.array(levels))


def test_gains_are_differences_within_tasks():
    rows = prompting_table.make_rows(
        {
            ("random", "-"): [episodes([-10, -30, -40])],
            ("oracle", "4"): [episodes([0, 0, -10])],
            ("pdtla", "0"): [episodes([-14, -16, -25]), episodes([-5, -15, -15])],
            ("pdtla", "4"): [episodes([-9, -11, -15]), episodes([0, -4, -5])],
        },
        most="4",
    )
    rows = {(row["method"], row["prompt"]): row for row in rows}
    assert rows["random", "-"]["score"] == 0.0 and rows["oracle", "4"]["score"] == 1.0
    prompted = rows["pdtla", "4"]
    assert prompted["tasks"] == 2 and prompted["seed_means"] == [-12.5, -3.5]
    assert prompted["mean"] == -8.0
    assert prompted["score"] == pytest.approx((-8 + 30) / (-5 + 30))
    gains = [5.0, 10.0, 8.0, 10.0]  # of the tasks of both seeds
    assert prompted["gain"] == pytest.approx(np.mean(gains))
    assert 5.0 <= prompted["gain_ci95"][0] < prompted["gain_ci95"][1] <= 10.0
    assert "gain" not in rows["pdtla", "0"]
    lines = prompting_table.table(list(rows.values()), {"pdtla": "few"}).splitlines()
    assert lines[5].startswith("| `pdtla` | few | 4 | -8.0 |")


def test_methods_are_compared_on_the_simulator(tmp_path):
    """With episodes of 12 steps and stages of 2 updates."""
    (tmp_path / "numbers").mkdir()
    for name, text in NUMBERS.items():
        (tmp_path / "numbers" / f"{name}.gin").write_text(text)
    command = [sys.executable, "-m", "launch.prompting", f"--methods={METHODS}"]
    command += [f"--preset={tmp_path / 'numbers'}", f"--output={tmp_path / 'out'}"]
    command += [f"--data_dir={tmp_path / 'data'}", "--num_labels=16", "--shots=0,1,4"]
    run = lambda: subprocess.run(  # noqa: E731
        command, capture_output=True, text=True, env=commands.environment()
    )
    done = run()
    assert done.returncode == 0, done.stderr[-3000:]
    out = tmp_path / "out"
    rows = json.loads((out / "summary.json").read_text())["rows"]
    shown = {(row["method"], row["prompt"]): row for row in rows}
    assert {prompt for method, prompt in shown if method == "pdtla"} == {
        *("0", "1", "4"),
        *("wrong task", "shuffled"),
    }
    assert all(np.isfinite(row["mean"]) for row in rows)
    assert shown["pdtla", "4"]["mean"] != shown["pdtla", "0"]["mean"]
    assert shown["pdtla", "4"]["mean"] != shown["pdtla_predicted", "4"]["mean"]
    untuned = shown["la_dt", "-"]["mean"]
    assert untuned not in [shown["la_dt_tuned", k]["mean"] for k in ("1", "4")]
    assert done.stdout.endswith((out / "table.md").read_text())
    # Stages, and how many action labels each was told.
    for name, stage, labels in (
        ("pdtla", "LatentDecisionTransformer", 16),
        ("lam_joint", "LatentActionModel", 16),
        ("vpt_pdt", "LatentDecisionTransformer", 16),
        ("oracle", "DecisionTransformer", None),
    ):
        results = results_lib.read_results(out / f"seed-0/{name}/results.json")
        assert (results["stage"], results["labels"]) == (stage, labels)
    again = run()
    assert again.stdout.endswith((out / "table.md").read_text())
    assert "Step" not in again.stderr  # nothing was trained or played anew
