"""Run in a process of its own: what saved modules compute, under a backend.

`python module_outputs.py FOLDER`, of folders with a module and `inputs.npz` each;
writes `outputs.npz` beside them.
"""

import pdtla  # isort: skip  # fixes the Keras backend before anything imports keras

import pathlib
import sys

import backend
import numpy as np

from pdtla.layers.module_io import load_module

assert pdtla


def main(folder: str) -> None:
    assert backend.NAME == "jax"
    for path in sorted(pathlib.Path(folder).iterdir()):
        layer = load_module(path)
        with np.load(path / "inputs.npz") as file:
            inputs = [file[name] for name in file.files]
        outputs = backend.compiled(layer)(*inputs)
        if not isinstance(outputs, dict):
            outputs = {"output": outputs}
        arrays = {name: backend.array(value) for name, value in outputs.items()}
        np.savez(path / "outputs.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
