"""Tests of the settings and headline numbers that runs are compared by."""

import json
import pathlib

import gin
import tensorflow as tf
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from pdtla.training import configs, hyperparameters
from pdtla.training import train as train_lib

HERE = pathlib.Path(__file__).parent
FILES = [str(HERE / "toy.gin"), "gin/smoke.gin"]


def parse(*bindings):
    configs.parse_gin(FILES, bindings, roots=[train_lib.train])


def events(directory):
    accumulator = plugin_event_accumulator.EventAccumulator(str(directory))
    return accumulator.Reload()


def content(accumulator, tag):
    return accumulator.SummaryMetadata(tag).plugin_data.content


def test_macros_that_reach_the_run_by_name():
    parse("SEED = 3", "CLIP_NORM = None")
    found = hyperparameters.hyperparameters(train_lib.train)
    assert found["SEED"] == 3
    assert found["LEARNING_RATE"] == 3e-4
    assert found["JIT_COMPILE"] is False
    assert found["CLIP_NORM"] == "None"
    assert found["STAGE"] == "@toy_stages.NoisyMLP"
    assert "CONTEXT_LEN" not in found  # nothing in this run reads it
    assert list(found) == sorted(found)


def test_a_run_is_a_session_of_the_hparams_table(tmp_path):
    parse("SEED = 3")
    results = gin.get_configurable(train_lib.train)(workdir=str(tmp_path))
    accumulator = events(tmp_path)
    start = metadata.parse_session_start_info_plugin_data(
        content(accumulator, metadata.SESSION_START_INFO_TAG)
    )
    found = hyperparameters.hyperparameters(train_lib.train)
    assert set(start.hparams) == set(found)
    assert start.hparams["SEED"].number_value == 3
    assert start.hparams["JIT_COMPILE"].bool_value is False
    assert start.hparams["ENV_ID"].string_value == "toy"
    end = metadata.parse_session_end_info_plugin_data(
        content(accumulator, metadata.SESSION_END_INFO_TAG)
    )
    assert end.status == api_pb2.STATUS_SUCCESS
    losses = accumulator.Tensors("heldout_loss")
    assert [event.step for event in losses] == [2, 4]
    last = float(tf.make_ndarray(losses[-1].tensor_proto))
    assert abs(last - results["heldout"]["loss"]) < 1e-6
    splits = {
        json.loads(line)["split"]
        for line in (tmp_path / "metrics.jsonl").read_text().splitlines()
    }
    assert splits == {"train", "heldout"}  # the headline repeats these
