"""Tests of the files of a run."""

import os
import socket

import pytest

from pdtla.training import configs, workdir

CONFIG = """
from __gin__ import dynamic_registration
import keras

SEED = 1
LOG_EVERY = 10
STAGE = @keras.layers.Dense
IDLE = 1
keras.layers.Dense.units = %SEED
a/keras.layers.Dense.name = 'x'
"""


@pytest.fixture(name="started")
def fixture_started(tmp_path, monkeypatch):
    """A workdir that has a checkpoint."""
    with workdir.Workdir(tmp_path) as directory:
        directory.begin(CONFIG, "")
    monkeypatch.setattr(workdir.checkpoints, "latest_step", lambda _: 1)
    return tmp_path


def test_same_configuration_is_accepted(started):
    with workdir.Workdir(started) as directory:
        directory.claim(CONFIG)
        directory.claim("# a comment\n" + CONFIG)
    assert (started / "config.gin").read_text() == CONFIG


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("SEED = 1", "SEED = 2", "SEED was 1, is 2"),
        ("SEED = 1", "SEED = '1'", "SEED was 1, is '1'"),
        ("layers.Dense\n", "layers.Dense()\n", "is @keras.layers.Dense()"),
        ("%SEED", "3", "keras.layers.Dense.units was %SEED, is 3"),
        ("a/keras", "b/keras", "a/keras.layers.Dense.name was 'x', is not set"),
    ],
)
def test_other_configuration_is_an_error(started, old, new, difference):
    with workdir.Workdir(started) as directory:
        with pytest.raises(configs.ConfigError) as caught:
            directory.claim(CONFIG.replace(old, new))
    assert difference in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (started / "config.gin").read_text() == CONFIG


def test_reporting_and_unused_macros_may_differ(started):
    other = CONFIG.replace("LOG_EVERY = 10", "LOG_EVERY = 5").replace("IDLE = 1", "")
    with workdir.Workdir(started) as directory:
        directory.claim(other, unused_macros=frozenset({"IDLE"}))
        with pytest.raises(configs.ConfigError, match="IDLE was 1, is not set"):
            directory.claim(other)


def test_failed_set_up_does_not_bind_the_workdir(tmp_path):
    with workdir.Workdir(tmp_path) as directory:
        directory.claim(CONFIG)
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        directory.begin(CONFIG, "")
        directory.claim(CONFIG.replace("SEED = 1", "SEED = 2"))
        directory.begin(CONFIG.replace("SEED = 1", "SEED = 2"), "")
    assert "SEED = 2" in (tmp_path / "config.gin").read_text()


def test_one_process_at_a_time(tmp_path):
    with workdir.Workdir(tmp_path):
        holder = rf"process {os.getpid()} on {socket.gethostname()}\.$"
        with pytest.raises(configs.ConfigError, match=f"Another run.*: {holder}"):
            workdir.Workdir(tmp_path)
        workdir.Workdir(tmp_path, hold=False).close()
    workdir.Workdir(tmp_path).close()


def test_use_by_another_can_be_seen_without_getting_in_its_way(tmp_path):
    assert not workdir.is_in_use(tmp_path / "none")
    with workdir.Workdir(tmp_path):
        assert workdir.is_in_use(tmp_path)
    assert not workdir.is_in_use(tmp_path)


FACTS = {"fingerprint": "1", "statistics": {"observation": {"mean": [0.5]}}}


def test_a_run_goes_on_with_its_own_data_alone(tmp_path, monkeypatch):
    other = FACTS | {"fingerprint": "2"}
    rescaled = {"fingerprint": "3", "statistics": {"observation": {"mean": [0.6]}}}
    with workdir.Workdir(tmp_path) as directory:
        directory.begin(CONFIG, "", FACTS)
    workdir.check_data(tmp_path, rescaled)  # there is no run yet
    monkeypatch.setattr(workdir.checkpoints, "latest_step", lambda _: 1)
    workdir.check_data(tmp_path, FACTS)
    with pytest.raises(
        configs.ConfigError, match=r"than there is now \(another finger"
    ):
        workdir.check_data(tmp_path, other)
    workdir.check_data(tmp_path, other, resumes=False)
    for resumes in (True, False):
        with pytest.raises(configs.ConfigError, match="deviation or range of observat"):
            workdir.check_data(tmp_path, rescaled, resumes)
