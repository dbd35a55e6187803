"""Cost of a unit of work as the work grows: near linear, or told why not.

python -m benchmarks.scaling [--only=codes,context]

For each way to grow, CPU seconds of all threads (the best of a few rounds) and what a
unit costs relative to the smallest size. `exponent` is that of the power law between
the smallest and the largest size: 1 is linear.
"""

import pdtla  # isort: skip  # fixes the Keras backend before anything imports keras

import dataclasses
import math
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow as tf
from absl import app, flags, logging

from benchmarks import cases
from benchmarks.measurement import Task, timed
from benchmarks.random_frames import EPISODE_STEPS, open_dataset, write_dataset
from benchmarks.sequences import decision_transformer
from pdtla import specs
from pdtla.datasets.window_dataset import WindowDataset
from pdtla.environments.procgen import Procgen
from pdtla.layers.vector_quantizer import VectorQuantizer
from pdtla.rollouts.rollout import rollout

assert pdtla

_ONLY = flags.DEFINE_list("only", [], "Ways to grow; all if empty.")
_ROUNDS = 3
_CHUNKS = 1024
_SEQUENCES = 8
_ROLLOUT_STEPS = 50
_WINDOW_MIB = 16.0  # budget of streamed windows


class Growth(NamedTuple):
    """A way for work to grow.

    Attributes:
      sizes: from the smallest to the largest.
      task: makes the work of a size; its `amount` is told by unit.
      why: what bends the line, where it is not straight.
    """

    sizes: tuple[int, ...]
    task: Callable[[int], Task]
    why: str


def frames(count: int) -> Task:
    """A pass over stored frames: decoded, then read back as windows, streamed."""

    def run():
        with tempfile.TemporaryDirectory() as directory:
            data_dir = pathlib.Path(directory)
            write_dataset(data_dir, count // EPISODE_STEPS, episodes_per_file=10)
            windows = WindowDataset(
                source=open_dataset(data_dir),
                window="lapo",
                train_frac=1.0,
                memory_budget_gib=_WINDOW_MIB / 1024,
            )
            for _ in windows.ordered_batches(cases.BATCH):
                pass

    return Task(run, count, "frames")


def batch(size: int) -> Task:
    """An update of the quickstart's latent action model."""
    frame = specs.ArraySpec((64, 64, 3), "uint8")
    stage = cases.lam(**cases.QUICKSTART)
    return cases.training_step(stage, {specs.OBSERVATION: frame.with_time(3)}, size)


def codes(size: int) -> Task:
    """An update of a quantizer alone, codes of width 16."""
    quantizer = VectorQuantizer(num_codes=size, num_codebooks=1, num_latents=1)
    inputs = tf.random.stateless_normal((_CHUNKS, 16), (0, 0))
    quantizer.build(inputs.shape)
    update = tf.function(lambda: quantizer(inputs, training=True)["loss"])
    return Task(lambda: [update().numpy() for _ in range(20)], 20 * size, "codes")


def context(steps: int) -> Task:
    """An update of a Decision Transformer of width 128, two tokens a step."""
    stage, spec = decision_transformer(128, steps)
    task = cases.training_step(stage, spec, _SEQUENCES)
    return dataclasses.replace(task, amount=_SEQUENCES * steps, unit="steps")


def environments(count: int) -> Task:
    """Procgen under the quickstart's cloned policy."""
    env, policy = Procgen(env_id="bigfish", num_envs=count), cases.cloned_policy(1)
    return Task(
        lambda: rollout(env, policy, max_steps=_ROLLOUT_STEPS),
        count * _ROLLOUT_STEPS,
        "steps",
    )


GROWTHS = {
    "frames": Growth((2_000, 8_000, 32_000), frames, "opening, once a pass"),
    "batch": Growth((16, 64, 256), batch, "what an update does once, whatever B"),
    "codes": Growth((256, 1024, 4096), codes, "what an update does once, whatever K"),
    "context": Growth((20, 80, 320), context, "attention: steps times steps"),
    "environments": Growth((8, 32, 128), environments, "a call of the policy a step"),
}


def main(argv: list[str]) -> None:
    """Measures and prints."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    unknown = sorted(set(_ONLY.value) - set(GROWTHS))
    if unknown:
        raise app.UsageError(f"--only takes {sorted(GROWTHS)}, got {unknown}.")
    logging.set_verbosity(logging.WARNING)
    print(
        f"{'grows':14}{'size':>8}{'cpu_s':>9}{'us_a_unit':>11}{'unit':>8}{'of 1st':>8}"
    )
    for name in _ONLY.value or GROWTHS:
        for line in lines(name, GROWTHS[name]):
            print(line, flush=True)


def lines(name: str, growth: Growth) -> Iterator[str]:
    """Measures a way to grow; a line for each size, and one about all of them."""
    seconds, units = [], []
    for size in growth.sizes:
        task = growth.task(size)
        task.run()  # compiles
        seconds.append(min(timed(task.run).cpu for _ in range(_ROUNDS)))
        units.append(seconds[-1] / task.amount)
        yield (
            f"{name:14}{size:8}{seconds[-1]:9.3f}{1e6 * units[-1]:11.1f}"
            f"{task.unit:>8}{units[-1] / units[0]:8.2f}"
        )
    growth_of_size = growth.sizes[-1] / growth.sizes[0]
    exponent = math.log(seconds[-1] / seconds[0]) / math.log(growth_of_size)
    yield f"{name:14}exponent {exponent:.2f} ({growth.why})"


if __name__ == "__main__":
    app.run(main)
