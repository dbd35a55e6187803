"""The TFDS builder `metaworld_dataset`; `tfds build` works in this directory."""
