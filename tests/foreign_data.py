"""A dataset as others write it: plain TFDS, nested dicts, other names, no ids.

Every value encodes its episode and step.
"""

import pathlib

import numpy as np
import tensorflow_datasets as tfds

NAME = "foreign_robot"
LENGTHS = [9, 7, 12, 8, 10, 9]
HEIGHT, WIDTH = 96, 80


def image(episode: int, t: int) -> np.ndarray:
    """A square that moves over a background whose red tells the episode."""
    pixels = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    pixels[..., 0] = 20 * episode
    pixels[30:60, 4 * t : 4 * t + 20, 1] = 220
    return pixels


def step(episode: int, t: int, length: int) -> dict:
    return {
        "observation": {
            "rgb": image(episode, t),
            "state": np.array([episode, t], np.float64),
            "gripper": np.float32(t / 10),
            "closed": t % 2 == 0,
        },
        "command": {
            "translation": np.array([t / 20, -t / 20, 0.5], np.float32),
            "rotation": np.array([[0.1, episode / 10]], np.float32),
        },
        "instruction": "move the square",
        "is_first": t == 0,
        "is_last": t == length - 1,
    }


class ForeignRobot(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("0.3.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features
        steps = {
            "observation": {
                "rgb": features.Image(encoding_format="png"),
                "state": features.Tensor(shape=(2,), dtype=np.float64),
                "gripper": np.float32,
                "closed": np.bool_,
            },
            "command": {
                "translation": features.Tensor(shape=(3,), dtype=np.float32),
                "rotation": features.Tensor(shape=(1, 2), dtype=np.float32),
            },
            "instruction": features.Text(),
            "is_first": np.bool_,
            "is_last": np.bool_,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=features.FeaturesDict(
                {
                    "steps": features.Dataset(steps),
                    "episode_metadata": {"file_path": features.Text()},
                }
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for episode, length in enumerate(LENGTHS):
            steps = [step(episode, t, length) for t in range(length)]
            metadata = {"file_path": f"{episode}.h5"}
            yield episode, {"steps": steps, "episode_metadata": metadata}


def write(data_dir: str | pathlib.Path) -> list[tuple[int, int]]:
    """Writes the dataset, returns episode and number of its steps in order."""
    builder = ForeignRobot(data_dir=str(data_dir))
    builder.download_and_prepare(download_dir=pathlib.Path(data_dir) / "downloads")
    return [(n, t) for n, length in enumerate(LENGTHS) for t in range(length)]
