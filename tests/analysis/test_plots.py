"""Figures come out as pictures, from what the training loop writes."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from pdtla.analysis import plots


def open_png(data):
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB")).astype(int)


def test_read_metrics(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [
        {"step": 10, "split": "train", "time": 1.0, "loss": 3.0},
        {"step": 20, "split": "train", "time": 2.0, "loss": 2.0, "accuracy": 0.5},
        {"step": 20, "split": "heldout", "time": 2.5, "loss": 2.5},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(text + '{"step": 30, "spl')
    curves = plots.read_metrics(path, "train")
    assert curves == {"loss": ([10, 20], [3.0, 2.0]), "accuracy": ([20], [0.5])}
    assert plots.read_metrics(path)["loss"] == ([10, 20, 20], [3.0, 2.0, 2.5])
    with pytest.raises(FileNotFoundError, match="no metrics"):
        plots.read_metrics(tmp_path / "other.jsonl")


def test_learning_curves():
    curves = {"train": ([0, 10], [2.0, 1.0]), "held out": ([0, 10], [2.0, 1.5])}
    one = open_png(plots.learning_curves({"loss": curves}))
    four = open_png(plots.learning_curves(dict.fromkeys("abcd", curves)))
    assert four.shape[0] > 1.8 * one.shape[0]


def test_frames_grid_shows_the_frames():
    red = np.zeros((2, 8, 8, 3), np.uint8)
    red[..., 0] = 255
    blue = np.full((2, 8, 8, 3), -0.5, np.float32)
    blue[..., 2] = 0.5
    pixels = open_png(plots.frames_grid({"true": red, "predicted": blue}))
    assert (pixels == [255, 0, 0]).all(-1).sum() > 1000
    assert (pixels == [0, 0, 255]).all(-1).sum() > 1000


def test_codebook_usage_and_bars():
    open_png(plots.codebook_usage(np.array([[5, 0, 1, 2], [2, 2, 2, 2]])))
    open_png(
        plots.method_bars(
            ["random", "expert"],
            [3.0, 10.0],
            [(2.0, 4.0), (10.0, 10.0)],
            lines={"expert": 10.0},
        )
    )


def test_code_effects_replace_one_place():
    codes = np.array([[0, 5], [1, 6]])
    seen = []

    def predict(replaced):
        seen.append(replaced)
        value = replaced[:, 0, None, None, None] / 10.0
        return np.broadcast_to(value, (2, 8, 8, 3)) - 0.5

    frames = np.zeros((2, 8, 8, 3), np.uint8)
    pixels = open_png(
        plots.code_effects(predict, frames, codes, place=0, shown=[2, 3, 4])
    )
    assert [list(s[:, 0]) for s in seen] == [[2, 2], [3, 3], [4, 4]]
    assert all((s[:, 1] == codes[:, 1]).all() for s in seen)
    # The lowest code is darkest blue, the highest darkest red.
    assert (pixels == [5, 48, 97]).all(-1).any()
    assert (pixels == [103, 0, 31]).all(-1).any()
