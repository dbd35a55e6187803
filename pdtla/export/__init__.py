"""Trained policies and labellers as SavedModels, which act without this package."""
