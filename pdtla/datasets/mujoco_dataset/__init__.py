"""The TFDS builder `mujoco_dataset`; `tfds build` works in this directory."""
