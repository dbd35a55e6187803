"""Datasets of other formats, imported by command."""

import commands
import gymnasium
import minari_recordings
import pytest

from pdtla.datasets import rlds_reader


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    env = gymnasium.make("CartPole-v1", max_episode_steps=9)
    return minari_recordings.record(env, "cartpole/random-v0", range(3))


def test_command(recorded, tmp_path):
    command = [
        "import_dataset",
        "--format=minari",
        "--minari_id=cartpole/random-v0",
        f"--data_dir={tmp_path / 'data'}",
    ]
    done, again, lacks, none = commands.run_all(
        [
            command,
            command,
            ["import_dataset", "--format=lapo", "--env_id=maze"],
            ["import_dataset"],
        ]
    )
    assert done["status"] == 0, done["stderr"]
    reader = rlds_reader.RldsReader(
        dataset_name="minari/cartpole-random-v0", data_dir=str(tmp_path / "data")
    )
    assert reader.num_steps == recorded.total_steps + 3
    for failed, message in (
        (again, "is there; remove it to import again."),
        (lacks, "--path must be set."),
        (none, "--format must be set."),
    ):
        assert failed["status"] != 0 and message in failed["stderr"]
