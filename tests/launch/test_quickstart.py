"""The whole chain at its smallest, twice."""

import pathlib
import re
import subprocess
import sys

import commands
import numpy as np
import pytest

from pdtla.analysis import results, summary

REFERENCES = ("random", "best_constant", "action_marginal", "expert")
METHODS = {
    "random": 0,
    "best_constant": None,
    "action_marginal": None,
    "bc_64": 64,
    "idm_bc_64": 64,
    "la_bc_64": 64,
    "lapo_plus_64": 64,
    "bc_all": None,
    "expert": None,
}
STAGES = (
    "lam",
    "action_decoder",
    "vpt",
    "bc_64",
    "idm_bc_64",
    "la_bc_64",
    "lapo_plus_64",
    "bc_all",
)


def quickstart(base: pathlib.Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "launch.quickstart"]
    command += ["--preset=gin/presets/smoke", "--labels=64"]
    done = subprocess.run(
        [*command, f"--data_dir={base / 'data'}", f"--output={base / 'out'}"],
        capture_output=True,
        text=True,
        cwd=base,
        env=commands.environment(),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("quickstart")


@pytest.fixture(scope="module")
def finished(base):
    return quickstart(base)


@pytest.fixture(scope="module")
def content(finished, base):
    return results.read_json(base / "out" / "summary.json")


def test_rows(content):
    rows = {row["method"]: row for row in content["rows"]}
    assert {name: row["labels"] for name, row in rows.items()} == METHODS
    low, high = rows["random"]["mean"], rows["expert"]["mean"]
    assert high > low
    for name, row in rows.items():
        played = 512 if name in REFERENCES else 4
        assert row["episodes"] == played and row["seeds"] == 1, name
        assert 0.0 <= row["ci95"][0] <= row["mean"] <= row["ci95"][1] <= 10.0
        assert 0.0 <= row["iqm"] <= 10.0
        expected = (row["mean"] - low) / (high - low)
        assert row["normalized_mean"] == pytest.approx(expected), name
    summary.validate(content)


def test_returns_are_those_of_the_runs(content, base):
    rows = {row["method"]: row for row in content["rows"]}
    for method in ("la_bc_64", "bc_all"):
        run = base / "out" / content["runs"][method]
        returns = np.array(
            results.read_results(run / "results.json")["rollouts"]["returns"]
        )
        assert rows[method]["mean"] == pytest.approx(returns.mean())
        assert set(returns.ravel()) <= {0.0, 10.0}  # raw, with the terminal reward


def test_health_and_costs(content):
    health = content["health"]
    for name in ("copy_frame_ratio", "perplexity"):
        assert any(name in key for key in health), sorted(health)
    assert any("probe" in key for key in health), sorted(health)
    for name in ("decoder_accuracy", "idm_accuracy"):
        assert 0.0 <= health[name] <= 1.0
    seconds = content["wall_seconds"]
    assert {"dataset", "references"} <= set(seconds)
    assert {f"seed-0/{stage}" for stage in STAGES} <= set(seconds)
    assert {f"seed-0/{run}, relabelling" for run in ("lam", "vpt")} <= set(seconds)
    assert min(seconds.values()) > 0
    assert content["env_id"] == "maze"
    assert content["data"]["train_episodes"] == 60


def test_labels_are_the_same_for_all_methods(content, base):
    """What a method learnt from is in its results."""
    for stage in STAGES:
        run = base / "out" / content["runs"][stage]
        found = results.read_results(run / "results.json")
        assert found["labels"] == (None if stage == "bc_all" else 64), stage
        assert found["seed"] == 0


def test_report_needs_no_other_file(finished, base):
    text = (base / "out" / "report.html").read_text()
    links = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", text)
    assert links and all(link.startswith(("data:", "#")) for link in links)
    assert "http://" not in re.sub(r"http://www\.w3\.org\S*", "", text)
    for method in METHODS:
        assert method in text
    assert text.count("data:image/gif") >= 2 and text.count("data:image/png") >= 3


def test_table_on_the_terminal(finished):
    for method in METHODS:
        assert re.search(rf"^\W*{method}\b", finished.stdout, re.M), finished.stdout


def test_a_second_call_trains_nothing(finished, content, base):
    def times():
        patterns = ("out/seed-0/*/checkpoints/*", "out/seed-0/*/modules/*/*")
        patterns += ("data/**/*.npy", "data/**/*.tfrecord-*", "out/references.json")
        return {
            path: path.stat().st_mtime_ns
            for pattern in patterns
            for path in base.glob(pattern)
        }

    before = times()
    assert len(before) > 30
    again = quickstart(base)
    assert times() == before
    assert "Step 4 of 4" in finished.stderr and "Step 4" not in again.stderr
    assert results.read_json(base / "out" / "summary.json") == content
