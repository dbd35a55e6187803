"""`CheckpointExpert`, a policy that this project trained."""

import pathlib

import numpy as np
import tensorflow as tf

from pdtla.environments import vector_environment
from pdtla.experts import expert
from pdtla.layers import module_io


class CheckpointExpert(expert.Expert):
    """Takes the most likely action of a run's memoryless policy.

    The run's modules are loaded by the first action, so that an expert travels to other
    processes as the name of its run.

    Args:
      run: workdir of a policy: a `policy` module that gives actions, what its
        distribution over actions reads, or latents for the run's `decoder` module.

    Raises:
      ValueError: the run has no policy.
    """

    name = "checkpoint_expert"

    def __init__(self, run: str):
        self._modules = pathlib.Path(run) / "modules"
        self._policy = None
        module_io.read_digest(self._modules / "policy")

    def act(
        self,
        env: vector_environment.VectorEnvironment,
        timestep: vector_environment.TimeStep,
    ) -> np.ndarray:
        if self._policy is None:
            self._policy = self._load()
        return self._policy(tf.constant(timestep.observation)).numpy()

    def settings(self) -> dict[str, object]:
        """The digests of what it is made of, wherever that lies."""
        return {
            path.name: module_io.read_digest(path)
            for path in sorted(self._modules.iterdir())
        }

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_policy": None}

    def _load(self):
        """A function from observations `[N, ...]` to actions."""
        policy = module_io.load_module(self._modules / "policy")
        if getattr(policy, "gives_action", False):
            return tf.function(policy)
        if not (self._modules / "decoder").exists():
            return tf.function(lambda now: _mode(policy, policy(now[:, None])))
        decoder = module_io.load_module(self._modules / "decoder")
        return tf.function(
            lambda now: _mode(decoder, decoder(policy(now[:, None]), now[:, None]))
        )


def _mode(module, params: tf.Tensor) -> tf.Tensor:
    """The most likely action; outputs of a module without a distribution are logits."""
    if hasattr(module, "distribution"):
        return module.distribution.mode(params)
    return tf.argmax(params, axis=-1, output_type=tf.int32)
