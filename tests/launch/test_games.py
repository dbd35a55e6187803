"""One policy for several games, as a person trains and evaluates it."""

import gin
import numpy as np
import pytest

from launch import health_of_run
from pdtla import specs
from pdtla.analysis import health_report
from pdtla.datasets import build
from pdtla.environments import levels
from pdtla.training import configs
from pdtla.training import train as train_lib

FILES = ["gin/stages/dt.gin", "gin/envs/procgen_games.gin"]
PROMPTS = [
    "gin/data/prompted.gin",
    "gin/data/few_shot.gin",
    "gin/data/few_shot_games.gin",
]
LOOKS = [
    "MAX_EPISODE_STEPS = 16",
    "USE_BACKGROUNDS = False",
    "RESTRICT_THEMES = True",
]
TINY = [
    *LOOKS,
    "ENV_SPLIT = 'test'",
    "GAMES = ('maze', 'heist')",
    "NUM_EVAL_LEVELS = 2",
    "CONTEXT_LEN = 4",
    "CONTEXT_WINDOW = 4",
    "TRANSFORMER_WIDTH = 16",
    "TRANSFORMER_LAYERS = 1",
    "TRANSFORMER_HEADS = 2",
    "BATCH_SIZE = 4",
    "NUM_UPDATES = 2",
    "NUM_EVALS = 1",
    "RUN_EVAL_ROLLOUTS = True",
    "NUM_EVAL_ROLLOUTS = 2",
    "TRAIN_FRAC = 0.75",
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    for game in ("maze", "heist"):
        configs.parse_gin(
            ["gin/envs/procgen.gin"],
            [
                *LOOKS,
                f"ENV_ID = {game!r}",
                f"DATA_DIR = {str(directory)!r}",
                "EPISODES_PER_LEVEL = 2",
                "EPSILON = 0.3",
                "NUM_TRAJS = 16",
                "NUM_TEST_TRAJS = 4",
            ],
            roots=[build.build],
            base_file="gin/data/build.gin",
        )
        gin.get_configurable(build.build)(num_workers=1)
    return directory


def parse(data_dir, files, *bindings):
    configs.parse_gin(
        [*FILES, *files],
        [f"DATA_DIR = {str(data_dir)!r}", *TINY, *bindings],
        roots=[train_lib.train],
    )


def test_trains_and_is_evaluated_in_every_game(data_dir, tmp_path):
    parse(data_dir, PROMPTS, "DEMO_LEN = 4")
    results = gin.get_configurable(train_lib.train)(workdir=str(tmp_path))
    rollouts = results["rollouts"]
    assert set(rollouts["games"]) == {"maze", "heist"}
    assert len(rollouts["returns"]) == 4 and rollouts["normalized"]
    scores = []
    for game, (low, high) in {"maze": (4.27, 9.97), "heist": (3.08, 9.69)}.items():
        section = rollouts["games"][game]
        assert section["prompt"]["num_demos"] == 1
        scores.append((section["mean"] - low) / (high - low))
    assert rollouts["mean"] == pytest.approx(np.mean(scores))
    assert rollouts["mode"] == "sampled"
    assert [other["mode"] for other in rollouts["other_modes"]] == ["greedy"]


def test_datasets_are_read_as_one(data_dir):
    parse(data_dir, [])
    dataset = gin.get_bindings(train_lib.train)["dataset"]()
    assert len(dataset.train_trajectories) == 24
    assert np.bincount(dataset.source.parts).tolist() == [16, 16]
    (batch,) = dataset.train_batches(64, seed=0).take(1).as_numpy_iterator()
    episodes = batch[specs.EPISODE]
    assert episodes.min() < 16 <= episodes.max()
    # Each frame is that of its own game's file.
    for game, reader in enumerate(dataset.source.readers):
        rows = dataset.source.parts[episodes[:, 0]] == game
        begins = reader.starts[episodes[rows] - 16 * game]
        frames = reader.array(specs.OBSERVATION)[begins + batch["timestep"][rows]]
        np.testing.assert_array_equal(batch[specs.OBSERVATION][rows], frames)


def test_games_are_held_out(data_dir):
    parse(data_dir, [], "ENV_SPLIT = 'raparthy'")
    evaluator = gin.get_bindings(train_lib.train)["evaluator"]()
    assert list(evaluator.evaluators) == ["climber", "ninja", "plunder", "jumper"]
    for game, each in evaluator.evaluators.items():
        env = each.environment()
        assert env.env_id == game
        assert (env.current().level >= levels.EVALUATION_START).all()
        assert each.train_levels.start_level == 0
    parse(data_dir, [], "ENV_SPLIT = 'raparthy'", "GAMES = ('climber', 'maze')")
    with pytest.raises(ValueError, match="holds out climber"):
        gin.get_bindings(train_lib.train)["dataset"]()


def test_levels_trained_on_are_evaluated_where_asked(data_dir):
    parse(data_dir, [], "ENV_SPLIT = 'train'", "NUM_TRAIN_LEVELS = 8")
    evaluator = gin.get_bindings(train_lib.train)["evaluator"]()
    for each in evaluator.evaluators.values():
        assert set(each.environment().current().level) <= set(range(8))


def test_the_health_report_compares_the_games(data_dir, tmp_path):
    configs.parse_gin(
        ["gin/stages/lam.gin", FILES[1], "gin/smoke.gin"],
        [
            f"DATA_DIR = {str(data_dir)!r}",
            *LOOKS,
            *("ENV_SPLIT = 'test'", "GAMES = ('maze', 'heist')", "TRAIN_FRAC = 0.75"),
        ],
        roots=[train_lib.train],
    )
    gin.get_configurable(train_lib.train)(workdir=str(tmp_path))
    found = health_of_run.report(str(tmp_path), [], [], max_windows=200).report
    values = found["items"]["games"]["values"]
    for game in ("maze", "heist"):
        for kind in ("chance", "own", "others"):
            assert 0.0 <= values[f"{game}_{kind}"] <= 1.0
    assert values["share"] >= 0.0
    assert "games" in health_report.text_table(found)
