"""Training and evaluation with demonstrations of tasks, as a person runs it."""

import gin
import numpy as np
import pytest

from pdtla import specs
from pdtla.datasets import build
from pdtla.training import configs
from pdtla.training import train as train_lib

FILES = [
    "gin/stages/dt.gin",
    "gin/data/prompted.gin",
    "gin/data/few_shot.gin",
    "gin/envs/halfcheetah_vel.gin",
]
TINY = [
    "MAX_EPISODE_STEPS = 12",
    "CONTEXT_LEN = 6",
    "CONTEXT_WINDOW = 6",
    "TRANSFORMER_WIDTH = 16",
    "TRANSFORMER_LAYERS = 1",
    "TRANSFORMER_HEADS = 2",
    "MLP_HIDDEN = ()",
    "MLP_OUTPUT = 16",
    "DEMO_LEN = 4",
    "MAX_DEMOS = 2",
    "BATCH_SIZE = 8",
    "NUM_UPDATES = 2",
    "NUM_EVALS = 1",
    "RUN_EVAL_ROLLOUTS = True",
    "NUM_EVAL_ROLLOUTS = 3",
    "NUM_EVAL_LEVELS = 4",
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    configs.parse_gin(
        ["gin/envs/halfcheetah_vel.gin"],
        [
            f"DATA_DIR = {str(directory)!r}",
            "MAX_EPISODE_STEPS = 12",
            "EPISODES_PER_LEVEL = 3",
            "NUM_TRAJS = 30",
            "NUM_TEST_TRAJS = 12",
        ],
        roots=[build.build],
        base_file="gin/data/build.gin",
    )
    gin.get_configurable(build.build)(num_workers=1)
    return directory


def parse(data_dir, *bindings):
    configs.parse_gin(
        FILES,
        [f"DATA_DIR = {str(data_dir)!r}", *TINY, *bindings],
        roots=[train_lib.train],
    )


def test_rollouts_are_prompted_in_training(data_dir, tmp_path):
    parse(data_dir, "NUM_FEW_SHOT_PROMPTS = 2", "PROMPT_CONTROL = 'wrong_level'")
    results = gin.get_configurable(train_lib.train)(workdir=str(tmp_path))
    assert np.isfinite(results["rollouts"]["mean"])
    assert results["rollouts"]["reference"]["name"] == "goals"
    prompt = {"num_demos": 2, "demo_len": 4, "segment": "uniform"}
    assert results["rollouts"]["prompt"] == prompt | {"control": "wrong_level"}
    assert np.isfinite(results["heldout"]["loss"])


def test_one_flag_takes_prompts_away(data_dir):
    parse(data_dir)
    dataset = gin.get_bindings(train_lib.train)["dataset"]()
    assert dataset.element_spec[specs.PROMPT][specs.DEMO].shape == (8,)
    mean = dataset.element_spec[specs.OBSERVATION].mean
    assert dataset.element_spec[specs.PROMPT][specs.OBSERVATION].mean == mean
    parse(data_dir, "DEMO_CONDITIONING = False")
    dataset = gin.get_bindings(train_lib.train)["dataset"]()
    assert specs.PROMPT not in dataset.element_spec
