"""Tests of how runs share a machine."""

import os

from launch.sweeps import local


def test_threads_are_divided():
    cpus = len(os.sched_getaffinity(0))
    assert local.threads_for_each(1) == cpus
    assert local.threads_for_each(cpus) == 1
    assert local.threads_for_each(10 * cpus) == 1


def test_runs_take_turns_on_the_gpus(monkeypatch):
    assert local.device_environment(3, num_gpus=0) == ()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = [dict(local.device_environment(i, num_gpus=2)) for i in range(3)]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in found] == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    second = dict(local.device_environment(1, num_gpus=2))
    assert second["CUDA_VISIBLE_DEVICES"] == "6"
