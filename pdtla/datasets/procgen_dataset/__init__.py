"""The TFDS builder `procgen_dataset`; `tfds build` works in this directory."""
