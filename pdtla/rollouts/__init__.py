"""Rollouts: policies and experts in the real simulators, counted fairly."""
