"""`ChunkedPolicy`: plans a few actions at a time and plays them one by one."""

import tensorflow as tf

from pdtla.stage import Policy, State


class ChunkedPolicy(Policy):
    """Acts on every H-th observation, H actions at once (ACT, arXiv 2304.13705).

    Args:
      planner: its actions are the next H of the environment's, end to end `[B, H * A]`.
      length: H.
      size: A.
    """

    def __init__(self, planner: Policy, length: int, size: int):
        self._planner = planner
        self._length = length
        self._size = size

    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        return {
            "planner": self._planner.initial_state(batch_size, seed),
            "actions": tf.zeros([batch_size, self._length, self._size]),
            "position": tf.zeros([batch_size], tf.int32),
        }

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        position = tf.where(is_first, 0, state["position"])
        planned, planner = self._planner.step(observation, is_first, state["planner"])
        planned = tf.reshape(planned, [-1, self._length, self._size])
        fresh = (position == 0)[:, None, None]
        actions = tf.where(fresh, planned, state["actions"])
        action = tf.gather(actions, position, batch_dims=1)
        following = (position + 1) % self._length
        return action, {"planner": planner, "actions": actions, "position": following}
