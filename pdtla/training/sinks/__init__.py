"""Where the record of a run goes, each place behind one interface."""
