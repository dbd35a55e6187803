"""The version of pdtla, alone so that packaging can read it without TensorFlow."""

__version__ = "0.1.0"
