"""Plays exported policies with TensorFlow alone.

    python plain_player.py DIRECTORY...

Reads `inputs.npz` in each directory: what a rollout sees, `[T, B, ...]`, and `prompt_`
before the names of demonstrations, `[B, P, ...]`. Writes `outputs.npz`: the actions of
`act` and of `sample`, `[T, B, ...]`.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf


def play(signatures, inputs: dict, way: str, seed: int) -> np.ndarray:
    batch = inputs["reward"].shape[1]
    state = signatures["initial_state"](
        batch_size=tf.constant(batch), seed=tf.constant(seed)
    )
    prompt = {
        name.removeprefix("prompt_"): tf.constant(value)
        for name, value in inputs.items()
        if name.startswith("prompt_")
    }
    if prompt:
        state = signatures["prompt"](**prompt, **state)
    actions = []
    for t in range(len(inputs["reward"])):
        seen = {
            name: tf.constant(inputs[name][t])
            for name in ("observation", "reward", "is_first")
        }
        state = signatures[way](**seen, **state)
        actions.append(state.pop("action"))
    return np.stack(actions)


for directory in map(pathlib.Path, sys.argv[1:]):
    loaded = tf.saved_model.load(str(directory / "saved"))
    with np.load(directory / "inputs.npz") as file:
        given = dict(file)
    np.savez(
        directory / "outputs.npz",
        **{way: play(loaded.signatures, given, way, 3) for way in ("act", "sample")},
    )
assert not [name for name in sys.modules if name.partition(".")[0] == "pdtla"]
