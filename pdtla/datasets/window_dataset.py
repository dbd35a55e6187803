"""`WindowDataset`, windows of a dataset's steps as training and held-out batches."""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from pdtla import specs
from pdtla.datasets import (
    joint_latents,
    joint_reader,
    pipeline,
    rlds_reader,
    step_array,
    subsets,
    window_fields,
    window_index,
    window_stream,
)

_HELDOUT_SEED = 0


class WindowDataset:
    """Batches `[B, T, ...]` of windows, in an order that (seed, step) determine.

    Training trajectories are the first `train_frac` in stored order, the others are
    held out. From the training trajectories `num_trajs` are drawn, and from the
    transitions of those `num_examples`; both draws depend on `subset_seed` alone, so
    that windows of either kind see the same labelled transitions. Of joint datasets
    trajectories are split and drawn in each.

    A field that is not asked for is not read, so what must not see actions cannot.

    Args:
      source: the dataset, or several joint ones.
      window: `transitions` (T = 1: o_t), `lapo` (T = k + 2: o_{t-k}, ..., o_{t+1}),
        `n_step` (T = k + 1 + K: o_{t-k}, ..., o_{t+K}) or `chunk` (T = K: o_t, ...,
        o_{t+K-1}, with the actions of all); those whose future runs over the end of the
        episode are left out. Or `sequence` (T = k: the steps around o_t within the
        episode), which adds `timestep`, `episode` and `valid`; shorter episodes are
        padded at the end, with copies that are not valid.
      context_len: k of `lapo`, `n_step` and `sequence`.
      k_step_preds: K of `n_step` and `chunk`.
      fields: names of the fields of a batch, of those of the dataset and
        `return_to_go`.
      num_trajs: number of training trajectories, -1 for all.
      num_examples: number of training transitions, -1 for all; with it, every window is
        about one of them, as if with `pad_end`; the actions of its other steps do not
        count as known.
      train_frac: fraction of the trajectories to train on.
      latents: name of latents beside the dataset, whose fields join the batch; windows
        about a step without a successor, hence without a latent, are left out, and
        within a sequence such a step is not valid.
      replace_action_with_latent: take `action` from the latents (decoded or labelled
        actions) instead of the dataset.
      pad_start: repeat an episode's first step for windows that begin before it,
        instead of leaving these out.
      pad_end: repeat an episode's last step for windows that end after it, as long as
        the step they are about has a successor.
      disjoint_levels: hold out no trajectory on a level that is trained on, where the
        dataset tells its levels; if not, the trajectories of each level are split.
      memory_budget_gib: size of the fields, in GiB, beyond which training reads the
        stored files in a shuffled order instead of drawing from all windows at once.
      subset_seed: seeds `num_trajs` and `num_examples`.
      statistics_source: dataset whose states' mean and deviation the spec carries, over
        its own first `train_frac`; by default `source`. They do not depend on the
        trajectories and transitions drawn.

    Attributes:
      element_spec: the spec of a batch without its batch axis.
      fingerprint: hex digest of everything that determines the batches.
      step_fields: the fields of a batch that each step of the dataset has.
      train_trajectories: numbers of the trajectories trained on.
      heldout_trajectories: numbers of those held out.
      train_bases: int64 `[N]`, flat index of the step each training window is about.

    Raises:
      ValueError: settings that do not fit the dataset, in one line.
    """

    def __init__(
        self,
        *,
        source: rlds_reader.RldsReader | joint_reader.JointReader,
        window: str,
        context_len: int = 1,
        k_step_preds: int = 1,
        fields: Sequence[str] = (specs.OBSERVATION,),
        num_trajs: int = -1,
        num_examples: int = -1,
        train_frac: float = 0.9,
        latents: str | None = None,
        replace_action_with_latent: bool = False,
        pad_start: bool = True,
        pad_end: bool = False,
        disjoint_levels: bool = True,
        memory_budget_gib: float = 8.0,
        subset_seed: int = 0,
        statistics_source: rlds_reader.RldsReader | None = None,
    ):
        self.source = source
        self.fields = tuple(fields)
        self._kind = window_index.window_kind(window, context_len, k_step_preds)
        if num_examples != -1 and (self._kind.moves or window == "chunk"):
            raise ValueError(
                "Sequences and chunks have labels by the trajectory (num_trajs), got "
                f"num_examples={num_examples}."
            )
        self._store = joint_latents.open_latents(source, latents) if latents else None
        self._replace_action = replace_action_with_latent
        self._memory_budget_gib = memory_budget_gib
        self._statistics_source = statistics_source or source
        self._steps: dict[str, step_array.StepArray] = {}
        step_spec = window_fields.step_spec(
            source,
            self.fields,
            train_frac=train_frac,
            statistics_source=self._statistics_source,
            store=self._store,
            replace_action=replace_action_with_latent,
        )
        self.step_fields = tuple(step_spec)
        self.element_spec = {
            field: spec.with_time(self._kind.length)
            for field, spec in step_spec.items()
        }
        if self._kind.moves:
            self.element_spec |= window_index.sequence_spec(self._kind.length)
        train, heldout = subsets.split_trajectories(
            source.lengths,
            train_frac,
            source.level_seeds,
            source.parts,
            disjoint_levels,
        )
        train = subsets.choose_trajectories(train, num_trajs, subset_seed, source.parts)
        self.train_trajectories, self.heldout_trajectories = train, heldout
        if num_examples != -1 and self._kind.after > 1:
            pad_end = True  # however far windows look ahead, each label has one
        padding = {"pad_start": pad_start, "pad_end": pad_end}
        make_bases = functools.partial(self._bases, **padding)
        self.train_bases, self._train_bounds = make_bases(
            train, num_examples=num_examples, subset_seed=subset_seed
        )
        if not pad_start and len(self.train_bases) < num_examples:
            missing = num_examples - len(self.train_bases)
            raise ValueError(
                f"{missing} of {num_examples} labelled transitions have no window with "
                "pad_start=False."
            )
        self._heldout_bases, self._heldout_bounds = make_bases(heldout)
        self.fingerprint = self._digest(
            window=window if k_step_preds == 1 else f"{window} {k_step_preds}",
            context_len=context_len,
            num_trajs=num_trajs,
            num_examples=num_examples,
            train_frac=train_frac,
            replace_action_with_latent=replace_action_with_latent,
            pad_start=pad_start,
            **({"pad_end": True} if pad_end else {}),
            disjoint_levels=disjoint_levels,
            subset_seed=subset_seed,
        )
        logging.info(
            "%s: %d windows of %d trajectories to train on, %d of %d held out.",
            source.directory,
            self.num_train_windows,
            len(train),
            self.num_heldout_windows,
            len(heldout),
        )

    @property
    def num_train_windows(self) -> int:
        """Windows of one pass over the training data."""
        return len(self.train_bases)

    @property
    def num_heldout_windows(self) -> int:
        """Windows of the held-out trajectories."""
        return len(self._heldout_bases)

    @property
    def _window_bytes(self) -> int:
        return sum(spec.num_bytes for spec in self.element_spec.values())

    @functools.cached_property
    def streamed_fields(self) -> tuple[str, ...]:
        """The image fields, if a step's size times all steps exceeds the budget."""
        if not self.source.streams:
            return ()
        size = self._window_bytes / self._kind.length
        if size * self.source.num_steps <= self._memory_budget_gib * 2**30:
            return ()
        return tuple(f for f, spec in self.element_spec.items() if spec.is_image)

    def train_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Batches without end; every pass takes each window once, in another order.

        The batch of a step is a pure function of `seed` and the step, and starting late
        costs nothing. Beyond the memory budget it reads and drops, at most one pass.

        Args:
          batch_size: B; it may exceed the number of windows.
          seed: seeds the order.
          start_step: how many batches to leave out.
          part: of every batch, see `pipeline.rows_of_part`. Beyond the memory budget
            the whole batch is read, and the part kept.

        Raises:
          ValueError: there is no training window, or the parts would not be equal.
        """
        if not self.num_train_windows:
            raise ValueError(f"{self.source.directory} has no window to train on.")
        if self.streamed_fields:
            stream = self._stream(self.train_bases, self._train_bounds)
            batches = stream.shuffled(batch_size, seed, start_step)
            return pipeline.finish(pipeline.part_of_batches(batches, batch_size, part))
        load = self._loader(self.train_bases, self._train_bounds)
        order = functools.partial(
            pipeline.shuffled_indices,
            batch_size=batch_size,
            size=self.num_train_windows,
            seed=seed,
            part=part,
        )
        indices = tf.data.Dataset.range(start_step, tf.int64.max).map(order)
        return pipeline.finish(
            indices.map(load, num_parallel_calls=2, deterministic=True)
        )

    def heldout_batches(self, batch_size: int) -> tf.data.Dataset:
        """One pass over the held-out windows in a fixed shuffled order.

        Every batch has exactly `batch_size` windows: what remains after the last full
        batch is left out, and if there is less than one batch, windows are repeated to
        fill it. The shuffling makes the first few batches a fair sample; beyond the
        memory budget the order is the stored one.

        Raises:
          ValueError: no window is held out.
        """
        size = self.num_heldout_windows
        if not size:
            raise ValueError(
                f"No window of {self.source.directory} is held out: train_frac leaves "
                "no trajectory, or none on a level that is not trained on "
                "(disjoint_levels=False admits those)."
            )
        steps = max(1, size // batch_size)
        if self.streamed_fields:
            stream = self._stream(self._heldout_bases, self._heldout_bounds)
            if size < batch_size:  # all of it, repeated
                return pipeline.finish(
                    stream.ordered(size).repeat().unbatch().batch(batch_size).take(1)
                )
            return pipeline.finish(stream.ordered(batch_size).take(steps))
        load = self._loader(self._heldout_bases, self._heldout_bounds)
        order = functools.partial(
            pipeline.shuffled_indices,
            batch_size=batch_size,
            size=size,
            seed=_HELDOUT_SEED,
        )
        indices = tf.data.Dataset.range(steps).map(order)
        return pipeline.finish(indices.map(load))

    def ordered_batches(self, batch_size: int, start: int = 0) -> tf.data.Dataset:
        """The training windows once, in stored order; the last batch may be smaller.

        Args:
          batch_size: B.
          start: how many windows to leave out.
        """
        if self.streamed_fields:
            stream = self._stream(self.train_bases, self._train_bounds)
            return pipeline.finish(stream.ordered(batch_size, start))
        load = self._loader(self.train_bases, self._train_bounds)
        indices = tf.data.Dataset.range(start, self.num_train_windows).batch(batch_size)
        return pipeline.finish(
            indices.map(load, num_parallel_calls=2, deterministic=True)
        )

    def about(self, bases: np.ndarray) -> dict[str, tf.Tensor]:
        """The windows about some steps, of whichever trajectories.

        Args:
          bases: flat index of each step, int64 `[B]`.
        """
        episodes = np.searchsorted(self.source.starts, bases, side="right") - 1
        first = self.source.starts[episodes]
        last = first + self.source.lengths[episodes] - 1
        rows = window_index.window_rows(
            self._kind, tf.constant(bases), tf.constant(np.stack([first, last], axis=1))
        )
        return {f: self.steps(f).gather(rows) for f in self.step_fields}

    @property
    def last_step_valid(self) -> bool:
        """Whether the last step of an episode has an action, and a latent if asked."""
        return self.source.last_step_valid and self._store is None

    def steps(self, field: str) -> step_array.StepArray:
        """All steps of one of `step_fields`, `[N, ...]`; images stay on disk."""
        if field not in self._steps:
            array = self._latents.get(field)
            if array is None:
                parts = window_fields.arrays(self.source, field)
            elif self._kind.moves and array.dtype.kind == "i":
                # A step without a latent is an input none the less.
                parts = (np.maximum(array, 0),)
            else:
                parts = (array,)
            self._steps[field] = step_array.StepArray(parts)
        return self._steps[field]

    @functools.cached_property
    def _latents(self) -> dict[str, np.ndarray]:
        """The fields that are taken from the latents."""
        latents = self._store.read() if self._store else {}
        if not self._replace_action:
            latents.pop(specs.ACTION, None)
        return latents

    def _fetcher(self) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
        """Maps bases `[B]` and bounds `[B, 2]` of windows to their fields."""
        # Made here, outside of the pipeline's graph.
        fields = {
            field: self.steps(field)
            for field in self.step_fields
            if field not in self.streamed_fields
        }
        starts = pipeline.as_tensor(self.source.starts)

        def fetch(bases: tf.Tensor, bounds: tf.Tensor) -> dict[str, tf.Tensor]:
            rows = window_index.window_rows(self._kind, bases, bounds)
            windows = {f: steps.gather(rows) for f, steps in fields.items()}
            if self._kind.moves:
                windows |= window_index.sequence_fields(
                    rows, bounds, starts, self.last_step_valid
                )
            return windows

        return fetch

    def _loader(
        self, bases: np.ndarray, bounds: np.ndarray
    ) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """Maps indices of windows `[B]` to their fields."""
        index = pipeline.as_tensor(np.column_stack([bases, bounds]))
        fetch = self._fetcher()

        def load(indices: tf.Tensor) -> dict[str, tf.Tensor]:
            chosen = tf.gather(index, indices)
            return fetch(chosen[:, 0], chosen[:, 1:])

        return load

    def _stream(
        self, bases: np.ndarray, bounds: np.ndarray
    ) -> window_stream.WindowStream:
        return window_stream.WindowStream(
            source=self.source,
            kind=self._kind,
            streamed=self.streamed_fields,
            load=self._fetcher(),
            bases=bases,
            bounds=bounds,
            # Half of the budget: episodes and batches on their way need room as well.
            buffer_windows=int(self._memory_budget_gib * 2**29 / self._window_bytes),
        )

    def _bases(
        self,
        trajectories: np.ndarray,
        pad_start: bool,
        pad_end: bool,
        num_examples: int = -1,
        subset_seed: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        trajectories = np.sort(trajectories)
        starts = self.source.starts[trajectories]
        lengths = self.source.lengths[trajectories]
        bases, bounds = window_index.window_bases(
            self._kind,
            starts,
            lengths,
            pad_start,
            self.last_step_valid and num_examples == -1,
            pad_end,
        )
        if num_examples != -1:
            transitions = window_index.steps_of(starts, np.maximum(lengths - 1, 0))
            chosen = subsets.choose_examples(transitions, num_examples, subset_seed)
            kept = np.isin(bases, chosen)
            bases, bounds = bases[kept], bounds[kept]
        return bases, bounds

    def _digest(self, **settings) -> str:
        settings["fields"] = list(self.element_spec)
        settings["source"] = self.source.fingerprint
        if self._statistics_source is not self.source:
            settings["statistics"] = self._statistics_source.fingerprint
        stored = [field for field in self.fields if field != specs.RETURN_TO_GO]
        keys = {field: self.source.key(field) for field in stored}
        if any(field != key for field, key in keys.items()):
            settings["made_from"] = keys
        settings["latents"] = self._store.fingerprint if self._store else None
        settings["streamed"] = self.streamed_fields
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
