"""The report by level, as it is called, on a run with levels."""

import numpy as np
import pytest
import tiny_runs

from launch import levels_of_run
from pdtla.training import configs


def test_a_run_is_reported_by_level(maze, tmp_path):
    tiny_runs.train(
        "lam_hierarchical",
        maze,
        tmp_path,
        "NUM_UPDATES = 2",
        "NUM_EVALS = 1",
        swaps=["gin/vq/residual_fsq.gin"],
    )
    rows = levels_of_run.report(str(tmp_path), [], [], batch_size=8, max_windows=64)
    assert list(rows) == ["1", "2", "unquantized"]
    expected = {f"{name}copy_ratio" for name in ("", "swapped_", "skill_")}
    expected |= {"probe_linear", "probe_mlp"}
    assert set(rows["unquantized"]) == expected
    assert set(rows["1"]) == expected | {"perplexity", "dead_codes"}
    assert all(np.isfinite(value) for row in rows.values() for value in row.values())
    # Actions of the maze are discrete: accuracies.
    assert 0.0 <= rows["1"]["probe_mlp"] <= 1.0


def test_other_runs_are_refused(lam, tmp_path):
    with pytest.raises(configs.ConfigError, match="no config.gin"):
        levels_of_run.report(str(tmp_path), [], [], 8, 64)
    with pytest.raises(configs.ConfigError, match="needs a residual quantizer"):
        levels_of_run.report(str(lam), [], [], 8, 64)
