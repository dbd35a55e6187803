"""Statistics of returns, health of latents, plots, results files and the report."""
