"""Datasets in RLDS form: builders, importers, readers, windows, latents beside them."""
