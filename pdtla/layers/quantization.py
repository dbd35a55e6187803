"""Functions that several quantizers share."""

from keras import ops


def nearest(vectors, codebook):
    """Index of the nearest code by squared distance.

    Args:
      vectors: float `[G, N, D]`.
      codebook: float `[G, K, D]`.

    Returns:
      int `[G, N]`.
    """
    products = ops.matmul(vectors, ops.transpose(codebook, (0, 2, 1)))
    norms = ops.sum(ops.square(codebook), axis=-1)
    return ops.argmin(norms[:, None] - 2.0 * products, axis=-1)


def perplexity(counts):
    """Exponentiated entropy of assignment counts `[G, K]`, `[G]`."""
    shares = counts / ops.maximum(ops.sum(counts, axis=-1, keepdims=True), 1.0)
    return ops.exp(-ops.sum(shares * ops.log(shares + 1e-10), axis=-1))


def straight_through(inputs, outputs):
    """The outputs, with the gradient of the inputs."""
    return inputs + ops.stop_gradient(outputs - inputs)


def beside_busiest(codebook, usage, dead, spread):
    """For each code a place close to a busy one, the busiest for the least used.

    Args:
      codebook: float `[G, K, D]`.
      usage: how much each code is used, `[G, K]`.
      dead: bool `[G, K]`, codes that nothing is placed beside.
      spread: offset of the place of each code, `[G, K, D]`.

    Returns:
      float `[G, K, D]`.
    """
    num_codes = codebook.shape[1]
    order = ops.argsort(-usage, axis=-1)
    from_last = num_codes - 1 - ops.argsort(order, axis=-1)
    alive = ops.sum(ops.cast(~dead, from_last.dtype), axis=-1, keepdims=True)
    parent = ops.take_along_axis(order, from_last % ops.maximum(alive, 1), axis=-1)
    return ops.take_along_axis(codebook, parent[..., None], axis=1) + spread
