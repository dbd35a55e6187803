"""What latents say about actions: probes, contingency, mutual information."""

import numpy as np

from pdtla.analysis import probe_ensemble

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
    mean, scale = standardisation(train_latents)
    predict = probe_ensemble.fit(
        (train_latents - mean) / scale,
        train_actions[None],
        [np.arange(len(train_actions))],
        num_actions=num_actions,
        hidden=hidden,
        steps=steps,
        batch_size=batch_size,
        weight_decay=weight_decay,
        seed=seed,
    )
    (logits,) = predict((test_latents - mean) / scale)
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
    mean, scale = standardisation(train_latents)
    inputs, test_inputs = (train_latents - mean) / scale, (test_latents - mean) / scale
    offset, spread = standardisation(train_actions)
    targets = (train_actions - offset) / spread
    if hidden:
        predict = probe_ensemble.fit(
            inputs,
            targets[None],
            [np.arange(len(targets))],
            num_actions=None,
            hidden=hidden,
            steps=steps,
            batch_size=batch_size,
            weight_decay=weight_decay,
            seed=seed,
        )
        (predicted,) = predict(test_inputs)
    else:
        predicted = ridge(inputs, targets, test_inputs, weight_decay)
    return r2(predicted * spread + offset, test_actions, offset)


def ridge(
    inputs: np.ndarray, targets: np.ndarray, test_inputs: np.ndarray, penalty: float
) -> np.ndarray:
    """Predictions `[L, A]` of ridge regression through the origin, in closed form."""
    inputs = np.asarray(inputs, np.float64)
    square = inputs.T @ inputs + penalty * len(inputs) * np.eye(inputs.shape[-1])
    return test_inputs @ np.linalg.solve(square, inputs.T @ targets)


def r2(predicted: np.ndarray, truth: np.ndarray, mean: np.ndarray) -> float:
    """Share of the squared distance of `truth` from `mean` that is explained."""
    errors = np.square(predicted - truth).sum()
    return float(1.0 - errors / max(np.square(truth - mean).sum(), 1e-12))


def _check(train_actions: np.ndarray, test_actions: np.ndarray) -> None:
    if not len(train_actions) or not len(test_actions):
        raise ValueError(
            "A probe needs latents to fit and to test on, got "
            f"{len(train_actions)} and {len(test_actions)}."
        )


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


def standardisation(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature; constant features keep scale 1."""
    deviation = latents.std(axis=0)
    return latents.mean(axis=0), np.where(deviation > 1e-6, deviation, 1.0)
