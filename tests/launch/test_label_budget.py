"""The label budget: its files and flags, and all of it in small."""

import json
import subprocess
import sys

import commands
import numpy as np
import pytest
import test_few_labels

from launch import budget_settings
from pdtla.analysis import results as results_lib
from pdtla.layers import module_io
from pdtla.training import configs

PRESETS = sorted(
    path.stem.removeprefix("label_budget_")
    for path in (configs.REPOSITORY / "gin/presets").glob("label_budget_*.gin")
)


def settings(name, *bindings):
    return budget_settings.read([f"gin/presets/label_budget_{name}.gin"], bindings)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_files_that_are_there(name):
    found = settings(name)
    assert found.labels == tuple(2**power for power in range(3, 13))
    assert len(found.seeds) >= 3 and len(found.methods) == 6
    folder = configs.REPOSITORY / found.preset
    for number in found.labels:
        for file in found.labels_of(number).numbers.values():
            assert (folder / f"{file}.gin").is_file()


def test_few_labels_have_their_own_numbers():
    given = ("LABELS = (512, 8, 1024)", "SEEDS = 7", "METHODS = 'bc,la_bc'")
    found = settings("halfcheetah", *given)
    assert (found.labels, found.seeds) == ((8, 512, 1024), (7,))
    assert found.methods == ("bc", "la_bc")
    few, many = found.labels_of(512), found.labels_of(1024)
    assert few.numbers == {"bc": "policy_few", "joint": "lam_few", "vpt": "vpt_linear"}
    assert many.numbers == {"bc": "policy", "joint": "lam", "vpt": "vpt"}
    assert many.text == "expert:1024" and many.macros == {"NUM_EXAMPLES": 1024}


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("LABELS = ()", "LABELS must be different numbers of at least 1, got ()"),
        ("LABELS = (8, 8)", "LABELS must be different numbers"),
        ("SEEDS = -1", "SEEDS must be different numbers of at least 0"),
        ("METHODS = 'vpt'", "METHODS are of bc, vpt_bc, .*; got vpt"),
        ("POOL = 'other'", "POOL are of expert, medium, noisy; got other"),
        ("FEW_NUMBERS = {'lam': 'x'}", "FEW_NUMBERS are of bc, joint, vpt; got lam"),
        ("SHARE = 80", "SHARE must be above 0 and at most 1, got 80"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(binding, message):
    with pytest.raises(ValueError, match=message.replace("()", r"\(\)")):
        settings("halfcheetah", binding)


def test_pattern_stands_for_several_experiments():
    found = budget_settings.experiments(["gin/presets/label_budget_*.gin", "own.gin"])
    assert sorted(found) == PRESETS
    assert found["maze"][0].endswith("label_budget_maze.gin")
    assert found["maze"][1] == "own.gin"
    assert list(budget_settings.experiments(["a/label_budget_x.gin"])) == ["x"]
    with pytest.raises(configs.ConfigError, match="No gin file matches 'gin/no_"):
        budget_settings.experiments(["gin/no_*.gin"])
    with pytest.raises(configs.ConfigError, match="--gin_file must be set"):
        budget_settings.experiments([])


def test_budget_is_measured_on_the_simulator(tmp_path):
    """On Walker2d, with episodes of 30 steps and stages of 2 updates."""
    (tmp_path / "numbers").mkdir()
    numbers = {"common": test_few_labels.COMMON} | test_few_labels.NUMBERS
    numbers["lam"] = numbers["lam_few"]
    for name, text in numbers.items():
        (tmp_path / "numbers" / f"{name}.gin").write_text(text)
    (tmp_path / "label_budget_tiny.gin").write_text(
        f"ENV_ID = 'walker2d'\nPRESET = {str(tmp_path / 'numbers')!r}\n"
        "LABELS = (8, 16)\nMETHODS = ('la_bc', 'lapo_plus')\nSEEDS = 5\n"
    )
    command = [sys.executable, "-m", "launch.label_budget", f"--output={tmp_path}/out"]
    command += [f"--gin_file={tmp_path}/label_budget_*.gin"]
    command += [f"--data_dir={tmp_path / 'data'}"]

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            env=commands.environment(),
            cwd=tmp_path,
        )

    done = run()
    assert done.returncode == 0, done.stderr[-3000:]
    out = tmp_path / "out" / "tiny"
    summary = json.loads((out / "summary.json").read_text())
    assert [(row["method"], row["labels"]) for row in summary["rows"]] == [
        (method, labels) for method in ("la_bc", "lapo_plus") for labels in (8, 16)
    ]
    rows = {(row["method"], row["labels"]): row for row in summary["rows"]}
    for row in rows.values():
        episodes = np.array(row["returns"])
        assert episodes.shape == (1, 3) and row["episodes"] == 3
        assert row["seed_means"] == pytest.approx(episodes.mean(axis=1).tolist())
        assert row["mean"] == pytest.approx(episodes.mean())
    # What sees no label is trained once a seed, and acts through each decoder.
    assert (out / "seed-5/la_bc/results.json").is_file()
    evaluations = sorted((out / "seed-5/la_bc/evaluations").glob("*.json"))
    assert [path.stem for path in evaluations] == ["expert-16", "expert-8"]
    for path, labels in zip(evaluations, (16, 8), strict=True):
        stored = results_lib.read_json(path)
        decoder = out / f"seed-5/expert-{labels}/la_bc_decoder"
        digest = module_io.read_digest(decoder / "modules/decoder")
        assert stored["settings"]["decoder"] == {"decoder": digest}
        assert results_lib.read_results(decoder / "results.json")["labels"] == labels
        (found,) = rows["la_bc", labels]["returns"]
        assert found == np.ravel(stored["rollouts"]["returns"]).tolist()
    assert rows["la_bc", 8]["returns"] != rows["la_bc", 16]["returns"]
    page = (out / "report.html").read_text()
    assert "lapo_plus" in page and page.count("data:image/png") >= 1
    assert (out / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert "| labels | `la_bc` | `lapo_plus` |" in done.stdout
    written = {path: path.stat().st_mtime_ns for path in out.rglob("results.json")}
    again = run("--gin.METHODS=lapo_plus")
    assert again.returncode == 0, again.stderr[-3000:]
    assert written == {path: path.stat().st_mtime_ns for path in written}
