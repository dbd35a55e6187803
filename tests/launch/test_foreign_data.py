"""A dataset of other people's making, trained on by command with gin alone."""

import json

import commands
import d4rl_data
import foreign_data
import numpy as np
import pytest
import tiny_runs

FIELD_MAP = {
    "observation": "observation/rgb",
    "action": ("command/translation", "command/rotation"),
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("foreign")
    foreign_data.write(directory)
    return directory


def command(data_dir, workdir, stage, *bindings):
    return [
        "train",
        f"--gin_file=gin/stages/{stage}.gin",
        "--gin_file=gin/data/open_x.gin",
        "--gin_file=gin/smoke.gin",
        f"--gin_file={tiny_runs.TINY}",
        f"--gin.DATASET_NAME={foreign_data.NAME}",
        "--gin.ENV_ID=robot",
        f"--gin.DATA_DIR={data_dir}",
        f"--gin.FIELD_MAP={FIELD_MAP!r}",
        *bindings,
        f"--workdir={workdir}",
    ]


def test_latent_action_model_of_its_images(data_dir, tmp_path):
    wrong = json.dumps({"observation": "observation/image"})
    done, failed = commands.run_all(
        [
            command(data_dir, tmp_path / "run", "lam"),
            command(data_dir, tmp_path / "no", "lam", f"--gin.FIELD_MAP={wrong}"),
        ]
    )
    assert done["status"] == 0, done["stderr"]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["step"] == 4 and results["dataset"] == foreign_data.NAME
    assert all(np.isfinite(value) for value in results["heldout"].values())
    assert failed["status"] != 0
    (line,) = [x for x in failed["stderr"].splitlines() if "must name some of" in x]
    assert "'observation/rgb'" in line and "got 'observation/image'" in line


def test_d4rl_by_its_own_name(tmp_path):
    d4rl_data.write(tmp_path)
    (done,) = commands.run_all(
        [
            [
                "train",
                "--gin_file=gin/stages/lam.gin",
                "--gin_file=gin/smoke.gin",
                f"--gin.DATASET_NAME={d4rl_data.NAME}",
                "--gin.ENV_ID=halfcheetah",
                "--gin.TRAIN_FRAC=0.5",
                f"--gin.DATA_DIR={tmp_path}",
                f"--workdir={tmp_path / 'run'}",
            ]
        ]
    )
    assert done["status"] == 0, done["stderr"]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["step"] == 4 and results["dataset"] == d4rl_data.NAME
    assert all(np.isfinite(value) for value in results["heldout"].values())
