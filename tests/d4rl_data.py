"""A D4RL dataset of a few random episodes, written by TFDS's own builder."""

import pathlib

import gymnasium
import h5py
import numpy as np
import tensorflow_datasets as tfds

NAME = "d4rl_mujoco_halfcheetah/v0-expert"
LENGTHS = [20, 20, 13, 20]  # the third one is marked as terminal


def play() -> dict[str, np.ndarray]:
    """Episodes of random actions, in the names of D4RL's files."""
    env = gymnasium.make("HalfCheetah-v5", max_episode_steps=20)
    env.action_space.seed(0)
    rows = {key: [] for key in ("observations", "actions", "rewards", "ends")}
    for number, length in enumerate(LENGTHS):
        observation, _ = env.reset(seed=number)
        for t in range(length):
            action = env.action_space.sample()
            following, reward, *_ = env.step(action)
            for key, value in zip(
                rows, (observation, action, reward, t == length - 1), strict=True
            ):
                rows[key].append(value)
            observation = following
    arrays = {key: np.array(value, np.float32) for key, value in rows.items()}
    ends = arrays.pop("ends").astype(bool)
    terminal = np.repeat(np.arange(len(LENGTHS)) == 2, LENGTHS)
    return arrays | {"terminals": ends & terminal, "timeouts": ends & ~terminal}


def write(data_dir: str | pathlib.Path) -> dict[str, np.ndarray]:
    """Writes the dataset, returns what D4RL's own file of it holds."""
    file = pathlib.Path(data_dir) / "played.hdf5"
    played = play()
    with h5py.File(file, "w") as stored:
        for key, array in played.items():
            stored[key] = array
    builder = tfds.builder(NAME, data_dir=str(data_dir))
    examples = builder._generate_examples
    builder._split_generators = lambda manager: {
        "train": examples({"file_path": str(file)})
    }
    builder.download_and_prepare(download_dir=pathlib.Path(data_dir) / "downloads")
    return played
