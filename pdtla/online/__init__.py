"""Learning by trial and error in the simulator."""
