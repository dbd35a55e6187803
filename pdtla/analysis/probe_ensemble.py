"""Many probes of one shape, fitted side by side."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

Predict = Callable[[np.ndarray], np.ndarray]


def fit(
    inputs: np.ndarray,
    targets: np.ndarray,
    members: Sequence[np.ndarray],
    *,
    num_actions: int | None,
    hidden: tuple[int, ...] = (),
    steps: int = 400,
    batch_size: int = 512,
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    seed: int = 0,
) -> Predict:
    """Fits P probes by AdamW with a cosine schedule, in one loop.

    Args:
      inputs: float `[N, D]`, the same for all probes.
      targets: int `[P, N]`, or float `[P, N, A]`; or with P = 1, the same for all.
      members: for each probe the rows it may see.
      num_actions: number of categories; None for continuous targets.
      hidden: widths of hidden layers; without any, the probe is linear.
      steps: updates.
      batch_size: rows in an update; no more than the largest member has.
      learning_rate: by default 3e-3 with hidden layers, 3e-2 without.
      weight_decay: decoupled weight decay.
      seed: seed of the first weights and of the batches.

    Returns:
      From inputs `[L, D]` to logits or predictions `[P, L, O]`.
    """
    count = len(members)
    outputs = num_actions or targets.shape[-1]
    widths = (inputs.shape[-1], *hidden, outputs)
    weights = _weights(count, widths, seed)
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(
            learning_rate or (3e-3 if hidden else 3e-2), steps
        ),
        weight_decay=weight_decay,
    )
    optimizer.build(weights)
    rng = np.random.default_rng(seed)
    rows = _batches(rng, members, steps, batch_size)
    x = tf.constant(inputs, tf.float32)
    y = tf.constant(
        np.broadcast_to(targets, (count, *targets.shape[1:])),
        tf.int32 if num_actions else tf.float32,
    )

    @tf.function
    def run(rows: tf.Tensor) -> None:
        for chosen in rows:  # [P, B]
            truth = tf.gather(y, chosen, axis=1, batch_dims=1)
            with tf.GradientTape() as tape:
                found = _forward(weights, tf.gather(x, chosen))
                if num_actions:
                    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, found)
                else:
                    loss = tf.reduce_mean(tf.square(truth - found), axis=-1)
                # The sum over probes: none shares a weight with another.
                total = tf.reduce_sum(tf.reduce_mean(loss, axis=1))
            optimizer.apply(tape.gradient(total, weights), weights)

    rows = tf.constant(rows, tf.int32)
    run.get_concrete_function(rows)(rows)  # called once: TensorFlow would warn of that

    def predict(inputs: np.ndarray) -> np.ndarray:
        x = tf.constant(inputs, tf.float32)
        return _forward(weights, tf.repeat(x[None], count, axis=0)).numpy()

    return predict


def _batches(
    rng: np.random.Generator,
    members: Sequence[np.ndarray],
    steps: int,
    batch_size: int,
) -> np.ndarray:
    """Rows of each update, int `[steps, P, B]`; a member is repeated to fill B."""
    size = min(batch_size, max(map(len, members)))
    batches = np.empty((steps, len(members), size), np.int64)
    for index, rows in enumerate(members):
        for step in range(steps):
            if len(rows) >= size:
                batches[step, index] = rng.choice(rows, size, replace=False)
            else:
                batches[step, index] = np.resize(rng.permutation(rows), size)
    return batches


def _weights(count: int, widths: Sequence[int], seed: int) -> list[keras.Variable]:
    """Kernels `[P, D, O]` by Glorot's rule, and biases `[P, 1, O]`."""
    rng = np.random.default_rng(seed)
    weights = []
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        limit = np.sqrt(6.0 / (before + after))
        kernel = rng.uniform(-limit, limit, (count, before, after))
        weights.append(keras.Variable(kernel.astype("float32")))
        weights.append(keras.Variable(np.zeros((count, 1, after), "float32")))
    return weights


def _forward(weights: list[keras.Variable], x: tf.Tensor) -> tf.Tensor:
    """`[P, B, D]` to `[P, B, O]`, gelu between layers."""
    for index in range(0, len(weights), 2):
        kernel, bias = (tf.convert_to_tensor(w) for w in weights[index : index + 2])
        x = tf.matmul(x, kernel) + bias
        if index + 2 < len(weights):
            x = tf.nn.gelu(x)
    return x
