"""What every layer promises, checked on a table of all of them."""

import backend
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pdtla.layers.action_distributions import Deterministic
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.frame_stack import FrameStack
from pdtla.layers.identity_quantizer import IdentityQuantizer
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.mlp import MLP
from pdtla.layers.module_io import load_module, save_module
from pdtla.layers.residual_block import ResidualBlock
from pdtla.layers.self_attention import SelfAttention
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.layers.space_time_blocks import SpaceTimeBlocks
from pdtla.layers.space_time_decoder import SpaceTimeDecoder
from pdtla.layers.space_time_encoder import SpaceTimeEncoder
from pdtla.layers.token_embedding import TokenEmbedding
from pdtla.layers.transformer_block import TransformerBlock
from pdtla.layers.unet import UNet
from pdtla.layers.up_convolution import UpConvolution
from pdtla.layers.vector_quantizer import VectorQuantizer
from pdtla.layers.window_embedding import WindowEmbedding

_RNG = np.random.default_rng(0)


def _normal(*shape):
    return _RNG.standard_normal(shape).astype("float32")


_SMALL_VQ = {"num_codes": 5, "num_codebooks": 2, "num_latents": 2, "code_dim": 3}
# Without dropout: a seed generator is no part of a tf.train.Checkpoint by itself.
_SMALL_TRANSFORMER = {
    "width": 8,
    "num_layers": 1,
    "num_heads": 2,
    "patch_size": 4,
    "widening": 2,
    "dropout": 0.0,
}
# name: (constructor, arguments, inputs, dtype of the output under mixed_bfloat16)
LAYERS = {
    "impala": (
        ImpalaCNN,
        {"channels": (4, 6), "blocks": 1, "output_dim": 7},
        [_normal(2, 16, 16, 6)],
        "bfloat16",
    ),
    "mlp": (MLP, {"hidden": (8,), "output_dim": 3}, [_normal(2, 5)], "bfloat16"),
    "residual": (ResidualBlock, {"hidden": 3}, [_normal(2, 4, 4, 6)], "bfloat16"),
    "up": (UpConvolution, {"filters": 3}, [_normal(2, 4, 4, 6)], "bfloat16"),
    "frames": (
        FrameStack,
        {"mode": "difference", "gain": 2.0},
        [_RNG.integers(0, 256, (2, 3, 8, 8, 3), "uint8")],
        "bfloat16",
    ),
    "attention": (SelfAttention, {"num_heads": 2}, [_normal(2, 5, 8)], "bfloat16"),
    "transformer_block": (
        TransformerBlock,
        {"num_heads": 2, "widening": 2, "dropout": 0.0},
        [_normal(2, 5, 8)],
        "bfloat16",
    ),
    "token_embedding": (
        TokenEmbedding,
        {"num_timesteps": 5, "num_segments": 3},
        [_normal(2, 4, 8), *_RNG.integers(0, 3, (2, 2, 4), "int32")],
        "bfloat16",
    ),
    "causal_transformer": (
        CausalTransformer,
        {"width": 8, "num_layers": 2, "num_heads": 2, "dropout": 0.0},
        [_normal(2, 5, 8), np.tri(5, dtype=bool)[None, None]],
        "bfloat16",
    ),
    "sequence_network": (
        SequenceNetwork,
        {
            "encoder": MLP((6,), 5),
            "transformer": CausalTransformer(8, 2, 2, dropout=0.0),
            "distribution": Deterministic(2),
            "context_window": 2,
            "num_timesteps": 9,
        },
        [
            _normal(2, 3, 4),
            _normal(2, 3, 2),
            np.tile(np.arange(3, dtype="int32"), (2, 1)),
            np.ones((2, 3), bool),
        ],
        "float32",
    ),
    "space_time_blocks": (
        SpaceTimeBlocks,
        {"num_layers": 2, "num_heads": 2, "attention": "factorised", "dropout": 0.0},
        [_normal(2, 3, 4, 8)],
        "bfloat16",
    ),
    "window_embedding": (
        WindowEmbedding,
        {"width": 7, "patch_size": 4},
        [_normal(2, 3, 8, 8, 3)],
        "bfloat16",
    ),
    "vq": (VectorQuantizer, _SMALL_VQ, [_normal(4, 12)], "float32"),
    "identity": (IdentityQuantizer, {"dim": 12}, [_normal(4, 12)], "float32"),
} | {
    f"unet_{normalization}": (
        UNet,
        {"base": 4, "normalization": normalization},
        [_normal(2, 16, 16, 6), _normal(2, 5)],
        "bfloat16",
    )
    for normalization in (None, "batch", "group")
}
for _kind, _attention, _observation in (
    ("vit", "joint", _normal(2, 3, 8, 8, 3)),
    ("space_time", "factorised", _normal(2, 3, 8, 8, 3)),
    ("temporal", "joint", _normal(2, 3, 5)),
):
    _arguments = _SMALL_TRANSFORMER | {"attention": _attention}
    LAYERS[f"{_kind}_encoder"] = (
        SpaceTimeEncoder,
        _arguments,
        [_observation],
        "bfloat16",
    )
    LAYERS[f"{_kind}_decoder"] = (
        SpaceTimeDecoder,
        _arguments,
        [_observation, _normal(2, 3, 4)],
        "bfloat16",
    )


def make(name, policy="float32"):
    cls, arguments, inputs, _ = LAYERS[name]
    keras.utils.set_random_seed(0)
    arguments = {key: _anew(value, policy) for key, value in arguments.items()}
    layer = cls(**arguments, dtype=policy)
    layer(*inputs)
    return layer, inputs


def _anew(argument, policy):
    """A layer within a layer is built but once."""
    if not isinstance(argument, keras.layers.Layer):
        return argument
    return type(argument).from_config(argument.get_config() | {"dtype": policy})


def _main_output(outputs):
    return outputs["quantized"] if isinstance(outputs, dict) else outputs


def _train_a_little(layer, inputs):
    """One update of every kind of state the layer has."""

    def loss():
        output = _main_output(layer(*inputs, training=True))
        return ops.mean(ops.cast(output, "float32") ** 2)

    _, gradients = backend.value_and_gradients(loss, layer)
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        variable.assign_sub(0.1 * ops.cast(gradient, variable.dtype))


@pytest.mark.parametrize("name", LAYERS)
def test_config_rebuilds_the_layer(name):
    cls, arguments, _, _ = LAYERS[name]
    layer, inputs = make(name)
    config = layer.get_config()
    for key, value in arguments.items():
        if not hasattr(value, "get_config"):
            assert config[key] == value
    again = cls.from_config(config)
    again(*inputs)
    shapes = [tuple(variable.shape) for variable in layer.variables]
    assert shapes == [tuple(variable.shape) for variable in again.variables]


@backend.TENSORFLOW
@pytest.mark.parametrize("name", LAYERS)
def test_a_checkpoint_holds_every_variable(name, tmp_path):
    layer, inputs = make(name)
    _train_a_little(layer, inputs)
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "checkpoint"))
    keys = [
        key
        for key, _ in tf.train.list_variables(path)
        if key.startswith("layer/") and key.endswith("VARIABLE_VALUE")
    ]
    assert len(keys) == len(layer.variables)
    other, _ = make(name)
    tf.train.Checkpoint(layer=other).restore(path).assert_existing_objects_matched()
    for saved, restored in zip(layer.variables, other.variables, strict=True):
        np.testing.assert_array_equal(saved, restored)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_saved_module_computes_the_same_bits(name, policy, tmp_path):
    layer, inputs = make(name, policy)
    _train_a_little(layer, inputs)
    save_module(layer, tmp_path / "module", {"step": 3})
    loaded = load_module(tmp_path / "module")
    assert type(loaded) is type(layer)
    assert loaded.dtype_policy.name == policy
    expected, actual = _main_output(layer(*inputs)), _main_output(loaded(*inputs))
    np.testing.assert_array_equal(backend.array(expected), backend.array(actual))


@pytest.mark.parametrize("name", LAYERS)
def test_bfloat16_output_is_close_to_float32(name):
    layer, inputs = make(name)
    rounded, _ = make(name, "mixed_bfloat16")
    for source, target in zip(layer.variables, rounded.variables, strict=True):
        target.assign(source)
    exact = backend.array(_main_output(layer(*inputs)))
    output = _main_output(rounded(*inputs))
    assert keras.backend.standardize_dtype(output.dtype) == LAYERS[name][3]
    assert np.abs(backend.array(output) - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize("name", LAYERS)
def test_shape_is_predicted_and_jit_agrees(name):
    layer, inputs = make(name)
    expected = layer(*inputs)
    if not isinstance(expected, dict):
        shapes = [x.shape for x in inputs]
        assert tuple(layer.compute_output_shape(*shapes)) == tuple(expected.shape)
    compiled = backend.compiled(layer)(*inputs)
    np.testing.assert_allclose(
        _main_output(compiled), _main_output(expected), rtol=1e-4, atol=1e-4
    )
