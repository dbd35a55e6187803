"""Latent action models, action decoders and relabelling."""
