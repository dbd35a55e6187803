"""Prompt-Decision Transformer with Latent Actions.

Importing this package fixes the Keras backend, which must happen before the first
`import keras` of the process: TensorFlow's, or what `PDTLA_KERAS_BACKEND` names.
`pdtla.layers` alone runs under another one (jax).
"""

import os

os.environ["KERAS_BACKEND"] = os.environ.get("PDTLA_KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from pdtla.version import __version__  # noqa: E402

__all__ = ["__version__"]
