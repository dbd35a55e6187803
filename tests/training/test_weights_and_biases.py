"""Tests of the mirror, with the real package and without a network."""

import json
import pathlib
import struct
import sys

import gin
import numpy as np
import pytest

from pdtla.training import configs
from pdtla.training import train as train_lib
from pdtla.training.sinks import weights_and_biases

HERE = pathlib.Path(__file__).parent


def read(workdir):
    """Records that the processes of a run left, one list for each process."""
    from wandb.proto import wandb_internal_pb2

    found = []
    for path in sorted(workdir.glob("wandb/offline-run-*/*.wandb")):
        data, position, records = path.read_bytes(), 7, []
        while position < len(data):  # LevelDB's log: checksum, length, type, content
            length, kind = struct.unpack("<HB", data[position + 4 : position + 7])
            assert kind == 1, "The record spans blocks."
            content = data[position + 7 : position + 7 + length]
            records.append(wandb_internal_pb2.Record.FromString(content))
            position += 7 + length
        found.append(records)
    return found


def history(records):
    """What was logged, without what W&B adds."""
    rows = []
    for record in records:
        if record.HasField("history"):
            items = {
                item.key or "/".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }
            rows.append({name: items[name] for name in items if name[0] != "_"})
    return rows


def run_record(records):
    return next(record.run for record in records if record.HasField("run"))


def test_training_is_mirrored(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    workdir = tmp_path / "runs" / "toy"
    configs.parse_gin(
        [str(HERE / "toy.gin"), "gin/smoke.gin"],
        ["SEED = 3"],
        roots=[train_lib.train],
    )
    mirrors = (weights_and_biases.mirror("project", None),)
    gin.get_configurable(train_lib.train)(workdir=str(workdir), mirrors=mirrors)
    (records,) = read(workdir)
    run = run_record(records)
    assert (run.project, run.display_name) == ("project", "runs/toy")
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    expected = []
    for line in map(json.loads, lines):
        step, split, _ = line.pop("step"), line.pop("split"), line.pop("time")
        scalars = {f"{split}/{name}": value for name, value in line.items()}
        expected.append({"step": step, **scalars})
    assert len(expected) == 4  # two reports of each split
    assert history(records) == expected
    config = {}
    for record in records:
        for update in (record.config, record.run.config):
            config |= {item.key: json.loads(item.value_json) for item in update.update}
    assert (config["SEED"], config["ENV_ID"]) == (3, "toy")
    assert config["STAGE"] == "@toy_stages.NoisyMLP"


def test_resumed_run_keeps_its_id(tmp_path):
    pytest.importorskip("wandb")
    make = weights_and_biases.mirror("project", "offline")
    for step in (0, 2):
        sink = make(tmp_path, step=step)
        sink.scalars(step + 1, "train", {"loss": 1.0, "bad": np.nan})
        sink.close()
    first, second = read(tmp_path)
    assert run_record(first).run_id == run_record(second).run_id
    assert history(first)[0]["step"] == 1
    assert history(second)[0]["step"] == 3


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(configs.ConfigError, match="pip install -r requirements-wandb"):
        weights_and_biases.mirror("project", None)


def test_unknown_mode_is_refused():
    with pytest.raises(configs.ConfigError, match="one of .*'dryrun'"):
        weights_and_biases.mirror("project", "dryrun")
