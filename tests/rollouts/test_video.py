"""Videos of rollouts."""

import os

import numpy as np
import pytest
from PIL import Image

from pdtla.rollouts import video


def episode(length, value):
    return np.full((length, 8, 8, 3), value, np.uint8)


def test_side_by_side_holds_and_fades_the_last_frame():
    frames = video.side_by_side([episode(2, 100), episode(5, 200)])
    assert frames.shape == (5, 8, 8 + 2 + 8, 3)
    np.testing.assert_array_equal(frames[:, 0, 0, 0], [100, 100, 50, 50, 50])
    np.testing.assert_array_equal(frames[:, 0, 10, 0], 200)
    np.testing.assert_array_equal(frames[:, :, 8:10], 255)
    assert video.side_by_side([episode(9, 1)], max_frames=4).shape[0] == 4


def test_no_episode_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        video.side_by_side([])


def test_gif_on_disk(tmp_path):
    path = tmp_path / "deep" / "video.gif"
    moving = np.stack([np.full((8, 8, 3), 20 * t, np.uint8) for t in range(6)])
    video.write_gif(path, [moving], fps=10, scale=2)
    assert os.listdir(path.parent) == ["video.gif"]
    with Image.open(path) as gif:
        assert gif.n_frames == 6
        assert gif.size == (16, 16)
        assert gif.info["duration"] == 100
        gif.seek(3)
        pixel = gif.convert("RGB").getpixel((3, 3))
    assert abs(pixel[0] - 60) <= 4
