"""`WindowStream`, windows read from the stored files without keeping them all."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from pdtla.datasets import rlds_reader, window_index

Windows = dict[str, np.ndarray]  # fields [n, T, ...]


class WindowStream:
    """Reads windows for data that neither memory nor a decoded copy should hold.

    Training order: the files of a pass in a seeded order, their windows through a
    shuffle buffer. It is a pure function of (seed, pass), so a stream is resumed by
    reading the pass again and dropping what was seen.

    Args:
      source: the dataset.
      kind: the steps of a window.
      streamed: fields to read from the stored files.
      load: fetches all other fields, from bases and first steps `[n]`.
      bases: flat index of the step each window is about, sorted, int64 `[W]`.
      firsts: first step of its episode, int64 `[W]`.
      buffer_windows: windows in the shuffle buffer.
    """

    def __init__(
        self,
        *,
        source: rlds_reader.RldsReader,
        kind: window_index.WindowKind,
        streamed: Sequence[str],
        load: Callable[[np.ndarray, np.ndarray], Windows],
        bases: np.ndarray,
        firsts: np.ndarray,
        buffer_windows: int = 1,
    ):
        self._source = source
        self._kind = kind
        self._streamed = tuple(streamed)
        self._load = load
        self._bases = bases
        self._firsts = firsts
        self._buffer_windows = max(1, buffer_windows)

    def ordered(self, batch_size: int, start: int = 0) -> Iterator[Windows]:
        """One pass in stored order; the last batch may be smaller."""
        shards = range(len(self._source.shard_lengths))
        yield from _rebatch(_drop(self._read(shards), start), batch_size)

    def shuffled(
        self, batch_size: int, seed: int, start_step: int = 0
    ) -> Iterator[Windows]:
        """Full batches without end; each pass takes every window once."""
        epoch, seen = divmod(start_step * batch_size, len(self._bases))
        first_pass = _drop(self._shuffled_pass(seed, epoch), seen)
        passes = (
            self._shuffled_pass(seed, later) for later in itertools.count(epoch + 1)
        )
        windows = itertools.chain(first_pass, itertools.chain.from_iterable(passes))
        yield from _rebatch(windows, batch_size)

    def _shuffled_pass(self, seed: int, epoch: int) -> Iterator[Windows]:
        """Swaps incoming windows with random ones of the buffer."""
        rng = np.random.default_rng((seed, epoch))
        shards = rng.permutation(len(self._source.shard_lengths))
        buffer: Windows = {}
        filled = 0
        for windows in _rebatch(self._read(shards), self._buffer_windows // 4 + 1):
            if not buffer:
                buffer = {
                    field: np.empty(
                        (self._buffer_windows, *array.shape[1:]), array.dtype
                    )
                    for field, array in windows.items()
                }
            count = min(self._buffer_windows - filled, _size(windows))
            for field, array in windows.items():
                buffer[field][filled : filled + count] = array[:count]
            filled += count
            rest = _size(windows) - count
            if rest:
                slots = rng.choice(self._buffer_windows, rest, replace=False)
                yield {field: array[slots] for field, array in buffer.items()}
                for field, array in windows.items():
                    buffer[field][slots] = array[count:]
        for slots in np.array_split(rng.permutation(filled), max(1, filled // 1024)):
            yield {field: array[slots] for field, array in buffer.items()}

    def _read(self, shards: Iterable[int]) -> Iterator[Windows]:
        """The windows of each episode of some files."""
        lengths = np.array(self._source.shard_lengths)
        begins = np.cumsum(lengths) - lengths
        for shard in shards:
            episodes = begins[shard] + np.arange(lengths[shard])
            starts = self._source.starts[episodes]
            stops = starts + self._source.lengths[episodes]
            low = np.searchsorted(self._bases, starts)
            high = np.searchsorted(self._bases, stops)
            if np.array_equal(low, high):  # no window of this file is wanted
                continue
            arrays = self._source.read_shard(int(shard), self._streamed)
            for start, a, b, episode in zip(starts, low, high, arrays, strict=True):
                if a < b:
                    yield self._cut(start, slice(a, b), episode)

    def _cut(self, start: int, which: slice, episode: Windows) -> Windows:
        bases, firsts = self._bases[which], self._firsts[which]
        rows = window_index.window_rows(self._kind, bases, firsts) - start
        windows = self._load(bases, firsts)
        windows.update({field: episode[field][rows] for field in self._streamed})
        return windows


def _size(windows: Windows) -> int:
    return len(next(iter(windows.values())))


def _drop(stream: Iterable[Windows], count: int) -> Iterator[Windows]:
    for windows in stream:
        kept = {field: array[count:] for field, array in windows.items()}
        count = max(0, count - _size(windows))
        if _size(kept):
            yield kept


def _rebatch(stream: Iterable[Windows], batch_size: int) -> Iterator[Windows]:
    """Cuts a stream into batches; only the last may be smaller."""
    pending: list[Windows] = []
    count = 0
    for windows in stream:
        pending.append(windows)
        count += _size(windows)
        if count < batch_size:
            continue
        joined = _join(pending)
        whole = count - count % batch_size
        for start in range(0, whole, batch_size):
            yield {f: a[start : start + batch_size] for f, a in joined.items()}
        count -= whole
        pending = [{f: a[whole:] for f, a in joined.items()}] if count else []
    if count:
        yield _join(pending)


def _join(pending: list[Windows]) -> Windows:
    return {field: np.concatenate([w[field] for w in pending]) for field in pending[0]}
