"""Size, shapes and errors of the IMPALA encoder."""

import numpy as np
import pytest

from pdtla.layers.impala_cnn import ImpalaCNN


def test_lapo_size():
    encoder = ImpalaCNN(scale=4)
    encoder.build((None, 64, 64, 9))
    # LAPO's inverse model has 3,685,376 with a linear layer 256 -> 128 on top.
    assert encoder.count_params() + 256 * 128 + 128 == 3_685_376
    assert encoder.dense.kernel.shape == (8192, 256)


def test_odd_sizes_are_halved_upwards():
    encoder = ImpalaCNN(channels=(2, 3), blocks=1, output_dim=4)
    outputs = encoder(np.ones((2, 9, 6, 3), "float32"))
    assert outputs.shape == (2, 4)
    assert encoder.dense.kernel.shape == (3 * 2 * 3, 4)
    assert np.min(outputs) >= 0.0


@pytest.mark.parametrize("shape", [(None, 64, 64), (None, None, 64, 3)])
def test_other_inputs_are_refused(shape):
    with pytest.raises(ValueError, match=r"images \[B, H, W, C\]"):
        ImpalaCNN().build(shape)
