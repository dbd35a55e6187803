"""Tests of `train`, from configuration to results."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
import toy_stages

from pdtla.analysis import results as results_lib
from pdtla.layers import module_io
from pdtla.training import checkpoints, configs, preemption
from pdtla.training import train as train_lib
from pdtla.training import trainer as trainer_lib

HERE = pathlib.Path(__file__).parent
FILES = [str(HERE / "toy.gin"), "gin/smoke.gin"]


def run(workdir, *bindings, **kwargs):
    """Trains as the command line does."""
    configs.parse_gin(FILES, bindings, roots=[train_lib.train])
    return gin.get_configurable(train_lib.train)(workdir=str(workdir), **kwargs)


def records(workdir):
    """What `metrics.jsonl` holds, without what depends on the clock."""
    timing = ("time", "steps_per_second")
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if name not in timing}
        for line in lines
    ]


def checkpoint(workdir):
    """Every saved variable of the latest checkpoint but the clock."""
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints"))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith(("stage", "optimizer"))
    }


def test_files_of_a_run(tmp_path):
    results = run(tmp_path, "NUM_EXAMPLES_USED = 7", "NUM_LABELS = %NUM_EXAMPLES_USED")
    assert results == results_lib.read_results(tmp_path / "results.json")
    assert results["stage"] == "NoisyMLP"
    assert results["env_id"] == results["dataset"] == "toy"
    assert (results["seed"], results["step"], results["labels"]) == (0, 4, 7)
    assert results["dataset_fingerprint"] == "toy-3"
    assert results["frames_per_second"] > 0
    found = records(tmp_path)
    assert [(record["step"], record["split"]) for record in found] == [
        (2, "train"),
        (2, "heldout"),
        (4, "train"),
        (4, "heldout"),
    ]
    heldout = {k: v for k, v in found[-1].items() if k not in ("step", "split")}
    assert results["heldout"] == heldout
    assert set(heldout) == {"loss", "regression", "average"}
    assert set(found[0]) == {
        *("step", "split", "loss", "grad_norm", "regression", "average"),
        "learning_rate",
    }
    assert found[0]["learning_rate"] == pytest.approx(3e-4)
    operative = (tmp_path / "operative_config.gin").read_text()
    assert "toy_stages.NoisyMLP.rate = 0.3" in operative  # a default
    config = (tmp_path / "config.gin").read_text()
    configs.parse_gin([str(tmp_path / "config.gin")], [], roots=[train_lib.train])
    assert gin.config_str() == config
    head = module_io.load_module(tmp_path / "modules" / "head")
    metadata = module_io.read_metadata(tmp_path / "modules" / "head")
    assert head.kernel.shape == (8, 1)
    assert metadata == {"dataset_fingerprint": "toy-3", "step": 4}
    for split in ("train", "heldout"):
        assert list((tmp_path / split).glob("events.out.tfevents.*"))


def test_a_trace_of_some_updates_changes_none(tmp_path):
    run(tmp_path / "plain")
    run(tmp_path / "traced", profile=(1, 3))
    traces = tmp_path.glob("traced/plugins/profile/*/*.xplane.pb")
    assert [path.stat().st_size > 1000 for path in traces] == [True]
    expected, found = checkpoint(tmp_path / "plain"), checkpoint(tmp_path / "traced")
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("profile", [(0, 2), (3, 3), (1, 5)])
def test_a_trace_of_other_updates_is_refused(profile, tmp_path):
    with pytest.raises(configs.ConfigError, match="1 <= FIRST < LAST <= 4"):
        run(tmp_path / "run", profile=profile)
    assert not (tmp_path / "run").exists()


def test_finished_run_returns_at_once(tmp_path):
    results = run(tmp_path)
    before = checkpoint(tmp_path)
    configs.parse_gin(FILES, [], roots=[train_lib.train])

    def no_dataset():
        raise AssertionError("The dataset must not be made.")

    train = gin.get_configurable(train_lib.train)
    assert train(workdir=str(tmp_path), dataset=no_dataset) == results
    assert checkpoint(tmp_path).keys() == before.keys()


def test_other_configuration_in_the_same_workdir(tmp_path):
    run(tmp_path)
    with pytest.raises(configs.ConfigError, match="SEED was 0, is 1"):
        run(tmp_path, "SEED = 1")
    may_differ = ("LOG_EVERY = 1", "CHECKPOINT_EVERY = 1", "KEEP_CHECKPOINTS = 3")
    run(tmp_path, *may_differ)


def test_seed_determines_the_run(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "b", "STEPS_PER_LOOP = 3")
    run(tmp_path / "c", "SEED = 1")
    a, b, c = (checkpoint(tmp_path / name) for name in "abc")
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not all(np.array_equal(a[name], c[name]) for name in a)


def test_precision_is_set_before_the_stage_is_made(tmp_path):
    run(tmp_path, "PRECISION = 'mixed_bfloat16'")
    head = module_io.load_module(tmp_path / "modules" / "head")
    assert head.dtype_policy.name == "mixed_bfloat16"
    assert head.kernel.dtype == "float32"


def test_divergence_stops_and_keeps_the_last_checkpoint(tmp_path):
    with pytest.raises(trainer_lib.NonFiniteError, match="Update 4 is not finite"):
        run(tmp_path, "ToyDataset.bad_step = 3")
    assert all(np.all(np.isfinite(v)) for v in checkpoint(tmp_path).values())
    path = tf.train.latest_checkpoint(str(tmp_path / "checkpoints"))
    assert path.endswith("ckpt-2")
    assert not (tmp_path / "results.json").exists()


class FixedEvaluator:
    """Counts calls in place of a simulator."""

    def __init__(self, *, scale=1.0):
        self.scale = scale

    def check_data(self, metadata):
        pass

    def __call__(self, policy, step):
        assert policy.policy() is not None

        class Evaluation:
            scalars = {"greedy/return_mean": self.scale * step}
            rollouts = {"greedy": type("Result", (), {"videos": ()})}

        return Evaluation

    def section(self, evaluation):
        mean = evaluation.scalars["greedy/return_mean"]
        return {
            "returns": [[mean]],
            "lengths": [[1]],
            "mean": mean,
            "median": mean,
            "iqm": mean,
            "ci95": [mean, mean],
        }


class Acting(toy_stages.LinearRegression):
    """A stage that claims to act."""

    def policy(self, greedy=True):
        return object()


def arguments(**kwargs):
    return {
        "stage": Acting,
        "dataset": toy_stages.ToyDataset,
        "optimizer": keras.optimizers.SGD,
        "num_updates": 4,
        "batch_size": 4,
        "num_evals": 2,
        **kwargs,
    }


def test_heldout_evaluation_is_that_of_the_stage(tmp_path):
    results = train_lib.train(
        workdir=str(tmp_path), **arguments(max_heldout_batches=-1)
    )
    reader = tf.train.load_checkpoint(str(tmp_path / "checkpoints"))
    kernel = reader.get_tensor("stage/0/.ATTRIBUTES/VARIABLE_VALUE")
    bias = reader.get_tensor("stage/1/.ATTRIBUTES/VARIABLE_VALUE")
    batches = list(toy_stages.ToyDataset().heldout_batches(4))
    assert len(batches) == 3
    x = np.concatenate([batch["observation"] for batch in batches])
    y = np.concatenate([batch["action"] for batch in batches])
    expected = np.mean((x @ kernel + bias - y) ** 2)
    assert results["heldout"]["loss"] == pytest.approx(expected, rel=1e-5)


def test_rollouts_are_recorded(tmp_path):
    results = train_lib.train(
        workdir=str(tmp_path),
        **arguments(evaluator=FixedEvaluator, run_eval_rollouts=True),
    )
    assert results["rollouts"]["mean"] == 4.0
    rollouts = [r for r in records(tmp_path) if r["split"] == "rollouts"]
    assert [(r["step"], r["greedy/return_mean"]) for r in rollouts] == [
        (2, 2.0),
        (4, 4.0),
    ]


def test_without_heldout_data(tmp_path):
    class AllTrained(toy_stages.ToyDataset):
        def heldout_batches(self, batch_size):
            raise ValueError("No window is held out.")

    with pytest.raises(configs.ConfigError, match="No window is held out"):
        train_lib.train(workdir=str(tmp_path), **arguments(dataset=AllTrained))
    results = train_lib.train(
        workdir=str(tmp_path), **arguments(dataset=AllTrained, max_heldout_batches=0)
    )
    assert results["heldout"] == {}


def test_no_rollouts_unless_asked_for(tmp_path):
    results = train_lib.train(
        workdir=str(tmp_path), **arguments(evaluator=FixedEvaluator)
    )
    assert "rollouts" not in results


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": toy_stages.LinearRegression()}, "STAGE must be a class"),
        ({"dataset": toy_stages.ToyDataset()}, "DATASET must be a class"),
        ({"precision": "float16"}, "precision must be one of"),
        ({"strategy": "fast"}, "strategy must be one of"),
        ({"strategy": "parameter_server"}, "does not work with Keras 3"),
        ({"num_updates": 0}, "num_updates must be an integer of at least 1, got 0"),
        ({"batch_size": "many"}, "batch_size must be an integer"),
        ({"run_eval_rollouts": True}, "needs an EVALUATOR"),
        (
            {
                "run_eval_rollouts": True,
                "evaluator": FixedEvaluator,
                "stage": toy_stages.LinearRegression,
            },
            "LinearRegression has no policy",
        ),
        ({"log_every": 0}, "log_every must be an integer of at least 1"),
        ({"checkpoint_every": -1}, "checkpoint_every must be an integer of at least 0"),
        ({"keep_checkpoints": 0}, "keep_checkpoints must be an integer of at least 1"),
    ],
)
def test_wrong_arguments_stop_before_any_work(tmp_path, changes, message):
    with pytest.raises(configs.ConfigError, match=message):
        train_lib.train(workdir=str(tmp_path), **arguments(**changes))
    assert not (tmp_path / "checkpoints").exists()


def test_missing_field_is_a_config_error(tmp_path):
    class NoActions(toy_stages.ToyDataset):
        def __init__(self):
            super().__init__()
            del self.element_spec["action"]

    with pytest.raises(configs.ConfigError, match=r"also needs \['action'\]"):
        train_lib.train(workdir=str(tmp_path), **arguments(dataset=NoActions))


LONG_RUN = ("NUM_UPDATES = 1200", "CHECKPOINT_EVERY = 50", "LOG_EVERY = 80")


def stop(workdir, number):
    """Starts the program and sends it a signal after its next checkpoint.

    Returns:
      Its exit status, and what it wrote to stderr.
    """
    command = [sys.executable, "-m", "launch.train", f"--workdir={workdir}"]
    command += [f"--gin_file={file}" for file in FILES]
    command += [f"--gin_bindings={binding}" for binding in LONG_RUN]
    path = os.pathsep.join([str(HERE), str(configs.REPOSITORY)])
    before = checkpoints.latest_step(workdir / "checkpoints")
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        deadline = time.monotonic() + 240
        while checkpoints.latest_step(workdir / "checkpoints") == before:
            assert process.poll() is None, "The run ended before it was stopped."
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(float(np.random.default_rng().uniform(0.0, 0.1)))
    finally:
        os.killpg(process.pid, number)
        _, stderr = process.communicate()
    return process.returncode, stderr


def test_stopped_run_goes_on_as_if_never_stopped(tmp_path):
    """Signals at random moments, then a normal exit: equal to the last bit."""
    workdir, unbroken = tmp_path / "stopped", tmp_path / "unbroken"
    assert stop(workdir, signal.SIGKILL)[0] == -signal.SIGKILL
    for number in (signal.SIGTERM, signal.SIGUSR1):
        status, stderr = stop(workdir, number)
        step = checkpoints.latest_step(workdir / "checkpoints")
        assert status == os.EX_TEMPFAIL, stderr[-2000:]
        assert f"Stopped after update {step}; the same command goes on." in stderr
        assert "Traceback" not in stderr
        assert 0 < step < 1200
    assert not (workdir / "results.json").exists()
    run(workdir, *LONG_RUN)
    run(unbroken, *LONG_RUN)
    first, second = checkpoint(workdir), checkpoint(unbroken)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    # The mean over a loop that was cut in two is the same up to rounding.
    for record, other in zip(records(workdir), records(unbroken), strict=True):
        assert record.pop("split") == other.pop("split")
        assert record == pytest.approx(other, rel=1e-5)


def test_signal_before_the_first_update(tmp_path):
    class Slow(toy_stages.ToyDataset):
        def __init__(self):
            super().__init__()
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(preemption.Preempted) as caught:
        train_lib.train(workdir=str(tmp_path), **arguments(dataset=Slow))
    assert caught.value.code == os.EX_TEMPFAIL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
