"""The training loop, its configuration, its checkpoints and its actions."""
