"""The comparison with few labels: its flags, its scores, and all of it in small."""

import json
import subprocess
import sys

import commands
import numpy as np
import pytest

from launch import few_labels_family, few_labels_study, few_labels_table
from pdtla.analysis import results as results_lib
from pdtla.training import configs

COMMON = """
include 'gin/envs/mujoco.gin'

MAX_EPISODE_STEPS = 30
TRAIN_FRAC = 0.5
CONTEXT_LEN = 0
BATCH_SIZE = 8
LOG_EVERY = 2
MAX_HELDOUT_BATCHES = 1
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
NUMBERS = {
    "data": DATA,
    "policy": "NUM_UPDATES = 2\nRUN_EVAL_ROLLOUTS = True\n",
    "lam_few": "include 'gin/vq/none.gin'\nLATENT_DIM = 2\nNUM_UPDATES = 2\n",
    "vpt": "NUM_UPDATES = 2\n",
    "action_decoder": "NUM_UPDATES = 2\n",
}


def test_labels_are_transitions_or_trajectories():
    some = few_labels_study.parse_labels("medium:128", "walker2d")
    assert some.pool == "medium" and some.numbers["joint"] == "lam_few"
    assert some.macros == some.joint == {"NUM_EXAMPLES": 128}
    whole = few_labels_study.parse_labels("expert:5t", "walker2d")
    assert whole.pool == "expert" and whole.numbers["joint"] == "lam"
    assert whole.macros == {"NUM_EXAMPLES": -1, "NUM_TRAJS": 5}
    assert whole.joint == {"NUM_EXAMPLES": -1, "LABELLED_NUM_TRAJS": 5}
    for text in ("medium", "medium:0", "other:128", "medium:5x"):
        with pytest.raises(configs.ConfigError, match="like noisy:128 or expert:5t"):
            few_labels_study.parse_labels(text, "walker2d")


def test_labels_of_metaworld_come_from_the_noisy_script():
    assert few_labels_study.parse_labels("noisy:128", "window-open").pool == "noisy"
    family = few_labels_family.family_of("window-open")
    assert (
        family.dataset("noisy", "window-open") == "metaworld_dataset/window-open-noisy"
    )
    with pytest.raises(configs.ConfigError, match="of expert, noisy; got 'medium:128'"):
        few_labels_study.parse_labels("medium:128", "window-open")


def test_scores_are_shares_of_cloning_with_all_labels():
    returns = {
        ("-", "random"): [np.array([0.0, 20.0])],
        ("all", "bc_all"): [np.array([100.0, 110.0]), np.array([110.0, 120.0])],
        ("medium:128", "vpt"): [np.array([50.0, 60.0]), np.array([70.0, 80.0])],
    }
    rows = {row["method"]: row for row in few_labels_table.make_rows(returns)}
    assert rows["random"]["score"] == 0.0 and rows["bc_all"]["score"] == 1.0
    vpt = rows["vpt"]
    assert vpt["score"] == pytest.approx((65 - 10) / (110 - 10))
    assert vpt["seed_means"] == [55.0, 75.0]
    assert vpt["ci95"][0] < 65 < vpt["ci95"][1]
    lines = few_labels_table.table(list(rows.values())).splitlines()
    assert len(lines) == 5
    assert lines[4].startswith("| medium:128 | `vpt` | 2 | 65 |")


def test_methods_are_compared_on_the_simulator(tmp_path):
    """On Walker2d, with episodes of 30 steps and stages of 2 updates."""
    (tmp_path / "numbers").mkdir()
    for name, text in ({"common": COMMON} | NUMBERS).items():
        (tmp_path / "numbers" / f"{name}.gin").write_text(text)
    command = [sys.executable, "-m", "launch.few_labels", "--env_id=walker2d"]
    command += [f"--preset={tmp_path / 'numbers'}", "--labels=medium:16"]
    command += ["--methods=vpt,lapo_plus", f"--output={tmp_path / 'out'}"]
    done = subprocess.run(
        [*command, f"--data_dir={tmp_path / 'data'}"],
        capture_output=True,
        text=True,
        env=commands.environment(),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    out = tmp_path / "out"
    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert [(row["labels"], row["method"]) for row in rows] == [
        ("-", "random"),
        ("all", "expert"),
        ("all", "bc_all"),
        ("medium:16", "vpt"),
        ("medium:16", "lapo_plus"),
    ]
    text = (out / "table.md").read_text()
    assert done.stdout.endswith(text) and len(text.splitlines()) == 2 + len(rows)
    for row in rows[2:]:
        folder = out / "seed-0" / ("" if row["labels"] == "all" else "medium-16")
        results = results_lib.read_results(folder / row["method"] / "results.json")
        assert row["seed_means"] == [pytest.approx(results["rollouts"]["mean"])]
        assert np.size(results["rollouts"]["returns"]) == 3
    joint = results_lib.read_results(out / "seed-0/medium-16/joint/results.json")
    # The labels of one dataset, and beside them the other without its actions.
    assert (joint["dataset"], joint["labels"]) == ("mujoco_dataset/walker2d-steady", 16)
