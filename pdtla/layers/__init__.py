"""Neural modules, written with keras and keras.ops only."""
