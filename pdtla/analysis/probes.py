"""What latents say about actions: probes, contingency, mutual information."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

HIDDEN = (128, 128)


def probe_accuracy(
    train_latents: np.ndarray,
    train_actions: np.ndarray,
    test_latents: np.ndarray,
    test_actions: np.ndarray,
    *,
    num_actions: int,
    hidden: tuple[int, ...] = (),
    steps: int = 400,
    batch_size: int = 512,
    weight_decay: float = 1e-4,
    seed: int = 0,
) -> float:
    """Accuracy on other windows of a probe from latents to actions.

    Without hidden layers the probe is multinomial logistic regression on standardised
    latents; with them, an MLP.

    Args:
      train_latents: float `[N, D]` the probe is fitted on.
      train_actions: int `[N]`.
      test_latents: float `[L, D]` it is tested on.
      test_actions: int `[L]`.
      num_actions: number of actions A.
      hidden: widths of hidden layers.
      steps: updates with Adam.
      batch_size: latents in an update; all of them where there are fewer.
      weight_decay: decoupled weight decay.
      seed: seed of the initial weights and of the batches.

    Returns:
      The share of test actions that the probe predicts.

    Raises:
      ValueError: there is nothing to fit or to test on.
    """
    _check(train_actions, test_actions)
    mean, scale = _standardisation(train_latents)
    network = _network((*hidden, num_actions), train_latents.shape[-1], seed)

    def loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    _fit(
        network,
        loss,
        tf.constant((train_latents - mean) / scale, tf.float32),
        tf.constant(train_actions, tf.int32),
        steps=steps,
        batch_size=batch_size,
        learning_rate=3e-3 if hidden else 3e-2,
        weight_decay=weight_decay,
        seed=seed,
    )
    logits = network(tf.constant((test_latents - mean) / scale, tf.float32))
    return float(np.mean(np.argmax(logits, axis=-1) == test_actions))


def probe_r2(
    train_latents: np.ndarray,
    train_actions: np.ndarray,
    test_latents: np.ndarray,
    test_actions: np.ndarray,
    *,
    hidden: tuple[int, ...] = (),
    steps: int = 400,
    batch_size: int = 512,
    weight_decay: float = 1e-4,
    seed: int = 0,
) -> float:
    """Share of the variance of continuous actions that a probe explains.

    Without hidden layers the probe is ridge regression in closed form.

    Args:
      train_latents: float `[N, D]` the probe is fitted on.
      train_actions: float `[N, A]`.
      test_latents: float `[L, D]` it is tested on.
      test_actions: float `[L, A]`.
      hidden: widths of hidden layers.
      steps: updates with Adam.
      batch_size: latents in an update; all of them where there are fewer.
      weight_decay: decoupled weight decay, and the ridge's penalty for one latent.
      seed: seed of the initial weights and of the batches.

    Returns:
      1 for perfect predictions, 0 for those of the mean of the training actions.

    Raises:
      ValueError: there is nothing to fit or to test on.
    """
    _check(train_actions, test_actions)
    mean, scale = _standardisation(train_latents)
    inputs, test_inputs = (train_latents - mean) / scale, (test_latents - mean) / scale
    offset, spread = _standardisation(train_actions)
    targets = (train_actions - offset) / spread
    if hidden:
        network = _network((*hidden, targets.shape[-1]), inputs.shape[-1], seed)
        _fit(
            network,
            lambda truth, found: tf.reduce_mean(tf.square(truth - found), axis=-1),
            tf.constant(inputs, tf.float32),
            tf.constant(targets, tf.float32),
            steps=steps,
            batch_size=batch_size,
            learning_rate=3e-3,
            weight_decay=weight_decay,
            seed=seed,
        )
        predicted = network(tf.constant(test_inputs, tf.float32)).numpy()
    else:
        penalty = weight_decay * len(inputs) * np.eye(inputs.shape[-1])
        predicted = test_inputs @ np.linalg.solve(
            inputs.T @ inputs + penalty, inputs.T @ targets
        )
    errors = np.square(predicted * spread + offset - test_actions).sum()
    return float(1.0 - errors / np.square(test_actions - offset).sum())


def _check(train_actions: np.ndarray, test_actions: np.ndarray) -> None:
    if not len(train_actions) or not len(test_actions):
        raise ValueError(
            "A probe needs latents to fit and to test on, got "
            f"{len(train_actions)} and {len(test_actions)}."
        )


def _fit(
    network: keras.Sequential,
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    inputs: tf.Tensor,
    targets: tf.Tensor,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
) -> None:
    """Fits a network by AdamW with a cosine schedule; `loss` gives one number each."""
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(learning_rate, steps),
        weight_decay=weight_decay,
    )
    optimizer.build(network.trainable_variables)
    rng = np.random.default_rng(seed)
    size = min(batch_size, len(inputs))
    batches = [rng.choice(len(inputs), size, replace=False) for _ in range(steps)]

    @tf.function
    def fit(batches: tf.Tensor) -> None:
        for chosen in batches:
            with tf.GradientTape() as tape:
                outputs = network(tf.gather(inputs, chosen))
                total = tf.reduce_mean(loss(tf.gather(targets, chosen), outputs))
            gradients = tape.gradient(total, network.trainable_variables)
            optimizer.apply(gradients, network.trainable_variables)

    fit(tf.constant(np.stack(batches), tf.int32))


def probe_report(
    latents: np.ndarray,
    actions: np.ndarray,
    *,
    num_actions: int,
    few_labels: int = 128,
    seed: int = 0,
) -> dict[str, float]:
    """Probes fitted on the first half of the windows and tested on the second.

    Halves rather than a random split: neighbouring windows share frames.

    Args:
      latents: float `[N, D]`, in the order of the data.
      actions: int `[N]`.
      num_actions: number of actions A.
      few_labels: labels of the second kind of probe, drawn from the first half.
      seed: seed of the probes and of the draw.

    Returns:
      `majority` (accuracy of the most frequent action of the first half), `linear` and
      `mlp` with all labels of the first half, `linear_few` and `mlp_few`.
    """
    half = len(actions) // 2
    x, y, test_x, test_y = (
        latents[:half],
        actions[:half],
        latents[half:],
        actions[half:],
    )
    rng = np.random.default_rng(seed)
    few = rng.choice(half, min(few_labels, half), replace=False)
    report = {"majority": majority_accuracy(y, test_y)}
    for name, hidden in (("linear", ()), ("mlp", HIDDEN)):
        for suffix, chosen in (("", np.arange(half)), ("_few", few)):
            report[name + suffix] = probe_accuracy(
                x[chosen],
                y[chosen],
                test_x,
                test_y,
                num_actions=num_actions,
                hidden=hidden,
                seed=seed,
            )
    return report


def majority_accuracy(train_actions: np.ndarray, test_actions: np.ndarray) -> float:
    """Accuracy on `test_actions` of the most frequent of `train_actions`."""
    return float(np.mean(test_actions == np.bincount(train_actions).argmax()))


def contingency(
    codes: np.ndarray, actions: np.ndarray, num_codes: int, num_actions: int
) -> np.ndarray:
    """How often each code meets each action.

    Args:
      codes: int `[N]` in `[0, num_codes)`.
      actions: int `[N]` in `[0, num_actions)`.
      num_codes: K.
      num_actions: A.

    Returns:
      int64 `[K, A]`.
    """
    joint = np.asarray(codes, np.int64) * num_actions + np.asarray(actions, np.int64)
    counts = np.bincount(joint, minlength=num_codes * num_actions)
    return counts.reshape(num_codes, num_actions)


def normalized_mutual_information(table: np.ndarray) -> float:
    """Mutual information of rows and columns over the mean of their entropies.

    Args:
      table: counts `[K, A]`.

    Returns:
      0 for independent, 1 for a one-to-one relation, 0 where both are constant.
    """
    joint = np.asarray(table, np.float64) / np.sum(table)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    entropies = entropy(rows), entropy(columns)
    information = sum(entropies) - entropy(joint.ravel())
    if not sum(entropies):
        return 0.0
    return float(np.clip(2.0 * information / sum(entropies), 0.0, 1.0))


def entropy(probabilities: np.ndarray) -> float:
    """Entropy in nats of probabilities, any of which may be zero."""
    positive = probabilities[probabilities > 0]
    return float(-np.sum(positive * np.log(positive)))


def _standardisation(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature; constant features keep scale 1."""
    deviation = latents.std(axis=0)
    return latents.mean(axis=0), np.where(deviation > 1e-6, deviation, 1.0)


def _network(widths: tuple[int, ...], input_dim: int, seed: int) -> keras.Sequential:
    """Dense layers whose initial weights depend on the seed alone."""
    layers = [
        keras.layers.Dense(
            width,
            activation="gelu" if index < len(widths) - 1 else None,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed + index),
            dtype="float32",
        )
        for index, width in enumerate(widths)
    ]
    return keras.Sequential([keras.Input((input_dim,)), *layers])
