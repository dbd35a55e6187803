"""Tests of how a worker finds the others; that they agree is in tests/launch."""

import json

import pytest
import tensorflow as tf

from pdtla.training import cluster as cluster_lib


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)


def set_tf_config(monkeypatch, cluster, kind, index):
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


def test_workers_of_tf_config(monkeypatch):
    set_tf_config(monkeypatch, {"worker": ["a:1", "b:2"]}, "worker", 1)
    found = cluster_lib.find()
    assert found == cluster_lib.Cluster(("a:1", "b:2"), 1)
    assert not found.is_chief
    assert found.part == (1, 2)
    spec = found.resolver().cluster_spec().as_dict()
    assert spec == {"worker": ["a:1", "b:2"]}


def test_the_chief_of_tf_config_comes_first(monkeypatch):
    jobs = {"worker": ["a:1", "b:2"], "chief": ["c:3"]}
    set_tf_config(monkeypatch, jobs, "chief", 0)
    assert cluster_lib.find() == cluster_lib.Cluster(("c:3", "a:1", "b:2"), 0)
    assert cluster_lib.find().is_chief
    set_tf_config(monkeypatch, jobs, "worker", 1)
    assert cluster_lib.find().index == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "TF_CONFIG must give a cluster and a task in it, got '{'"),
        ("[]", "must give a cluster"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "must give a cluster",
        ),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]},'
            ' "task": {"type": "worker", "index": 0}}',
            r"cluster of chief and worker alone, TF_CONFIG has \['ps', 'worker'\]",
        ),
    ],
)
def test_wrong_tf_config(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=message):
        cluster_lib.find()


def set_slurm(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", value)


def test_tasks_of_slurm_in_its_order(monkeypatch):
    variables = {
        "JOB_ID": "7",
        "PROCID": "2",
        "STEP_NUM_TASKS": "4",
        "STEP_NODELIST": "node[9-10],login",
        "STEP_TASKS_PER_NODE": "1(x2),2",
    }
    set_slurm(monkeypatch, **variables)
    found = cluster_lib.find()
    hosts = [address.partition(":")[0] for address in found.addresses]
    assert hosts == ["node9", "node10", "login", "login"]
    assert found.index == 2
    ports = [int(address.partition(":")[2]) for address in found.addresses]
    assert ports[3] == ports[2] + 1
    set_slurm(monkeypatch, JOB_ID="8")
    assert cluster_lib.find().addresses != found.addresses
    set_slurm(monkeypatch, STEP_TASKS_PER_NODE="many")
    with pytest.raises(ValueError, match="SLURM's variables describe no cluster"):
        cluster_lib.find()


def test_no_cluster():
    with pytest.raises(ValueError, match="in TF_CONFIG or from srun; there is neither"):
        cluster_lib.find()


def test_a_process_on_its_own_asks_itself():
    assert cluster_lib.Cluster().part == (0, 1)
    large = 2**40 + 1
    assert cluster_lib.value_of_chief(tf.distribute.get_strategy(), large) == large
