"""Speed and memory of the parts that decide how long an experiment takes."""
