"""Pipelines read mapped files where they lie."""

import pathlib

import numpy as np
import tensorflow as tf

from pdtla.datasets import pipeline, step_array

MIB = 1 << 20


def own_memory():
    """Bytes of this process that are of no file."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("RssAnon"))
    return int(kib) << 10


def test_mapped_frames_are_not_copied(tmp_path):
    path = tmp_path / "frames.raw"
    path.write_bytes(bytes(256 * MIB))
    frames = np.asarray(np.memmap(path, np.uint8, "c", shape=(256, MIB)))
    steps = step_array.StepArray((frames,))

    def passes():
        """Two at a time, as training and evaluation are."""
        dataset = tf.data.Dataset.range(16).batch(2)
        dataset = pipeline.finish(dataset.map(steps.gather, num_parallel_calls=2))
        return sum(int(len(a) + len(b)) for a, b in zip(dataset, dataset, strict=True))

    before = own_memory()
    assert passes() == 32
    assert own_memory() - before < 128 * MIB
