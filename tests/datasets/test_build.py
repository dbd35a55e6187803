"""Builds of real Procgen episodes: content, repeatability, death in the middle."""

import hashlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import synthetic
import tasks
import tensorflow_datasets as tfds

from pdtla import specs
from pdtla.datasets import build, procgen_settings, shards, worker_pool
from pdtla.environments import levels
from pdtla.experts import bigfish_expert, constant_expert

SMALL = dict(env_id="maze", num_trajs=37, num_test_trajs=5, num_workers=1)


def build_maze(data_dir, expert=None, num_workers=1, overwrite=False, **settings):
    return build.build(
        data_dir=str(data_dir),
        settings=lambda **common: procgen_settings.ProcgenSettings(
            **{**common, **settings}
        ),
        env_id=settings.pop("env_id", "maze"),
        num_trajs=settings.pop("num_trajs", 37),
        num_test_trajs=settings.pop("num_test_trajs", 5),
        expert=expert,
        num_workers=num_workers,
        overwrite=overwrite,
    )


def checksums(directory):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.glob("*.tfrecord*"))
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    return build_maze(data_dir)


def reader(directory, split="train"):
    return synthetic.reader(
        directory.parents[2],
        dataset_name="procgen_dataset",
        config=directory.parent.name,
        split=split,
    )


def test_episodes_are_whole_and_solved(built):
    train, test = reader(built), reader(built, "test")
    assert len(train.lengths) == 37 and len(test.lengths) == 5
    last = train.starts + train.lengths - 1
    # The reward of the last action is there: the maze expert always finds the cheese.
    np.testing.assert_array_equal(train.array(specs.REWARD)[last], 10.0)
    assert train.array(specs.REWARD).sum() == 370
    np.testing.assert_array_equal(np.flatnonzero(train.array(specs.IS_TERMINAL)), last)
    assert train.array(specs.DISCOUNT).sum() == train.num_steps - 37
    assert train.array(specs.OBSERVATION).shape == (train.num_steps, 64, 64, 3)
    assert train.array(specs.ACTION).max() < 15
    assert train.episode_ids[36] == "train-000036"
    assert not set(train.level_seeds) & set(test.level_seeds)
    evaluation = levels.evaluation_levels()
    assert max(train.level_seeds) < evaluation.start_level
    assert all(level in evaluation for level in test.level_seeds)


def test_metadata_and_plain_tfds(built):
    builder = tfds.builder_from_directory(str(built))
    metadata = builder.info.metadata
    expected = dict(
        env_id="maze",
        distribution_mode="easy",
        num_trajs=37,
        epsilon=0.0,
        use_backgrounds=True,
        restrict_themes=False,
        max_episode_steps=None,
        expert="maze_expert",
        return_mean=10.0,
        return_error=0.0,
        num_steps=reader(built).num_steps,
    )
    assert {key: metadata[key] for key in expected} == expected
    assert builder.info.features["steps"]["observation"].dtype == np.uint8
    (episode,) = builder.as_dataset(split="test[:1]")
    assert episode["episode_return"] == 10 and not episode["truncated"]
    assert len(list(episode["steps"])) == episode["length"]


def test_two_processes_write_the_same_bytes(built, tmp_path):
    again = build_maze(tmp_path, num_workers=2)
    assert checksums(again) == checksums(built)


def test_an_existing_dataset_is_kept_or_refused(built, monkeypatch):
    data_dir = str(built.parents[2])
    before = checksums(built)
    assert build_maze(data_dir) == built
    with pytest.raises(ValueError, match=r"num_trajs=37 \(not 38\)") as error:
        build_maze(data_dir, num_trajs=38)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"expert='maze_expert' \(not 'constant"):
        build_maze(data_dir, expert=constant_expert.ConstantExpert(4))
    assert checksums(built) == before


def test_another_player_of_the_same_name_is_refused(tmp_path):
    sizes = dict(env_id="bigfish", num_trajs=1, num_test_trajs=1, max_episode_steps=4)
    build_maze(tmp_path, expert=bigfish_expert.BigfishExpert(), **sizes)
    build_maze(tmp_path, expert=bigfish_expert.BigfishExpert(), **sizes)
    with pytest.raises(ValueError, match=r"'prey': 0.97.*not.*'prey': 0.8"):
        build_maze(tmp_path, expert=bigfish_expert.BigfishExpert(prey=0.8), **sizes)


def test_noise_and_step_limit_reach_the_simulator(tmp_path):
    directory = build_maze(
        tmp_path,
        expert=constant_expert.ConstantExpert(4),
        epsilon=0.5,
        max_episode_steps=6,
        num_trajs=8,
    )
    train = reader(directory)
    assert train.lengths.max() == 6
    cut = train.lengths == 6
    last = train.starts + train.lengths - 1
    assert not train.array(specs.IS_TERMINAL)[last[cut]].all()
    share = np.mean(train.array(specs.ACTION) == 4)
    assert 0.3 < share < 0.8


def test_a_killed_build_leaves_nothing_to_read_and_goes_on(built, tmp_path):
    code = (
        "from pdtla.datasets import build, procgen_settings\n"
        "if __name__ == '__main__':\n"
        f"    build.build(data_dir={str(tmp_path)!r}, **{SMALL!r},\n"
        "                settings=procgen_settings.ProcgenSettings)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    root = str(pathlib.Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.DEVNULL,
    )
    pattern = "procgen_dataset/maze/incomplete.build-*/*.tfrecord-00000-of-*.json"
    finished = []
    while not finished and process.poll() is None:
        finished = list(tmp_path.glob(pattern))
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert finished
    with pytest.raises(FileNotFoundError, match="there is none"):
        reader(tmp_path / "procgen_dataset" / "maze" / "1.0.0")
    shard = finished[0].with_suffix("")
    written = shard.stat().st_mtime_ns
    directory = build_maze(tmp_path)
    assert checksums(directory) == checksums(built)
    assert (directory / shard.name).stat().st_mtime_ns == written  # not played again
    assert not list(directory.parent.glob("incomplete.build-*"))


class Unpicklable(constant_expert.ConstantExpert):
    def __getstate__(self):
        raise TypeError("holds a simulator")


def test_wrong_settings_are_refused_before_any_work(tmp_path):
    cases = [
        (dict(env_id="tetris"), "not a Procgen game"),
        (dict(num_trajs=0), "num_trajs must be at least 1, got 0"),
        (dict(epsilon=1.5), "epsilon must be 0 to 1, got 1.5"),
        (dict(test_start_level=10), "Level ranges must be disjoint"),
        (dict(num_levels=2**30 + 1), "Level ranges must be disjoint"),
        (dict(expert=Unpicklable(4)), "An expert must pickle"),
    ]
    for kwargs, message in cases:
        with pytest.raises(ValueError, match=message):
            build_maze(tmp_path, **kwargs)
    assert not list(tmp_path.glob("**/*.tfrecord*"))


@pytest.mark.parametrize("count", [1, 7, 8, 61, 500, 5000])
def test_shards_add_up_and_have_levels_of_their_own(tmp_path, count):
    settings = procgen_settings.ProcgenSettings(env_id="maze", num_trajs=count)
    plans = shards.plan_shards(settings, tmp_path)
    train = [plan for plan in plans if plan.split == "train"]
    assert sum(plan.slots * plan.episodes_per_slot for plan in train) == count
    levels.assert_disjoint_levels(*(plan.levels for plan in plans))
    assert len({plan.seeds for plan in plans}) == len(plans)


def test_workers_report_progress_and_failures():
    seen = []
    results = worker_pool.run_tasks(tasks.fail_on_three, [0, 1, 2], 2, seen.append)
    assert sorted(results) == [0, 1, 4] and sum(seen) == 3
    with pytest.raises(RuntimeError, match="OSError: disk full"):
        list(worker_pool.run_tasks(tasks.fail_on_three, [3, 3], 2, seen.append))
    with pytest.raises(RuntimeError, match="died with exit status 7"):
        list(worker_pool.run_tasks(tasks.fail_on_three, [4, 4], 2, seen.append))


def test_levels_have_several_episodes_each(tmp_path):
    directory = build_maze(
        tmp_path, num_trajs=40, num_test_trajs=8, episodes_per_level=4, epsilon=0.5
    )
    train, test = reader(directory), reader(directory, "test")
    np.testing.assert_array_equal(
        np.sort(train.level_seeds), np.repeat(np.arange(10), 4)
    )
    start = levels.EVALUATION_START
    np.testing.assert_array_equal(
        np.sort(test.level_seeds), start + np.repeat([0, 1], 4)
    )
    frames = train.array(specs.OBSERVATION)[train.starts]
    lengths = set()
    for level in range(10):
        rows = train.level_seeds == level
        assert (frames[rows] == frames[rows][0]).all()
        lengths.add(len(set(train.lengths[rows])))
    # Only the random actions make episodes of a level differ.
    assert max(lengths) > 1
