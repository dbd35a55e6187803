"""`WindowStream`, windows read from the stored files without keeping them all."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from pdtla.datasets import rlds_reader, window_index

Windows = dict[str, tf.Tensor]  # fields [n, T, ...]


class WindowStream:
    """Reads windows for data that neither memory nor a decoded copy should hold.

    Training order: the files of a pass in a seeded order, their windows through a
    shuffle buffer. It is a function of (seed, pass), so a stream is resumed by reading
    the pass again and dropping what was seen.

    Args:
      source: the dataset.
      kind: the steps of a window.
      streamed: fields to read from the stored files.
      load: fetches all other fields, from bases `[n]` and bounds `[n, 2]`.
      bases: flat index of the step each window is about, sorted, int64 `[W]`.
      bounds: first and last step of its episode, int64 `[W, 2]`.
      buffer_windows: windows in the shuffle buffer.
    """

    def __init__(
        self,
        *,
        source: rlds_reader.RldsReader,
        kind: window_index.WindowKind,
        streamed: Sequence[str],
        load: Callable[[tf.Tensor, tf.Tensor], Windows],
        bases: np.ndarray,
        bounds: np.ndarray,
        buffer_windows: int,
    ):
        self._source = source
        self._kind = kind
        self._streamed = tuple(streamed)
        self._load = load
        self._size = len(bases)
        self._index = tf.constant(np.column_stack([bases, bounds]))
        self._buffer_windows = max(1, buffer_windows)
        low = np.searchsorted(bases, source.starts)
        high = np.searchsorted(bases, source.starts + source.lengths)
        # First window of each file.
        episodes = np.cumsum([0, *source.shard_lengths[:-1]])
        self._begins = np.append(low, len(bases))[episodes]
        # First window, last window and first step of each episode.
        self._episodes = tf.constant(np.stack([low, high, source.starts], 1))

    def ordered(self, batch_size: int, start: int = 0) -> tf.data.Dataset:
        """One pass in stored order; the last batch may be smaller."""
        shard = int(np.searchsorted(self._begins, start, side="right")) - 1
        windows = self._windows(tf.range(shard, len(self._begins)))
        return windows.skip(start - self._begins[shard]).batch(batch_size)

    def shuffled(
        self, batch_size: int, seed: int, start_step: int = 0
    ) -> tf.data.Dataset:
        """Full batches without end; each pass takes every window once."""

        def one_pass(epoch: tf.Tensor) -> tf.data.Dataset:
            # In this graph alone: a global seed of 0 and a symbolic one do not mix.
            tf.compat.v1.set_random_seed(None)
            shards = tf.random.experimental.stateless_shuffle(
                tf.range(len(self._source.shard_lengths)), tf.stack([seed, epoch])
            )
            return self._windows(shards).shuffle(
                self._buffer_windows,
                seed=seed + epoch,
                reshuffle_each_iteration=False,
            )

        epoch, seen = divmod(start_step * batch_size, self._size)
        passes = tf.data.Dataset.range(epoch, tf.int64.max).flat_map(one_pass)
        return passes.skip(seen).batch(batch_size, drop_remainder=True)

    def _windows(self, shards: tf.Tensor) -> tf.data.Dataset:
        """Single windows of some files, in this order of files."""
        episodes = self._source.read_episodes(shards, self._streamed)
        return episodes.map(
            self._cut, num_parallel_calls=2, deterministic=True
        ).unbatch()

    def _cut(self, number: tf.Tensor, episode: Windows) -> Windows:
        low, high, start = tf.unstack(tf.gather(self._episodes, number))
        index = self._index[low:high]
        bases, bounds = index[:, 0], index[:, 1:]
        rows = window_index.window_rows(self._kind, bases, bounds) - start
        windows = self._load(bases, bounds)
        windows.update({f: tf.gather(episode[f], rows) for f in self._streamed})
        return windows
