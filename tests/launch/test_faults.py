"""SIGKILL at random moments of the real programs, and what is left to go on with."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import commands
import gin
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from absl import logging

from pdtla.datasets.latent_store import LatentStore
from pdtla.training import configs
from pdtla.training import train as train_lib

UPDATES = 120
RUN = (
    tiny_runs.LABELS,
    f"NUM_UPDATES = {UPDATES}",
    "CHECKPOINT_EVERY = 10",
    "LOG_EVERY = 40",
    "NUM_EVALS = 1",
    "MAX_HELDOUT_BATCHES = 0",
)


def latest(workdir: pathlib.Path) -> int:
    path = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
    return int(path.rsplit("-", 1)[-1]) if path else 0


def kill(arguments, has_begun, delay: float) -> bool:
    """Starts a program and kills it `delay` seconds after it has begun its work.

    Returns:
      Whether it was killed, rather than done before.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=commands.environment(),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not has_begun() and process.poll() is None:
            assert time.monotonic() < deadline, "The program never began."
            time.sleep(0.005)
        time.sleep(delay)
        return process.poll() is None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_training_killed_three_times_ends_in_the_same_weights(maze, tmp_path):
    killed, unbroken = tmp_path / "killed", tmp_path / "unbroken"
    command = ["launch.train", f"--workdir={killed}", f"--gin.DATA_DIR={maze}"]
    command += [f"--gin_file={file}" for file in tiny_runs.files(tiny_runs.LAM)]
    command += [f"--gin_bindings={binding}" for binding in RUN]
    rng = np.random.default_rng()
    stops = []
    for _ in range(3):
        before = latest(killed)
        kill(command, lambda before=before: latest(killed) > before, rng.uniform(0, 1))
        stops.append(latest(killed))
    logging.info("Stopped at the updates %s of %d.", stops, UPDATES)
    assert 0 < stops[0] <= stops[1] <= stops[2], stops
    assert stops[0] < UPDATES, stops
    for workdir in (killed, unbroken):
        results = tiny_runs.train(tiny_runs.LAM, maze, workdir, *RUN)
        assert results["step"] == UPDATES
    first, second = tiny_runs.weights(killed), tiny_runs.weights(unbroken)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    assert tiny_runs.digests(killed) == tiny_runs.digests(unbroken)
    assert len(tiny_runs.digests(killed)) == 4


TOYS = configs.REPOSITORY / "tests" / "training"
FULL = """
mount -t tmpfs -o size=200k none full
python -m launch.train --workdir=full/run "$@" 2>first.txt || echo $? >status.txt
find full/run -type f >left.txt
mount -o remount,size=100m full
python -m launch.train --workdir=full/run "$@" 2>second.txt || cat second.txt
cp -r full/run run
"""


def test_full_disk_leaves_nothing_half_written_and_the_run_goes_on(
    tmp_path, monkeypatch
):
    """On a file system of its own, in a namespace that goes away with the script."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("This system lets nobody mount a file system of his own.")
    (tmp_path / "full").mkdir()
    files = [f"--gin_file={TOYS / 'toy.gin'}", "--gin_file=gin/smoke.gin"]
    settings = ["NUM_UPDATES = 1000", "LOG_EVERY = 1", "CHECKPOINT_EVERY = 10"]
    arguments = [*files, *(f"--gin_bindings={each}" for each in settings)]
    subprocess.run(
        [
            "unshare",
            "-rm",
            "bash",
            "-ec",
            FULL.replace("\npython", f"\n{sys.executable}"),
        ]
        + ["bash", *arguments],
        cwd=tmp_path,
        env=commands.environment(TOYS),
        check=True,
    )
    assert (tmp_path / "status.txt").read_text() == "1\n"
    lines = (tmp_path / "first.txt").read_text().splitlines()
    (error,) = [line for line in lines if line.startswith("error: ")]
    assert error.startswith("error: No space is left for full/run: make some; ")
    assert "{{" not in error
    assert lines[-1] == error and "Traceback" not in "".join(lines)
    left = [pathlib.Path(line).name for line in open(tmp_path / "left.txt")]
    assert not [name for name in left if "tmp" in name or "temp" in name], left

    monkeypatch.syspath_prepend(TOYS)
    configs.parse_gin(
        [str(TOYS / "toy.gin"), "gin/smoke.gin"], settings, roots=[train_lib.train]
    )
    train = gin.get_configurable(train_lib.train)
    assert train(workdir=str(tmp_path / "unbroken"))["step"] == 1000
    first = tiny_runs.weights(tmp_path / "run")
    second = tiny_runs.weights(tmp_path / "unbroken")
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_damaged_episode_is_named_while_data_are_streamed(maze, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(maze, data)
    tiny_runs.read(data)  # what is decoded once is not looked at again
    shards = data.glob("procgen_dataset/maze/*/*-train.tfrecord-*[0-9]")
    shard = max(shards, key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    stream = "window_dataset.WindowDataset.memory_budget_gib = 1e-7"
    message = rf"{shard.name} is damaged at episode \d+ of train: .*Mend it"
    with pytest.raises(configs.RunError, match=message):
        tiny_runs.train("lam", data, tmp_path / "run", stream, "NUM_UPDATES = 40")


def test_relabelling_killed_leaves_nothing_to_read(maze, lam):
    store = LatentStore(tiny_runs.read(maze), "killed")
    incomplete = store.directory.with_name("train.incomplete")
    command = ["launch.relabel", f"--run={lam}", "--name=killed", "--batch_size=1"]
    delay = np.random.default_rng().uniform(0, 0.2)
    was_killed = kill(command, incomplete.exists, delay)
    assert was_killed != store.exists
    if was_killed:
        with pytest.raises(FileNotFoundError, match="There are no latents 'killed'"):
            store.read()
    (again,) = commands.run_all([["relabel", *command[1:]]])
    assert again["status"] == 0, again["stderr"]
    assert not incomplete.exists()
    unbroken = tiny_runs.relabel_with(maze, lam, "unbroken", batch_size=1)
    assert (
        store.manifest["model_fingerprint"] == (unbroken.manifest["model_fingerprint"])
    )
    for field, expected in unbroken.read().items():
        np.testing.assert_array_equal(store.read()[field], expected)
