"""How the comparison with few labels reads its flags and scores its methods."""

import numpy as np
import pytest

from launch import few_labels
from pdtla.training import configs


def test_labels_are_transitions_or_trajectories():
    some = few_labels.parse_labels("medium:128", "hopper")
    assert some.dataset == "mujoco_dataset/hopper-medium-random"
    assert some.macros == some.joint == {"NUM_EXAMPLES": 128}
    whole = few_labels.parse_labels("expert:5t", "hopper")
    assert whole.dataset == "mujoco_dataset/hopper-expert"
    assert whole.macros == {"NUM_EXAMPLES": -1, "NUM_TRAJS": 5}
    assert whole.joint == {"NUM_EXAMPLES": -1, "LABELLED_NUM_TRAJS": 5}
    for text in ("medium", "medium:0", "other:128", "medium:5x"):
        with pytest.raises(configs.ConfigError, match="like noisy:128 or expert:5t"):
            few_labels.parse_labels(text, "hopper")


def test_scores_are_shares_of_cloning_with_all_labels():
    returns = {
        ("-", "random"): [np.array([0.0, 20.0])],
        ("all", "bc_all"): [np.array([100.0, 110.0]), np.array([110.0, 120.0])],
        ("medium:128", "vpt"): [np.array([50.0, 60.0]), np.array([70.0, 80.0])],
    }
    rows = {row["method"]: row for row in few_labels.make_rows(returns)}
    assert rows["random"]["score"] == 0.0 and rows["bc_all"]["score"] == 1.0
    vpt = rows["vpt"]
    assert vpt["score"] == pytest.approx((65 - 10) / (110 - 10))
    assert vpt["seed_means"] == [55.0, 75.0]
    assert vpt["ci95"][0] < 65 < vpt["ci95"][1]
    lines = few_labels.table(list(rows.values())).splitlines()
    assert len(lines) == 5
    assert lines[4].startswith("| medium:128 | `vpt` | 2 | 65 |")
