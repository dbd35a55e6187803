"""Layers under Keras's JAX backend, where it is installed (`requirements-jax.txt`).

In processes of their own: a process has one backend.
"""

import os
import pathlib
import subprocess
import sys

import backend
import numpy as np
import pytest
import quantizer_table
import test_layer_conformance
import test_quantizers_conformance

from pdtla.layers.module_io import save_module

_FOLDER = pathlib.Path(__file__).parent


def _under_jax(*command):
    pytest.importorskip("jax")
    paths = [str(_FOLDER.parents[1]), str(_FOLDER)]
    settings = {"PDTLA_KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, *command],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.mark.parametrize(
    "module", [test_layer_conformance, test_quantizers_conformance]
)
def test_conformance(module):
    if backend.NAME == "jax":
        pytest.skip("These tests run the others under JAX.")
    printed = _under_jax("-m", "pytest", "-p", "no:cacheprovider", module.__file__)
    assert " passed" in printed


def test_modules_saved_under_tensorflow_compute_the_same(tmp_path):
    """Every layer and quantizer; float32, compiled by XLA under both."""
    pytest.importorskip("jax")
    expected = {}
    for name in test_layer_conformance.LAYERS:
        layer, inputs = test_layer_conformance.make(name)
        expected[name] = _saved(tmp_path / name, layer, inputs)
    for name in quantizer_table.QUANTIZERS:
        layer, inputs = test_quantizers_conformance.make(name)
        expected[f"q_{name}"] = _saved(tmp_path / f"q_{name}", layer, [inputs])
    _under_jax(str(_FOLDER / "module_outputs.py"), str(tmp_path))
    for name, outputs in expected.items():
        with np.load(tmp_path / name / "outputs.npz") as file:
            assert set(file.files) == set(outputs), name
            for field, values in outputs.items():
                np.testing.assert_allclose(
                    file[field], values, rtol=1e-3, atol=1e-4, err_msg=name
                )


def _saved(folder, layer, inputs):
    """Saves a module and inputs; its outputs as arrays by their names."""
    save_module(layer, folder)
    np.savez(folder / "inputs.npz", *inputs)
    outputs = layer(*inputs)
    if not isinstance(outputs, dict):
        outputs = {"output": outputs}
    return {name: backend.array(value) for name, value in outputs.items()}


def test_programs_refuse_another_backend():
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-m", "launch.train", "--dry_run"],
        env=os.environ | {"PDTLA_KERAS_BACKEND": "jax"},
        cwd=_FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "PDTLA_KERAS_BACKEND" in last and "jax" in last, done.stderr[-2000:]
