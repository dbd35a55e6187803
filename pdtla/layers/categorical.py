"""Loss and accuracy of a categorical distribution over actions, given its logits."""

from keras import ops


def cross_entropy(logits, actions):
    """Mean negative log likelihood of integer `actions` `[B]` under `[B, A]` logits."""
    return ops.mean(
        ops.sparse_categorical_crossentropy(actions, logits, from_logits=True)
    )


def accuracy(logits, actions):
    """Share of integer `actions` `[B]` that `[B, A]` logits find the most likely."""
    best = ops.cast(ops.argmax(logits, axis=-1), actions.dtype)
    return ops.mean(ops.cast(best == actions, "float32"))
