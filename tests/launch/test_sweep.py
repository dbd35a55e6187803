"""Tests of sweeps: real runs of a few updates, killed, resumed and told of."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import commands
import pytest
import tiny_runs
from tensorboard import program
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.plugins.hparams import metadata

from pdtla.training import configs

TOYS = configs.REPOSITORY / "tests" / "training"
SEEDS = ["SEED=0", "SEED=1"]
METRIC = "heldout_loss"
QUERY = {
    "experimentName": "",
    "allowedStatuses": ["STATUS_SUCCESS"],
    "colParams": [{"metric": {"tag": METRIC}}],
    "startIndex": 0,
    "sliceSize": 10,
}


def arguments(maze, sweep_dir, *more):
    files = [f"--gin_file={file}" for file in tiny_runs.files("lam")]
    return [*files, f"--gin.DATA_DIR={maze}", f"--sweep_dir={sweep_dir}", *more]


def start(arguments, **kwargs):
    environment = commands.environment()
    environment["PYTHONPATH"] += f"{os.pathsep}{TOYS}"
    return subprocess.Popen(
        [sys.executable, "-m", "launch.sweep", *arguments],
        env=environment,
        text=True,
        # What runs in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **kwargs,
    )


def sweep(arguments):
    process = start(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    stdout, stderr = process.communicate(timeout=240)
    return process.returncode, stdout, stderr


def rows(table):
    """State and step of each point, by name."""
    lines = [line.split() for line in table.splitlines()[1:]]
    return {name: (state, step) for name, state, step, *_ in lines if "/" in step}


def plugin_data(directory, tag):
    accumulator = plugin_event_accumulator.EventAccumulator(str(directory)).Reload()
    return accumulator.SummaryMetadata(tag).plugin_data.content


def ask(address, query):
    """The answer of TensorBoard; no sessions before it has read the files."""
    request = urllib.request.Request(
        address, json.dumps(query).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return {"totalSize": 0} | json.load(answer)
    except urllib.error.HTTPError as error:
        return {"totalSize": 0, "error": error.read()}


@pytest.fixture(scope="module")
def swept(maze, tmp_path_factory):
    """A sweep whose second point failed, and its second run."""
    sweep_dir = tmp_path_factory.mktemp("sweeps") / "lam"
    # A folder that is no run makes the second point fail before it begins.
    (sweep_dir / "SEED=1" / "config.gin").mkdir(parents=True)
    command = arguments(maze, sweep_dir, "--grid=SEED=0,1")
    first = sweep(command)
    (sweep_dir / "SEED=1" / "config.gin").rmdir()
    return sweep_dir, command, first, sweep(command)


def test_failed_point_leaves_the_other_alone(swept):
    _, _, (status, stdout, stderr), _ = swept
    assert status == 1, stderr
    assert rows(stdout) == {"SEED=0": ("finished", "4/4"), "SEED=1": ("FAILED", "0/4")}
    assert "2 points: 1 finished, 1 FAILED." in stdout
    assert stdout.splitlines()[-1].startswith("SEED=1: ")
    assert "Is a directory" in stdout.splitlines()[-1]


def test_same_command_skips_what_is_finished_and_tries_the_rest(swept):
    sweep_dir, _, _, (status, stdout, stderr) = swept
    assert status == 0, stderr
    assert "1 of 2 points to run." in stderr
    assert "SEED=1: ended after" in stderr
    assert rows(stdout) == {
        "SEED=0": ("finished", "4/4"),
        "SEED=1": ("finished", "4/4"),
    }
    losses = set()
    for seed in (0, 1):
        results = json.loads((sweep_dir / f"SEED={seed}" / "results.json").read_text())
        assert (results["seed"], results["step"]) == (seed, 4)
        assert f"{results['heldout']['loss']:.4g}" in stdout
        losses.add(results["heldout"]["loss"])
    assert len(losses) == 2


def test_other_grids_share_the_directory_unless_they_conflict(maze, swept):
    sweep_dir = swept[0]
    common = [*arguments(maze, sweep_dir), "--dry_run"]
    conflict, more, bad_value, bad_name, both = commands.run_all(
        ["sweep", *common, *rest]
        for rest in (
            ["--grid=SEED=1,2", "--gin.BATCH_SIZE=2"],
            ["--grid=SEED=2,3"],
            ["--grid=SEED=5,6", "--grid=PRECISION=float32,float16"],
            ["--grid=SEEDS=1,2"],
            ["--grid=SEED=1,2", "--gin.SEED=3"],
        )
    )
    assert more["status"] == 0, more["stderr"]
    for result, message in (
        (conflict, "SEED=1: The workdir"),
        (conflict, "BATCH_SIZE was 4, is 2"),
        (bad_value, "PRECISION=float16,SEED=5: precision must be one of"),
        (bad_name, "SEEDS=1: Unknown macro SEEDS in 'SEEDS = 1'. Did you mean SEED"),
        (both, "SEED is an axis of the grid and bound by --gin.SEED as well."),
    ):
        assert result["status"] == 2
        assert message in result["stderr"].strip().splitlines()[-1]
    assert not (sweep_dir / "SEED=2").exists()


def test_status_is_told_at_any_time(swept):
    status, stdout, _ = sweep([f"--sweep_dir={swept[0]}", "--status"])
    assert status == 0
    assert rows(stdout) == dict.fromkeys(SEEDS, ("finished", "4/4"))


def test_tensorboard_gets_the_columns_and_rows_of_its_table(swept):
    sweep_dir = swept[0]
    experiment = metadata.parse_experiment_plugin_data(
        plugin_data(sweep_dir, metadata.EXPERIMENT_TAG)
    )
    (column,) = experiment.hparam_infos
    assert column.name == "SEED"
    assert [value.number_value for value in column.domain_discrete.values] == [0, 1]
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert metrics == ["heldout_loss", "return_mean", "success_rate"]
    for seed in (0, 1):
        workdir = sweep_dir / f"SEED={seed}"
        session = metadata.parse_session_start_info_plugin_data(
            plugin_data(workdir, metadata.SESSION_START_INFO_TAG)
        )
        assert session.hparams["SEED"].number_value == seed
        assert session.hparams["ENV_ID"].string_value == "maze"


def test_ctrl_c_stops_the_runs_and_the_same_command_goes_on(tmp_path):
    sweep_dir = tmp_path / "sweep"
    updates = 300
    metrics = sweep_dir / "SEED=0" / "metrics.jsonl"
    command = [
        f"--gin_file={TOYS / 'toy.gin'}",
        "--gin_file=gin/smoke.gin",
        "--grid=SEED=0,1",
        f"--gin.NUM_UPDATES={updates}",
        f"--sweep_dir={sweep_dir}",
    ]
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (metrics.exists() and len(metrics.read_text().splitlines()) > 2):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    found = rows(stdout)
    assert found["SEED=1"] == ("waiting", f"0/{updates}")
    state, step = found["SEED=0"]
    assert state == "stopped" and 0 < int(step.split("/")[0]) < updates
    status, stdout, stderr = sweep([*command, "--max_parallel=2"])
    assert status == 0, stderr
    assert rows(stdout) == dict.fromkeys(SEEDS, ("finished", f"{updates}/{updates}"))
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    steps = [record["step"] for record in records if record["split"] == "train"]
    assert steps == list(range(2, updates + 1, 2))


def test_tensorboard_serves_the_table(swept):
    board = program.TensorBoard()
    board.configure(logdir=str(swept[0]), host="127.0.0.1", port=0, load_fast="false")
    address = board.launch() + "data/plugin/hparams/"
    deadline = time.monotonic() + 30
    while (sessions := ask(address + "session_groups", QUERY))["totalSize"] < 2:
        assert time.monotonic() < deadline, sessions
        time.sleep(0.5)
    experiment = ask(address + "experiment", {"experimentName": ""})
    assert [column["name"] for column in experiment["hparamInfos"]] == ["SEED"]
    losses = {}
    for group in sessions["sessionGroups"]:
        (loss,) = (m for m in group["metricValues"] if m["name"]["tag"] == METRIC)
        losses[group["hparams"]["SEED"]] = loss["value"]
    for seed in (0, 1):
        results = json.loads((swept[0] / f"SEED={seed}" / "results.json").read_text())
        assert losses[seed] == pytest.approx(results["heldout"]["loss"])
