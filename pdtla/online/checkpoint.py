"""`OnlineCheckpoint`: all that a run in the simulator needs to go on."""

import pathlib
import pickle
import time

import tensorflow as tf

from pdtla.online import collector, ppo


class OnlineCheckpoint:
    """Saves and restores what is learnt and where the simulators are.

    Args:
      directory: where the checkpoints go, `ckpt-<update>`.
      learner: holds the weights.
      player: holds the environments.
    """

    def __init__(
        self,
        directory: str | pathlib.Path,
        learner: ppo.Ppo,
        player: collector.Collector,
    ):
        self._player = player
        self._state = tf.Variable("", dtype=tf.string, trainable=False)
        self._seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._start = time.monotonic()
        checkpoint = tf.train.Checkpoint(
            variables=learner.variables, player=self._state, seconds=self._seconds
        )
        self._manager = tf.train.CheckpointManager(
            checkpoint, str(directory), max_to_keep=2, checkpoint_name="ckpt"
        )

    def elapsed(self) -> float:
        """Wall seconds of training up to now, over all runs that led here."""
        return float(self._seconds) + time.monotonic() - self._start

    def save(self, update: int) -> None:
        """Writes the checkpoint of this update."""
        self._seconds.assign(self.elapsed())
        self._start = time.monotonic()
        self._state.assign(pickle.dumps(self._player.get_state()))
        self._manager.save(checkpoint_number=update)

    def restore_latest(self) -> int:
        """Restores the newest checkpoint; the number of updates made up to it."""
        path = self._manager.latest_checkpoint
        if path is None:
            return 0
        status = self._manager.checkpoint.restore(path)
        status.assert_existing_objects_matched().assert_consumed()
        self._player.set_state(pickle.loads(self._state.numpy()))
        self._start = time.monotonic()
        return int(path.rsplit("-", 1)[-1])
