"""Tests of the training program, as a person calls it."""

import os
import subprocess
import sys

from pdtla.training import configs

TOYS = configs.REPOSITORY / "tests" / "training"
FILES = [f"--gin_file={TOYS / 'toy.gin'}", "--gin_file=gin/smoke.gin"]


def launch(*arguments, directory):
    """Runs the program from another directory than the repository."""
    return subprocess.run(
        [sys.executable, "-m", "launch.train", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(configs.REPOSITORY), str(TOYS)]),
        },
    )


def test_run_to_the_end(tmp_path):
    finished = launch(*FILES, "--workdir=run", "--gin.SEED=3", directory=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "Step 4 of 4: loss" in finished.stderr
    assert "functional_saver" not in finished.stderr
    assert (tmp_path / "run" / "results.json").exists()


def test_dry_run_prints_the_configuration_and_does_nothing(tmp_path):
    finished = launch(
        *FILES, "--dry_run", "--workdir=run", "--gin.SEED=3", directory=tmp_path
    )
    assert finished.returncode == 0, finished.stderr
    assert "SEED = 3" in finished.stdout
    assert "train.train.seed = %SEED" in finished.stdout
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_set_up_take_one_line(tmp_path):
    finished = launch(
        *FILES, "--workdir=run", "--gin.PRECISION=float16", directory=tmp_path
    )
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("error: precision must be one of")
    assert not (tmp_path / "run" / "checkpoints").exists()
