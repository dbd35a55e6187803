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


def test_the_program_of_the_original_builds_its_tasks(tmp_path):
    command = [sys.executable, "-m", "launch.generate_mw_scripted_dataset"]
    done = subprocess.run(
        [*command, f"--data_dir={tmp_path}", "--dry_run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for line in ("ENV_ID = 'window-open'", "ENV_ID = 'assembly'", "NUM_TRAJS = 500"):
        assert line in done.stdout
    assert "SUCCESSES_ONLY = True" in done.stdout


def test_builds_several_tasks_in_one_go(tmp_path):
    done = run(
        "--env_ids=window-open,drawer-close-v2",
        "--gin.NUM_TRAJS=1",
        "--gin.NUM_TEST_TRAJS=1",
        "--gin.MAX_EPISODE_STEPS=110",
        f"--data_dir={tmp_path}",
        "--num_workers=1",
        family="metaworld",
    )
    assert done.returncode == 0, done.stderr
    readers = [
        rlds_reader.RldsReader(
            dataset_name=f"metaworld_dataset/{task}", data_dir=str(tmp_path)
        )
        for task in ("window-open", "drawer-close")
    ]
    assert [reader.metadata["env_id"] for reader in readers] == [
        "window-open",
        "drawer-close",
    ]
    assert all(reader.metadata["success_rate"] == 1.0 for reader in readers)


def test_mujoco_mix_by_its_macro(tmp_path):
    done = run(
        "--gin.ENV_ID=Hopper-v5",
        "--gin.MIX=random",
        "--gin.NUM_TRAJS=3",
        "--gin.NUM_TEST_TRAJS=1",
        f"--data_dir={tmp_path}",
        "--num_workers=1",
        family="mujoco",
    )
    assert done.returncode == 0, done.stderr
    assert f"Dataset: {tmp_path}/mujoco_dataset/hopper-random" in done.stderr
    assert "random: 3 episodes, return" in done.stderr
