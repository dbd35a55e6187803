"""`Trainer`, the only training loop."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from pdtla import error_text
from pdtla import stage as stage_lib
from pdtla.training import parameter_group
from pdtla.training.config_error import RunError
from pdtla.training.own_optimizer import OwnOptimizer

LOSS = "loss"
GRAD_NORM = "grad_norm"
_NUM_GUARDED = 2  # these two come first among the scalars of an update


class NonFiniteError(RunError):
    """A loss or the gradient norm became infinite or NaN.

    Attributes:
      step: number of the update that would have used it, counted from 1.
      scalars: losses, metrics and gradient norm of that update.
    """

    def __init__(self, step: int, scalars: dict[str, float]):
        values = ", ".join(f"{name}={value:g}" for name, value in scalars.items())
        super().__init__(
            f"Update {step} is not finite: {values}. The last checkpoint, from before "
            "it, is kept."
        )
        self.step = step
        self.scalars = scalars


class Trainer:
    """Minimises the losses of a stage.

    N replicas on a global batch give the update that one device gives: each replica
    differentiates its mean loss over N, gradients are summed over replicas, and only
    then clipped by their global norm. (The optimizer's own clipping would act before
    the sum.) Several updates run inside one call of a compiled function.

    Args:
      stage: the built objective.
      optimizer: its slots are created here; must not clip gradients itself.
      strategy: the strategy in whose scope `stage` and `optimizer` were created.
      own_optimizers: modules whose variables have other optimizers, which act after
        this one; their gradients are clipped by a norm of their own.
      clip_norm: largest global norm of the gradient, or None for no clipping.
      jit_compile: compile one update with XLA; for one replica only.

    Attributes:
      stopped: whether the last call of `train` ended because a worker was asked to.

    Raises:
      ValueError: XLA was asked for on several replicas, an optimizer clips, or a module
        cannot have an optimizer of its own.
    """

    def __init__(
        self,
        stage: stage_lib.Stage,
        optimizer: keras.optimizers.Optimizer,
        *,
        strategy: tf.distribute.Strategy,
        own_optimizers: Sequence[OwnOptimizer] = (),
        clip_norm: float | None = None,
        jit_compile: bool = False,
    ):
        self.stage = stage
        self.optimizer = optimizer
        self.strategy = strategy
        self.clip_norm = clip_norm
        self.num_replicas = strategy.num_replicas_in_sync
        if jit_compile and self.num_replicas > 1:
            raise ValueError(
                f"jit_compile works on one replica, got {self.num_replicas}."
            )
        # A stage sees its batch as the dataset gives it, targets in full precision;
        # under a mixed policy its modules cast what they are given.
        stage.autocast = False
        with strategy.scope():
            self._groups = parameter_group.make_groups(stage, optimizer, own_optimizers)
        # Inside a tf.function of its own, an update could not sum over replicas.
        self._update = (
            tf.function(self._replica_update, jit_compile=True)
            if jit_compile
            else self._replica_update
        )
        self._run_loop = tf.function(self._loop)
        self._names: tuple[str, ...] = ()
        with tf.device("CPU:0"):
            self._stop_asked = tf.Variable(0.0, trainable=False)
        self.stopped = False

    @property
    def optimizers(self) -> tuple[keras.optimizers.Optimizer, ...]:
        """The optimizer, and those of modules of their own."""
        return tuple(group.optimizer for group in self._groups)

    def stop(self) -> None:
        """Makes `train` return after the update that it is at, at every worker.

        May be called from any thread.
        """
        self._stop_asked.assign(1.0)

    @property
    def step(self) -> int:
        """Number of updates made so far."""
        iterations = self.optimizer.iterations.value
        return int(self.strategy.experimental_local_results(iterations)[0])

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update."""
        rate = self.optimizer._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return float(rate(self.step))
        return float(self.strategy.experimental_local_results(rate.value)[0])

    def distribute(self, batches: tf.data.Dataset) -> Iterator:
        """An iterator over batches, split evenly over the replicas of this process.

        Args:
          batches: infinite dataset, of several workers this one's part of the global
            batches; the size of every tensor's first axis must be a multiple of the
            number of replicas.
        """
        return iter(
            self.strategy.distribute_datasets_from_function(
                lambda context: split_batches(
                    batches, self.num_replicas // context.num_input_pipelines
                )
            )
        )

    def trace(self, iterator: Iterator) -> None:
        """Traces the update, so that what cannot be computed is told before any work.

        Raises:
          ValueError: a trainable variable of the stage receives no gradient, or two
            scalars have one name; or something that the stage cannot compute.
        """
        number = tf.constant(0)
        try:
            self._run_loop.get_concrete_function(iterator, number, number)
        except (ValueError, TypeError, tf.errors.OpError):
            raise
        except Exception as error:  # of Python, within the stage
            reason = error_text.first_line(error)
            raise ValueError(f"The update cannot be computed: {reason}.") from error

    def train(self, iterator: Iterator, num_steps: int) -> dict[str, float]:
        """Makes `num_steps` updates, fewer if it is asked to stop.

        Returns:
          Means over these updates of `loss` (the sum of the losses), `grad_norm`
          (before clipping), and the losses and metrics of the stage.

        Raises:
          NonFiniteError: a loss or the gradient norm is not finite. The weights are
            no longer usable then.
          ValueError: a trainable variable of the stage receives no gradient, or two
            scalars have one name.
        """
        if num_steps < 1:
            raise ValueError(f"num_steps must be at least 1, got {num_steps}.")
        start = self.step
        with tf.profiler.experimental.Trace("updates", step_num=start, _r=1):
            totals, last, done, asked = self._run_loop(
                iterator, tf.constant(num_steps), tf.constant(start)
            )
        self.stopped = bool(asked)
        last = last.numpy()
        if not np.all(np.isfinite(last[:_NUM_GUARDED])):
            scalars = dict(zip(self._names, last.tolist(), strict=True))
            raise NonFiniteError(start + int(done), scalars)
        means = totals.numpy() / int(done)
        return dict(zip(self._names, means.tolist(), strict=True))

    def _loop(self, iterator, num_steps, start):
        """Updates until `num_steps` are made, one is not finite, or a worker stops."""
        # Scalars that broadcast against the vector of an update: how long that is
        # only becomes known while the loop's body is traced.
        totals, last = tf.zeros([]), tf.zeros([])
        done, finite, asked = tf.constant(0), tf.constant(True), tf.constant(False)
        any_shape = tf.TensorShape(None)
        while done < num_steps and finite and not asked:
            tf.autograph.experimental.set_loop_options(
                shape_invariants=[(totals, any_shape), (last, any_shape)]
            )
            scalars, own = self.strategy.run(
                self._asking_update,
                args=(next(iterator), tf.identity(self._stop_asked)),
            )
            for index, group in enumerate(self._groups[1:]):
                if tf.equal((start + done) % group.every, 0):
                    self.strategy.run(_apply, args=(group, own[index]))
            # One sum for all: whoever asks, every worker knows after the same update.
            means = self.strategy.reduce("MEAN", scalars, axis=None)
            last, asked = means[:-1], means[-1] > 0
            finite = tf.reduce_all(tf.math.is_finite(last[:_NUM_GUARDED]))
            totals += last
            done += 1
        return totals, last, done, asked

    def _asking_update(self, batch, asks):
        """One update; its scalars are followed by whether the worker asks to stop."""
        scalars, others = self._update(batch)
        return tf.concat([scalars, [asks]], axis=0), others

    def _replica_update(self, batch):
        """One update in replica context, but for what other optimizers apply.

        Returns:
          Its scalars as a vector `[M]`, and the gradients of the other groups.
        """
        variables = self.stage.trainable_variables
        with tf.GradientTape() as tape:
            losses, metrics = self.stage(batch, training=True)
            loss = tf.add_n([tf.cast(value, tf.float32) for value in losses.values()])
            replica_loss = loss / self.num_replicas
        gradients = tape.gradient(replica_loss, variables)
        _check_gradients(gradients, variables)
        if self.num_replicas > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        by_variable = {id(v): g for v, g in zip(variables, gradients, strict=True)}
        grouped = [
            [by_variable[id(variable)] for variable in group.variables]
            for group in self._groups
        ]
        norms = [tf.linalg.global_norm(group) for group in grouped]
        first, *others = map(self._clip, grouped, norms)
        _apply(self._groups[0], first)
        grad_norm = tf.linalg.global_norm(norms)
        scalars = _merge({LOSS: loss, GRAD_NORM: grad_norm}, losses, metrics)
        self._names = tuple(scalars)
        values = [tf.cast(value, tf.float32) for value in scalars.values()]
        return tf.stack(values), others

    def _clip(self, gradients, norm):
        """Gradients of one group as its optimizer takes them."""
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self.clip_norm, use_norm=norm
            )
        if self.num_replicas > 1:  # the optimizer sums over replicas once more
            gradients = [gradient / self.num_replicas for gradient in gradients]
        return gradients


def split_batches(batches: tf.data.Dataset, num_parts: int) -> tf.data.Dataset:
    """Cuts every batch into `num_parts` equal batches, in order.

    Raises:
      ValueError: the size of some tensor's first axis is no multiple of `num_parts`.
    """
    if num_parts == 1:
        return batches
    for spec in tf.nest.flatten(batches.element_spec):
        size = spec.shape[0] if spec.shape.rank else None
        if size is not None and size % num_parts:
            raise ValueError(
                f"Batch sizes must be a multiple of the {num_parts} replicas, "
                f"got {size}."
            )

    def split(batch):
        parts = tf.nest.map_structure(
            lambda x: tf.reshape(
                x, tf.concat([[num_parts, -1], tf.shape(x)[1:]], axis=0)
            ),
            batch,
        )
        return tf.data.Dataset.from_tensor_slices(parts)

    parts = batches.flat_map(split)
    # Without it the strategy guards every read against the end of the data.
    return parts.apply(
        tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    ).prefetch(num_parts)


def scalars_of(
    losses: stage_lib.Scalars, metrics: stage_lib.Scalars
) -> dict[str, tf.Tensor]:
    """The scalars of one batch by name, `loss` the sum of the losses first.

    Raises:
      ValueError: two scalars have one name.
    """
    total = tf.add_n([tf.cast(value, tf.float32) for value in losses.values()])
    return _merge({LOSS: total}, losses, metrics)


def _apply(group: parameter_group.ParameterGroup, gradients) -> None:
    group.optimizer.apply(gradients, group.variables)


def _merge(*groups: stage_lib.Scalars) -> dict[str, tf.Tensor]:
    merged: dict[str, tf.Tensor] = {}
    for group in groups:
        for name, value in group.items():
            if name in merged:
                raise ValueError(f"Two scalars of the stage are named {name!r}.")
            merged[name] = value
    return merged


def _check_gradients(gradients, variables) -> None:
    unused = [
        variable.path
        for gradient, variable in zip(gradients, variables, strict=True)
        if gradient is None
    ]
    if unused:
        raise ValueError(
            "Every trainable variable must receive a gradient; freeze what is not "
            f"learnt (layer.trainable = False). None for {unused}."
        )
