"""SIGKILL at random moments of the real programs, and what is left to go on with."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import commands
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from absl import logging

from pdtla.datasets.latent_store import LatentStore

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
