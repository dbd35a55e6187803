"""Memory of a process that trains on one dataset, and of nothing else.

`python -m benchmarks.memory_trial SETTINGS` prints its JSON to `benchmarks.memory`.
"""

import pdtla  # isort: skip  # fixes the Keras backend before anything imports keras

import json
import statistics
import sys
import threading

import keras
import tensorflow as tf

from benchmarks.random_frames import open_dataset
from pdtla import specs
from pdtla.datasets.window_dataset import WindowDataset
from pdtla.latent_actions.latent_action_model import LatentActionModel
from pdtla.layers.frame_stack import FrameStack
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.unet import UNet
from pdtla.layers.vector_quantizer import VectorQuantizer
from pdtla.training.trainer import Trainer

assert pdtla

_SECONDS = 0.02


class MemorySampler:
    """Notes the resident memory of this process, MiB, from a thread of its own."""

    def __init__(self):
        self._samples: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "MemorySampler":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def peak(self) -> float:
        """The largest sample, MiB."""
        return max(self._samples)

    @property
    def median(self) -> float:
        """The median sample, MiB."""
        return statistics.median(self._samples)

    def _run(self) -> None:
        while True:
            self._samples.append(resident_mib())
            if self._ended.wait(_SECONDS):
                return


def resident_mib() -> float:
    """Resident memory of this process, with the pages of mapped files, MiB."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def measure(
    *, data_dir: str, budget_mib: float, batch_size: int, updates: int, batches: int
) -> dict:
    """Opens a dataset for the first time, trains, and goes on reading batches.

    Args:
      data_dir: where `random_frames.write_dataset` wrote it.
      budget_mib: the memory that windows may take.
      batch_size: windows in a batch.
      updates: of a small latent action model.
      batches: read after that.

    Returns:
      MiB of resident memory: `start`, `open` (the peak while the fields are decoded),
      `median` and `peak` of the rest; and whether frames were `streamed`.
    """
    found = {"start": resident_mib()}
    with MemorySampler() as opening:
        source = open_dataset(data_dir)
        dataset = WindowDataset(
            source=source,
            window="lapo",
            fields=(specs.OBSERVATION,),
            memory_budget_gib=budget_mib / 1024,
        )
    with MemorySampler() as training:
        trainer = _trainer(dataset) if updates else None
        data = dataset.train_batches(batch_size, seed=0)
        iterator = trainer.distribute(data) if trainer else iter(data)
        if trainer:
            trainer.train(iterator, updates)
        for _ in range(batches):
            next(iterator)
    return found | {
        "open": opening.peak,
        "median": training.median,
        "peak": training.peak,
        "streamed": bool(dataset.streamed_fields),
    }


def _trainer(dataset: WindowDataset) -> Trainer:
    stage = LatentActionModel(
        ImpalaCNN(scale=1), UNet(base=8), VectorQuantizer(), FrameStack()
    )
    stage.build(dataset.element_spec)
    strategy = tf.distribute.get_strategy()
    return Trainer(stage, keras.optimizers.AdamW(3e-4), strategy=strategy)


if __name__ == "__main__":
    print("#" + json.dumps(measure(**json.loads(sys.argv[1]))))
