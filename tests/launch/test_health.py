"""The health report as it is called, on tiny real runs."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins import projector

from launch import health_of_run
from pdtla.analysis import health_report
from pdtla.training import configs

ITEMS = (
    "codes",
    "reconstruction",
    "listening",
    "action",
    "background",
    "shift",
    "budget",
    "leak",
)


@pytest.fixture(scope="module")
def found(lam):
    return health_of_run.report(str(lam), [], [], max_windows=300).report


def test_every_question_is_answered(found, lam):
    assert tuple(found["items"]) == ITEMS
    for item in found["items"].values():
        assert item["verdict"] in ("good", "doubtful", "broken")
        assert item["finding"] and item["rule"] and item["why"]
        assert all(np.isfinite(value) for value in item["values"].values())
    assert json.loads((lam / "health" / "health.json").read_text()) == found
    lines = health_report.text_table(found).splitlines()
    assert [line.split()[0] for line in lines] == [*ITEMS, "verdict"]
    # The latents beside the dataset are those that this run wrote.
    assert found["items"]["leak"]["values"]["mismatch_lam"] == 0.0


def test_the_page_needs_no_other_file(found, lam):
    text = (lam / "health" / "report.html").read_text()
    links = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", text)
    assert all(link.startswith(("data:image/png", "#")) for link in links)
    assert text.count("data:image/png") == 9
    assert all(f'id="{name}"' in text for name in ITEMS)


def test_tensorboard_holds_the_same_numbers(found, lam):
    events = event_accumulator.EventAccumulator(str(lam / "health"))
    events.Reload()
    (tensor,) = events.Tensors("action/mlp")
    value = tf.make_ndarray(tensor.tensor_proto)
    np.testing.assert_allclose(value, found["items"]["action"]["values"]["mlp"])
    assert tensor.step == found["step"] == 4
    (tensor,) = events.Tensors("verdicts")
    text = tf.make_ndarray(tensor.tensor_proto).item().decode()
    for name, item in found["items"].items():
        assert f"| {name} | {item['verdict']} | {item['finding']} |" in text
    assert len(events.Tags()["tensors"]) > 30


def test_the_projector_finds_its_files(found, lam):
    config = projector.ProjectorConfig()
    text_format.Parse((lam / "health" / "projector_config.pbtxt").read_text(), config)
    (embedding,) = config.embeddings
    latents = np.loadtxt(lam / "health" / embedding.tensor_path)
    actions = np.loadtxt(lam / "health" / embedding.metadata_path)
    assert len(latents) == len(actions) == found["windows"]["test"]
    side = int(np.ceil(np.sqrt(len(latents)))) * embedding.sprite.single_image_dim[0]
    picture = Image.open(lam / "health" / embedding.sprite.image_path)
    assert picture.size == (side, side)


def test_what_has_no_health_is_refused(decoder, tmp_path):
    with pytest.raises(configs.ConfigError, match="no config.gin"):
        health_of_run.report(str(tmp_path), [], [])
    with pytest.raises(configs.ConfigError, match="has no module idm, vq, fdm"):
        health_of_run.report(str(decoder), [], [])


def test_a_hierarchical_model_is_examined_too(maze, tmp_path):
    tiny_runs.train("lam_hierarchical", maze, tmp_path / "run", "NUM_UPDATES = 2")
    found = health_of_run.report(str(tmp_path / "run"), [], [], max_windows=100).report
    assert tuple(found["items"]) == ITEMS
    assert found["items"]["reconstruction"]["values"]["copy_frame_error"] > 0
