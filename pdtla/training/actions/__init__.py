"""What happens between updates: reports, evaluations and checkpoints.

The training loop asks every action after every loop of updates; each acts at its own
interval and at the last update.
"""
