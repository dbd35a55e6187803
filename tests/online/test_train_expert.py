import json
import pathlib

import gin
import numpy as np
import pytest

from pdtla.environments import mujoco
from pdtla.experts import checkpoint_expert, mujoco_expert
from pdtla.layers import module_io
from pdtla.online import collector, publish
from pdtla.online import train_expert as train_lib
from pdtla.training import configs

TINY = [
    "NUM_ENV_STEPS = 512",
    "NUM_ENVS = 4",
    "STEPS_PER_UPDATE = 16",
    "MINIBATCH_SIZE = 32",
    "EPOCHS = 2",
    "MAX_EPISODE_STEPS = 30",
    "NUM_EVALS = 1",
    "NUM_WATCHED = 2",
    "NUM_EVAL_ROLLOUTS = 3",
    "SNAPSHOT_EVERY = 2",
    "CHECKPOINT_EVERY = 3",
    "LOG_EVERY = 1",
    "WIDTHS = (8,)",
]


def train(workdir):
    configs.parse_gin(
        ["gin/presets/experts/hopper.gin"], TINY, roots=[train_lib.train_expert]
    )
    return gin.get_configurable(train_lib.train_expert)(workdir=str(workdir))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("expert")
    train(workdir)
    return workdir


@pytest.mark.parametrize(
    "preset", pathlib.Path("gin/presets/experts").glob("*.gin"), ids=lambda p: p.stem
)
def test_presets_are_whole(preset):
    configs.parse_gin([str(preset)], [], roots=[train_lib.train_expert])
    env_id = preset.stem.removesuffix("_steady").replace("_", "-")
    assert gin.query_parameter("ENV_ID/gin.macro.value") == env_id


def records(workdir, split):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    kept = [record for record in found if record["split"] == split]
    # What depends on the clock.
    for record in kept:
        for name in [name for name in record if "second" in name or name == "time"]:
            del record[name]
    return kept


def test_leaves_results_records_and_snapshots(run):
    results = json.loads((run / "results.json").read_text())
    assert results["env_id"] == "hopper" and results["step"] == 8
    assert np.array(results["rollouts"]["returns"]).shape == (3, 1)
    assert results["rollouts"]["reference"]["name"] == "d4rl"
    trained = records(run, "train")
    assert [record["step"] for record in trained] == list(range(1, 9))
    assert trained[-1]["env_steps"] == 512
    assert trained[0]["learning_rate"] == pytest.approx(3e-4)
    assert trained[-1]["learning_rate"] == pytest.approx(3e-4 / 8)
    snapshots = sorted(path.name for path in (run / "snapshots").iterdir())
    assert snapshots == ["000000128", "000000256", "000000384", "000000512"]
    last = module_io.read_digest(run / "snapshots" / "000000512")
    assert module_io.read_digest(run / "modules" / "policy") == last


def test_resumed_run_equals_one_that_was_never_stopped(run, tmp_path, monkeypatch):
    collect, calls = collector.Collector.collect, []

    def stopping(self, rng):
        calls.append(rng)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return collect(self, rng)

    with monkeypatch.context() as patch:
        patch.setattr(collector.Collector, "collect", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path)
    train(tmp_path)
    module = "modules", "policy"
    assert module_io.read_digest(tmp_path.joinpath(*module)) == module_io.read_digest(
        run.joinpath(*module)
    )
    for split in ("train", "rollouts"):
        assert records(tmp_path, split) == records(run, split)


def test_another_configuration_is_refused(run):
    configs.parse_gin(
        ["gin/presets/experts/hopper.gin"],
        [*TINY, "DISCOUNT = 0.5"],
        roots=[train_lib.train_expert],
    )
    with pytest.raises(configs.ConfigError, match="DISCOUNT was 0.99, is 0.5"):
        gin.get_configurable(train_lib.train_expert)(workdir=str(run))


def test_run_is_an_expert(run):
    env = mujoco.Mujoco(env_id="hopper", num_envs=5)
    actions = checkpoint_expert.CheckpointExpert(str(run)).act(env, env.current())
    actor = module_io.load_module(run / "modules" / "policy")
    assert actions.shape == (5, 3) and actions.dtype == np.float32
    np.testing.assert_allclose(actions, actor(env.current().observation), rtol=1e-5)


def test_publishes_what_mujoco_expert_finds(run, tmp_path, monkeypatch):
    facts = publish.publish(
        run, command="train", directory=tmp_path, episodes=2, search_episodes=2
    )
    replays = [f"replay-{number}" for number in range(5)]
    assert set(facts) == {"expert", "medium", *replays}
    steps = [facts[name]["env_steps"] for name in replays]
    assert steps == sorted(steps) and steps[-1] == facts["medium"]["env_steps"]
    assert facts["expert"]["env_steps"] == 512
    monkeypatch.setattr(mujoco_expert, "CHECKPOINTS", tmp_path)
    assert set(mujoco_expert.levels("hopper")) == set(facts)
    expert = mujoco_expert.MujocoExpert("hopper-v5")
    env = mujoco.Mujoco(env_id="hopper", num_envs=2)
    actor = module_io.load_module(run / "modules" / "policy")
    np.testing.assert_allclose(
        expert.act(env, env.current()), actor(env.current().observation), rtol=1e-5
    )


def test_publishes_one_policy_under_a_name_of_its_own(run, tmp_path):
    facts = publish.publish(
        run, command="train", directory=tmp_path, episodes=2, level="steady"
    )
    assert set(facts) == {"steady"} and facts["steady"]["level"] == "steady"
    assert [path.name for path in (tmp_path / "hopper").iterdir()] == ["steady"]


def test_experts_of_tasks_are_measured_by_their_goals(tmp_path):
    configs.parse_gin(
        ["gin/presets/experts/halfcheetah_vel.gin"],
        TINY,
        roots=[train_lib.train_expert],
    )
    run = tmp_path / "run"
    gin.get_configurable(train_lib.train_expert)(workdir=str(run))
    assert module_io.load_module(run / "modules" / "policy").normalizer.mean.shape == (
        18,
    )
    facts = publish.measure(run / "modules" / "policy", "halfcheetah-vel", 4)
    goals, returns = np.transpose(facts["return_of_goal"])
    assert len(set(goals)) == 4 and (0.0 <= goals).all() and (goals <= 3.0).all()
    assert np.mean(returns) == pytest.approx(facts["return_mean"], abs=0.01)
