"""Several workers on loopback, by the command that a person gives."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import commands
import gin
import numpy as np
import pytest
import tiny_runs

from launch import worker_group
from pdtla.training import checkpoints, configs
from pdtla.training import train as train_lib

TOYS = configs.REPOSITORY / "tests" / "training"
UPDATES = 40
RUN = (
    tiny_runs.LABELS,
    f"NUM_UPDATES = {UPDATES}",
    "CHECKPOINT_EVERY = 5",
    "LOG_EVERY = 1",
    "NUM_EVALS = 1",
    "MAX_HELDOUT_BATCHES = 1",
)


def command(data_dir, workdir) -> list[str]:
    files = [f"--gin_file={file}" for file in tiny_runs.files(tiny_runs.LAM)]
    bindings = [f"--gin_bindings={binding}" for binding in RUN]
    return [
        *(sys.executable, "-m", "launch.local_cluster", "--workers=2", "--"),
        *(sys.executable, "-m", "launch.train", "--strategy=multi_worker"),
        *(f"--workdir={workdir}", f"--gin.DATA_DIR={data_dir}", *files, *bindings),
    ]


def wait_for_checkpoint(process, workdir) -> None:
    deadline = time.monotonic() + 600
    while checkpoints.latest_step(workdir / "checkpoints") is None:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def worker(process, index: int) -> int:
    """Process id of a worker of a running local cluster."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        return int(file.read().split()[index])


def losses(workdir) -> dict[int, list[float]]:
    """Loss, its parts and the gradient norm of every update."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    names = ("loss", "action", "reconstruction", "vq", "grad_norm", "perplexity")
    return {
        record["step"]: [record[name] for name in names]
        for record in map(json.loads, lines)
        if record["split"] == "train"
    }


def test_two_workers_train_as_one_process_and_outlive_the_loss_of_one(maze, tmp_path):
    workdir = tmp_path / "two"
    process = subprocess.Popen(
        command(maze, workdir), env=commands.environment(), stdout=subprocess.DEVNULL
    )
    try:
        wait_for_checkpoint(process, workdir)
        os.kill(worker(process, 1), signal.SIGKILL)
        assert process.wait(300) == 128 + signal.SIGKILL
    finally:
        process.kill()
    assert not (workdir / "results.json").exists()
    again = subprocess.run(
        command(maze, workdir), env=commands.environment(), capture_output=True
    )
    assert again.returncode == 0, again.stdout[-3000:]
    results = json.loads((workdir / "results.json").read_text())
    assert results["step"] == UPDATES
    starts = {line[:10] for line in again.stdout.decode().splitlines()}
    assert starts == {"[worker 0]", "[worker 1]"}

    single = tiny_runs.train(tiny_runs.LAM, maze, tmp_path / "one", *RUN)
    ours, theirs = losses(workdir), losses(tmp_path / "one")
    assert list(ours) == list(theirs) == list(range(1, UPDATES + 1))
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-3)
    assert results["heldout"]["loss"] == pytest.approx(
        single["heldout"]["loss"], rel=1e-3
    )
    first, second = tiny_runs.weights(workdir), tiny_runs.weights(tmp_path / "one")
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(value, second[name], rtol=1e-3, atol=1e-4)


def group_of(code: str, size: int = 2) -> tuple[int, list[str], float]:
    """Status, lines and seconds of workers that run some Python."""
    output, start = io.StringIO(), time.monotonic()
    group = worker_group.WorkerGroup(
        [sys.executable, "-c", code], size, dict(os.environ), grace_seconds=1.0
    )
    status = group.run(output)
    return status, output.getvalue().splitlines(), time.monotonic() - start


def test_workers_stop_after_the_same_update_and_one_alone_goes_on(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(TOYS)
    settings = ("NUM_UPDATES = 1000", "CHECKPOINT_EVERY = 50", "NoisyMLP.rate = 0.0")
    files = [str(TOYS / "toy.gin"), "gin/smoke.gin"]
    workdir = tmp_path / "stopped"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "launch.local_cluster", "--workers=2", "--"),
            *(sys.executable, "-m", "launch.train", "--strategy=multi_worker"),
            *(f"--gin_file={file}" for file in files),
            *(f"--gin_bindings={binding}" for binding in settings),
            f"--workdir={workdir}",
        ],
        env=commands.environment(TOYS),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for_checkpoint(process, workdir)
        os.kill(worker(process, 1), signal.SIGTERM)  # the chief hears of it
        stdout, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == os.EX_TEMPFAIL, stdout[-3000:]
    step = checkpoints.latest_step(workdir / "checkpoints")
    assert 0 < step < 1000
    ends = [line for line in stdout.splitlines() if "Stopped after" in line]
    assert {line[:10] for line in ends} == {"[worker 0]", "[worker 1]"}
    assert all(f"after update {step};" in line for line in ends)

    for directory in (workdir, tmp_path / "one"):
        configs.parse_gin(files, settings, roots=[train_lib.train])
        results = gin.get_configurable(train_lib.train)(workdir=str(directory))
        assert results["step"] == 1000
    first, second = tiny_runs.weights(workdir), tiny_runs.weights(tmp_path / "one")
    for name, value in first.items():
        np.testing.assert_allclose(value, second[name], rtol=1e-2, atol=1e-3)


def cluster_of(code: str) -> subprocess.Popen:
    """The program, with two workers that run some Python."""
    worker = [sys.executable, "-c", code]
    return subprocess.Popen(
        [sys.executable, "-m", "launch.local_cluster", "--", *worker],
        env=commands.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


PREAMBLE = """
import json, os, signal, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
"""


def test_workers_are_told_who_they_are():
    code = PREAMBLE + "print(len(set(config['cluster']['worker'])), index)"
    status, lines, _ = group_of(code, 3)
    assert status == 0
    assert sorted(lines) == [f"[worker {index}] 3 {index}" for index in range(3)]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("sys.exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("sys.exit(75)", 75),
    ],
)
def test_one_that_fails_ends_all(end, expected):
    code = PREAMBLE + f"time.sleep(100) if index == 0 else {end}"
    status, _, seconds = group_of(code)
    assert status == expected
    assert seconds < 30


def test_one_that_does_not_listen_is_killed():
    code = PREAMBLE + (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "time.sleep(100 if index == 0 else 0.5)\nsys.exit(4)"
    )
    status, _, seconds = group_of(code)
    assert status == 4
    assert 1.0 < seconds < 30


def test_signals_are_passed_on():
    code = PREAMBLE + (
        "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75))\n"
        "print('ready', flush=True)\ntime.sleep(100)"
    )
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "launch.local_cluster",
            "--",
            sys.executable,
            "-c",
            code,
        ],
        env=commands.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        lines = sorted(process.stdout.readline() for _ in range(2))
        assert lines == ["[worker 0] ready\n", "[worker 1] ready\n"]
        process.send_signal(signal.SIGUSR1)
        assert process.wait(30) == 75
    finally:
        process.kill()


def test_workers_end_with_a_killed_parent():
    code = PREAMBLE + "print(os.getpid(), flush=True)\ntime.sleep(100)"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "launch.local_cluster",
            "--",
            sys.executable,
            "-c",
            code,
        ],
        env=commands.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    pids = [int(process.stdout.readline().split()[-1]) for _ in range(2)]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}/fd/1") for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
