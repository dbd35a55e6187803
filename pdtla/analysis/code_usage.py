"""Which codes of a quantizer are in use."""

import numpy as np

from pdtla.analysis import probes


def code_counts(codes: np.ndarray, num_codes: int) -> np.ndarray:
    """How often each code occurs in each of the M places, int64 `[M, K]`.

    Args:
      codes: int `[N, M]`.
      num_codes: K.
    """
    return np.stack([np.bincount(column, minlength=num_codes) for column in codes.T])


def codebook_report(counts: np.ndarray) -> dict[str, float]:
    """Perplexity and dead codes of counts `[M, K]`."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    perplexities = [np.exp(probes.entropy(place)) for place in shares]
    return {
        "perplexity": float(np.mean(perplexities)),
        "dead_codes": float(np.mean(counts == 0)),
    }
