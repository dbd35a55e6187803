"""`CheckpointExpert`, a policy that this project trained."""

import pathlib

import numpy as np
import tensorflow as tf

from pdtla.environments import procgen, vector_environment
from pdtla.experts import expert
from pdtla.layers import module_io


class CheckpointExpert(expert.Expert):
    """Takes the most likely action of a run's memoryless policy.

    The run's modules are loaded by the first action, so that an expert travels to other
    processes as the name of its run.

    Args:
      run: workdir of a cloned policy: a `policy` module that gives action logits, or
        latents for the run's `decoder` module.

    Raises:
      ValueError: the run has no policy.
    """

    name = "checkpoint_expert"

    def __init__(self, run: str):
        self._modules = pathlib.Path(run) / "modules"
        self._logits = None
        module_io.read_digest(self._modules / "policy")

    def act(
        self, env: procgen.Procgen, timestep: vector_environment.TimeStep
    ) -> np.ndarray:
        if self._logits is None:
            self._logits = self._load()
        logits = self._logits(tf.constant(timestep.observation)[:, None])
        return tf.argmax(logits, axis=-1, output_type=tf.int32).numpy()

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_logits": None}

    def _load(self):
        policy = module_io.load_module(self._modules / "policy")
        if not (self._modules / "decoder").exists():
            return tf.function(policy)
        decoder = module_io.load_module(self._modules / "decoder")
        return tf.function(lambda observation: decoder(policy(observation)))
