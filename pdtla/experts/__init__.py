"""The policies that produce datasets, and the loop that records their episodes."""
