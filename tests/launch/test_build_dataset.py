"""The command as a user gives it."""

import pathlib
import subprocess
import sys

from pdtla.datasets import rlds_reader

ROOT = pathlib.Path(__file__).parents[2]


def run(*arguments, family="procgen"):
    environment = f"--gin_file=gin/envs/{family}.gin"
    return subprocess.run(
        [sys.executable, "-m", "launch.build_dataset", environment, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_builds_a_dataset(tmp_path):
    done = run(
        "--gin.ENV_ID=maze",
        "--gin.NUM_TRAJS=9",
        "--gin.NUM_TEST_TRAJS=2",
        f"--data_dir={tmp_path}",
        "--num_workers=1",
    )
    assert done.returncode == 0, done.stderr
    assert f"Dataset: {tmp_path}" in done.stderr
    reader = rlds_reader.RldsReader(
        dataset_name="procgen_dataset", config="maze", data_dir=str(tmp_path)
    )
    assert len(reader.lengths) == 9


def test_wrong_input_is_one_line(tmp_path):
    for arguments, message in (
        (["--gin.ENV_ID=tetris"], "'tetris' is not a Procgen game"),
        (["--gin.ENV_ID=maze", "--gin.NUM_TRAJ=3"], "Did you mean NUM_TRAJS"),
    ):
        done = run(*arguments, f"--data_dir={tmp_path}")
        assert done.returncode == 2
        (line,) = [t for t in done.stderr.splitlines() if t.startswith("error:")]
        assert message in line
    assert not list(tmp_path.iterdir())
