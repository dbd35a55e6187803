"""Builds by a real Apache Beam runner, against those of the local processes."""

import hashlib
import pathlib
import sys

import pytest
import tasks
import tensorflow_datasets as tfds

from pdtla.datasets import beam_pool, build, procgen_settings, rlds_writer, shards
from pdtla.experts import constant_expert

NEEDS = "needs requirements-beam.txt"


def options(*flags):
    pytest.importorskip("apache_beam", reason=NEEDS)
    return beam_pool.pipeline_options(flags)


def build_maze(data_dir, **arguments):
    return build.build(
        data_dir=str(data_dir),
        settings=lambda **common: procgen_settings.ProcgenSettings(
            **common, max_episode_steps=16
        ),
        env_id="maze",
        num_trajs=37,
        num_test_trajs=5,
        num_workers=1,
        **arguments,
    )


def contents(directory):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_maze(tmp_path_factory.mktemp("local"))


@pytest.mark.parametrize(
    "flags",
    [
        ("--runner=DirectRunner", "--direct_runner_bundle_repeat=1"),
        ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
    ],
    ids=["every_bundle_twice", "two_processes"],
)
def test_a_pipeline_writes_the_same_bytes(built, tmp_path, flags):
    directory = build_maze(tmp_path, beam_options=options(*flags))
    assert contents(directory) == contents(built)  # episodes, order, shards, metadata
    assert [path.name for path in directory.parent.iterdir()] == ["1.0.0"]


def test_tfds_hands_its_pipeline_over(built, tmp_path):
    from pdtla.datasets.procgen_dataset import procgen_dataset_dataset_builder

    builder = procgen_dataset_dataset_builder.Builder(
        settings=procgen_settings.ProcgenSettings(
            env_id="maze", num_trajs=37, num_test_trajs=5, max_episode_steps=16
        ),
        config="maze",
        data_dir=str(tmp_path),
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(beam_options=options())
    )
    directory = tmp_path / "procgen_dataset" / "maze" / "1.0.0"
    assert contents(directory) == contents(built)


class BreaksDown(constant_expert.ConstantExpert):
    """Fails in the middle of a file."""

    def act(self, *arguments):
        if self.calls == 20:
            raise OSError("the simulator stopped")
        self.calls += 1
        return super().act(*arguments)

    calls = 0


def test_what_a_failed_bundle_leaves_is_taken_up(built, tmp_path):
    pipeline = options()
    with pytest.raises(RuntimeError) as error:
        build_maze(tmp_path, expert=BreaksDown(4), beam_options=pipeline)
    message = str(error.value)
    assert message.startswith(
        "The Beam pipeline failed: OSError: the simulator stopped"
    )
    assert "\n" not in message
    assert not list(tmp_path.glob("**/*.tfrecord*"))  # no half file
    directory = build_maze(tmp_path, beam_options=pipeline)
    assert contents(directory) == contents(built)


def test_a_file_that_cannot_be_seen_from_here_is_named(tmp_path, monkeypatch):
    pipeline = options()
    monkeypatch.setattr(shards, "read_stats", lambda plan: None)
    with pytest.raises(RuntimeError, match="its workers must share the data directory"):
        build_maze(tmp_path, beam_options=pipeline)


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_failures_are_one_line(mode, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parent))
    pipeline = options(f"--direct_running_mode={mode}")
    with pytest.raises(RuntimeError, match="failed: OSError: disk full") as error:
        beam_pool.run_tasks(tasks.fail_on_three, [0, 3], pipeline)
    assert str(error.value).endswith("OSError: disk full")


def test_wrong_options_are_one_line():
    options()
    for flag, message in (
        ("--direct_num_worker=2", "no option .* Did you mean --direct_num_workers"),
        ("direct_num_workers=2", "no option 'direct_num_workers=2'"),
        ("--direct_num_workers=two", "invalid int value: 'two'"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            beam_pool.pipeline_options([flag])
        assert "\n" not in str(error.value)


def test_without_beam_the_file_of_requirements_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam.options", None)
    with pytest.raises(ValueError, match="pip install -r requirements-beam.txt"):
        beam_pool.pipeline_options([])


def test_a_file_whose_writing_fails_leaves_nothing(tmp_path):
    def episodes():
        raise OSError("no simulator")
        yield

    with pytest.raises(OSError, match="no simulator"):
        rlds_writer.write_shard(tmp_path / "file", episodes())
    assert not list(tmp_path.iterdir())
