"""Saved modules: whole or not at all, and errors that say what is wrong."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.mlp import MLP
from pdtla.layers.module_io import (
    ModuleError,
    load_module,
    read_digest,
    read_metadata,
    save_module,
)
from pdtla.layers.observation_network import ObservationNetwork


def _mlp(scale=1.0):
    layer = MLP(hidden=(4,), output_dim=3)
    layer.build((None, 5))
    for variable in layer.variables:
        variable.assign(np.full(variable.shape, scale))
    return layer


@pytest.fixture
def saved(tmp_path):
    save_module(_mlp(), tmp_path / "a" / "mlp", {"run": "x", "step": 7})
    return tmp_path / "a" / "mlp"


def test_metadata_is_read_back(saved):
    assert read_metadata(saved) == {"run": "x", "step": 7}


def test_digest_is_that_of_the_weights(saved, tmp_path):
    save_module(_mlp(), tmp_path / "same")
    save_module(_mlp(2.0), tmp_path / "other")
    assert read_digest(saved) == read_digest(tmp_path / "same")
    assert read_digest(saved) != read_digest(tmp_path / "other")


def test_saving_again_replaces_the_module(saved):
    save_module(_mlp(2.0), saved)
    np.testing.assert_array_equal(load_module(saved).variables[0], np.full((5, 4), 2.0))
    assert read_metadata(saved) == {}
    assert len(list(saved.iterdir())) == 2


def test_a_writer_killed_before_the_end_leaves_the_old_module(saved, monkeypatch):
    replace = os.replace

    def killed(source, target):
        if str(target).endswith("module.json"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_module(_mlp(2.0), saved)
    np.testing.assert_array_equal(load_module(saved).variables[0], np.ones((5, 4)))


def test_an_unbuilt_layer_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Only a built layer"):
        save_module(MLP(), tmp_path)


def _damage_manifest(saved, **changes):
    path = saved / "module.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "module.json").unlink(), "no saved module"),
        (lambda d: _truncate(d / "module.json"), "damaged"),
        (lambda d: _truncate(next(d.glob("*.npz"))), "damaged"),
        (lambda d: next(d.glob("*.npz")).unlink(), "missing or damaged"),
        (lambda d: _damage_manifest(d, version=99), "version 99"),
        (lambda d: _damage_manifest(d, module="pdtla.layers.gone"), "gone"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(saved, damage, message):
    damage(saved)
    with pytest.raises(ModuleError, match=message) as caught:
        load_module(saved)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_refused(saved):
    manifest = json.loads((saved / "module.json").read_text())
    manifest["layer"]["config"]["hidden"] = [6]
    _damage_manifest(saved, layer=manifest["layer"])
    with pytest.raises(ModuleError, match="do not fit"):
        load_module(saved)


@keras.saving.register_keras_serializable(package="pdtla_tests")
class _Outer(keras.layers.Layer):
    """Builds the layer that it is given, as modules of a stage do."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.scale = self.add_weight(shape=())

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return super().get_config() | {"inner": inner}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config["inner"])
        return cls(**(config | {"inner": inner}))


def test_layers_within_layers_are_built_once(tmp_path):
    layer = _Outer(MLP(hidden=(4,), output_dim=3))
    layer.build((None, 5))
    save_module(layer, tmp_path)
    loaded = load_module(tmp_path)
    assert len(loaded.variables) == 5
    for expected, variable in zip(layer.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(expected, variable)


def test_pure_bfloat16_weights_survive(tmp_path):
    layer = MLP(hidden=(4,), output_dim=3, dtype="bfloat16")
    layer.build((None, 5))
    save_module(layer, tmp_path)
    loaded = load_module(tmp_path)
    for saved_variable, variable in zip(layer.variables, loaded.variables, strict=True):
        assert variable.dtype == "bfloat16"
        np.testing.assert_array_equal(
            keras.ops.cast(saved_variable, "float32"),
            keras.ops.cast(variable, "float32"),
        )


def test_a_fresh_process_rebuilds_what_lies_within(tmp_path):
    network = ObservationNetwork(ImpalaCNN(channels=(4,), output_dim=8), output_dim=3)
    network.build((None, 2, 16, 16, 3))
    save_module(network, tmp_path)
    program = (
        "import pdtla, sys; from pdtla.layers import module_io; "
        f"print(module_io.load_module({str(tmp_path)!r}).encoder.output_dim)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["8"]
