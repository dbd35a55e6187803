"""A small dataset of real frames, for gin files of tests."""

import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.datasets import pipeline
from pdtla.environments.procgen import Procgen
from pdtla.experts.collect import collect_episodes
from pdtla.experts.maze_expert import MazeExpert


class MazeFrames:
    """Frames and expert actions of a few maze episodes."""

    fingerprint = "maze-frames"
    element_spec = {
        "observation": specs.ArraySpec((1, 64, 64, 3), "uint8"),
        "action": specs.ArraySpec((1,), "int32", num_values=15),
    }

    def train_batches(self, batch_size, seed, start_step=0, part=(0, 1)):
        data = self._data().repeat().batch(batch_size, drop_remainder=True)
        return pipeline.part_of_batches(data.skip(start_step), batch_size, part)

    def heldout_batches(self, batch_size):
        return self._data().batch(batch_size)

    def _data(self):
        env = Procgen(env_id="maze", num_envs=2, num_levels=10)
        episodes = list(collect_episodes(env, MazeExpert(), episodes_per_slot=1))
        frames = np.concatenate([episode.observation for episode in episodes])
        actions = np.concatenate([episode.action for episode in episodes])
        return tf.data.Dataset.from_tensor_slices(
            {"observation": frames[:, None], "action": actions[:, None]}
        )
