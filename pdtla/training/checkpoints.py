"""`Checkpointer`: everything a resumed run needs to go on as if never stopped."""

import functools
import os
import pathlib
import shutil
import time
from collections.abc import Sequence

import keras
import tensorflow as tf
from absl import logging

from pdtla import error_text
from pdtla import stage as stage_lib
from pdtla.training import saved_variables

_NAME = "ckpt"
# What TensorFlow raises on a checkpoint that is cut off, altered or incomplete.
_DAMAGE = (tf.errors.OpError, ValueError, AssertionError, IndexError)


class Checkpointer:
    """Saves and restores weights, statistics, seeds, optimizer, step and clock.

    Variables are saved by their position in `stage.variables`, which holds what
    object-based checkpoints lose: seed generators and layers kept in lists. Writing is
    atomic: a checkpoint is listed only when all of it is on disk. The variables' names
    are saved as well, so that one of another model is told from a damaged one.

    Args:
      directory: where the checkpoints go, `ckpt-<step>`.
      stage: the built stage.
      optimizers: the built optimizers; the iterations of the first are the step.
      max_to_keep: number of checkpoints kept, the newest ones.

    The wall seconds of training are counted over all the runs that it took.
    """

    def __init__(
        self,
        directory: str | pathlib.Path,
        stage: stage_lib.Stage,
        optimizers: Sequence[keras.optimizers.Optimizer],
        *,
        max_to_keep: int = 2,
    ):
        self._seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._start = time.monotonic()
        self._variables = {
            "stage": stage.variables,
            "optimizer": [each for one in optimizers for each in one.variables],
        }
        saved = {
            group: [variable.value for variable in variables]
            for group, variables in self._variables.items()
        }
        self._nameless = tf.train.Checkpoint(**saved, seconds=self._seconds)
        names = saved_variables.VariableNames(self._variables)
        self._checkpoint = tf.train.Checkpoint(
            **saved, seconds=self._seconds, names=names
        )
        self.directory = pathlib.Path(directory)
        self._max_to_keep = max_to_keep

    @functools.cached_property
    def _manager(self) -> tf.train.CheckpointManager:
        _mend_list(self.directory)
        return tf.train.CheckpointManager(
            self._checkpoint,
            str(self.directory),
            max_to_keep=self._max_to_keep,
            checkpoint_name=_NAME,
        )

    def elapsed(self) -> float:
        """Wall seconds of training up to now, over all runs that led here."""
        return float(self._seconds) + time.monotonic() - self._start

    def save(self, step: int) -> None:
        """Writes the checkpoint of this step, or nothing where that fails."""
        self._seconds.assign(self.elapsed())
        self._start = time.monotonic()
        try:
            self._manager.save(checkpoint_number=step)
        except BaseException:
            for pattern in (f"{_NAME}-{step}[._]*", "checkpoint.tmp*"):
                for path in self.directory.glob(pattern):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            raise

    def restore_latest(self) -> str | None:
        """Restores the newest checkpoint that is whole.

        Returns:
          Its path, or None where there is none yet.

        Raises:
          MismatchError: the newest that is whole is of another model.
          ValueError: there are checkpoints, but none can be restored.
        """
        paths = [
            str(self.directory / f"{_NAME}-{step}") for step in steps(self.directory)
        ]
        for path in paths:
            try:
                self._restore(path)
            except saved_variables.MismatchError:
                raise
            except _DAMAGE as error:
                reason = error_text.first_line(error)
                logging.error("CHECKPOINT %s IS DAMAGED, skipping it: %s", path, reason)
                continue
            return path
        if paths:
            raise ValueError(f"None of the checkpoints can be restored: {paths}.")
        return None

    def restore(self, step: int) -> None:
        """Restores the checkpoint of this step.

        Raises:
          MismatchError: it is of another model.
          ValueError: it is not to be found, or damaged.
        """
        path = self.directory / f"{_NAME}-{step}"
        try:
            self._restore(str(path))
        except saved_variables.MismatchError:
            raise
        except _DAMAGE as error:
            reason = error_text.first_line(error)
            raise ValueError(f"{path} cannot be restored: {reason}") from error

    def _restore(self, path: str) -> None:
        saved_variables.check_fit(path, self._variables)
        named = saved_variables.has_names(path)
        status = (self._checkpoint if named else self._nameless).restore(path)
        status.assert_existing_objects_matched().assert_consumed()
        self._start = time.monotonic()


def latest_step(directory: str | pathlib.Path) -> int | None:
    """Step of the newest checkpoint in a directory, or None."""
    return next(iter(steps(pathlib.Path(directory))), None)


def steps(directory: pathlib.Path) -> list[int]:
    """Steps of the checkpoints in a directory, the newest first.

    By their files, which come last of all that is written for them: the list that
    TensorFlow keeps beside them may be damaged too.
    """
    names = (path.stem for path in directory.glob(f"{_NAME}-*.index"))
    numbers = (name.removeprefix(f"{_NAME}-") for name in names)
    return sorted((int(number) for number in numbers if number.isdigit()), reverse=True)


def _mend_list(directory: pathlib.Path) -> None:
    """Writes TensorFlow's list of checkpoints anew where it is not that of the files.

    A run may be killed between the two; and what is not listed is never deleted.
    """
    paths = [str(directory / f"{_NAME}-{step}") for step in reversed(steps(directory))]
    try:
        state = tf.train.get_checkpoint_state(str(directory))
        listed = list(state.all_model_checkpoint_paths) if state else []
    except ValueError:  # it is no text
        listed = []
    if paths and paths != listed:
        logging.warning("The list of checkpoints in %s is written anew.", directory)
        tf.compat.v1.train.update_checkpoint_state(
            str(directory),
            paths[-1],
            all_model_checkpoint_paths=paths,
            # Those without a time, or from before the last one kept, stay for ever.
            all_model_checkpoint_timestamps=[
                os.path.getmtime(f"{path}.index") for path in paths
            ],
            last_preserved_timestamp=0.0,
        )
