"""Policies learnt by imitation, in action space or in latent action space."""
