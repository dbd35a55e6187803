"""Vector environments over real simulators, and the scores that normalise them."""
