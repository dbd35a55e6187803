"""Tests of the record of a run."""

import io
import json
import time

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing import plugin_event_accumulator

from pdtla.training import metrics_log


def records(directory):
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if name != "time"}
        for line in lines
    ]


def events(directory):
    accumulator = plugin_event_accumulator.EventAccumulator(str(directory))
    return accumulator.Reload()


def scalars(directory, tag):
    return [
        (event.step, float(tf.make_ndarray(event.tensor_proto)))
        for event in events(directory).Tensors(tag)
    ]


def test_scalars_reach_file_and_tensorboard(tmp_path):
    log = metrics_log.MetricsLog(tmp_path, step=0)
    log.scalars(1, "train", {"loss": 2.0, "acc": 0.5, "bad": np.nan})
    log.scalars(1, "heldout", {"loss": 3.0})
    log.close()
    assert records(tmp_path) == [
        {"step": 1, "split": "train", "loss": 2.0, "acc": 0.5, "bad": None},
        {"step": 1, "split": "heldout", "loss": 3.0},
    ]
    assert scalars(tmp_path / "train", "acc") == [(1, 0.5)]
    assert scalars(tmp_path / "heldout", "loss") == [(1, 3.0)]


def test_resumed_run_takes_back_what_it_will_write_again(tmp_path):
    log = metrics_log.MetricsLog(tmp_path, step=0)
    for step in (1, 2, 3):
        log.scalars(step, "train", {"loss": float(step)})
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "split": "tr')  # killed while writing
    time.sleep(1.1)  # TensorBoard orders files by the second in their name
    log = metrics_log.MetricsLog(tmp_path, step=1)
    log.scalars(2, "train", {"loss": 20.0})
    log.close()
    expected = [(1, 1.0), (2, 20.0)]
    found = [(record["step"], record["loss"]) for record in records(tmp_path)]
    assert found == expected
    assert scalars(tmp_path / "train", "loss") == expected


def test_pictures_and_texts(tmp_path):
    log = metrics_log.MetricsLog(tmp_path, step=0)
    log.images(1, "heldout", {"frames": np.zeros([2, 4, 6, 3], np.uint8)})
    log.text(1, "train", "config", "SEED = 1")
    data = io.BytesIO()
    frames = [Image.new("RGB", (5, 7), color) for color in ("red", "blue")]
    frames[0].save(data, format="GIF", save_all=True, append_images=frames[1:])
    log.gif(1, "rollouts", "episodes", data.getvalue())
    log.close()
    heldout = events(tmp_path / "heldout")
    image = tf.make_ndarray(heldout.Tensors("frames")[0].tensor_proto)
    assert image[:2].tolist() == [b"6", b"4"]
    rollouts = events(tmp_path / "rollouts")
    gif = tf.make_ndarray(rollouts.Tensors("episodes")[0].tensor_proto)
    assert gif.tolist() == [b"5", b"7", data.getvalue()]
    metadata = rollouts.SummaryMetadata("episodes")
    assert metadata.plugin_data.plugin_name == "images"
    text = tf.make_ndarray(events(tmp_path / "train").Tensors("config")[0].tensor_proto)
    assert text.item() == b"SEED = 1"
