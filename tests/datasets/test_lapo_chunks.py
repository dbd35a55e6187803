"""Chunks of frames that encode their own index, episodes across chunk borders."""

import numpy as np
import pytest

from pdtla.datasets import lapo_chunks, rlds_reader
from pdtla.environments import procgen_actions

LENGTHS = [5, 3, 9, 1, 6]  # and 2 steps of an episode that never ends
STEPS = sum(LENGTHS) + 2
EPISODE = np.repeat(np.arange(len(LENGTHS) + 1), [*LENGTHS, 2])


def write_chunks(directory, size, done_marks_first=False):
    obs = np.zeros((STEPS, 64, 64, 3), np.uint8)
    obs[:] = np.arange(STEPS)[:, None, None, None]
    ends = np.cumsum(LENGTHS)
    done = np.isin(np.arange(STEPS), ends if done_marks_first else ends - 1)
    for split in ("train", "test"):
        (directory / split).mkdir(parents=True)
        # Numeric order is not that of names: 2, 10, 11, ...
        for number, start in enumerate(range(0, STEPS, size)):
            part = slice(start, start + size)
            np.savez(
                directory / split / f"{[2, 10, 11, 100, 101, 102][number]}.npz",
                obs=obs[part],
                ta=np.arange(STEPS)[part] % 15,
                done=done[part],
                rewards=EPISODE[part].astype(np.float32),
                ep_returns=np.zeros(STEPS, np.float32)[part],
                values=np.zeros(STEPS, np.float32)[part],
            )


@pytest.mark.parametrize("size,first", [(5, False), (7, True), (40, False)])
def test_episodes_are_cut_at_their_ends(tmp_path, size, first):
    write_chunks(tmp_path / "chunks", size, first)
    lapo_chunks.lapo_chunks(
        path=str(tmp_path / "chunks"), env_id="bigfish", done_marks_first=first
    ).write(str(tmp_path / "data"))
    for split in ("train", "test"):
        reader = rlds_reader.RldsReader(
            dataset_name="lapo_chunks",
            config="bigfish",
            data_dir=str(tmp_path / "data"),
            split=split,
        )
        assert reader.lengths.tolist() == LENGTHS
        assert reader.level_seeds is None
        steps = np.arange(sum(LENGTHS))
        np.testing.assert_array_equal(reader.array("observation")[:, 3, 3, 1], steps)
        action = procgen_actions.canonical("bigfish", steps % 15)
        np.testing.assert_array_equal(reader.array("action"), action)
        np.testing.assert_array_equal(reader.array("reward"), EPISODE[: len(steps)])
        ends = np.cumsum(LENGTHS) - 1
        np.testing.assert_array_equal(np.flatnonzero(reader.array("is_last")), ends)
    returns = [n * length for n, length in enumerate(LENGTHS)]
    assert reader.metadata["return_mean"] == np.mean(returns)


def test_errors_name_the_file(tmp_path):
    def run(env_id="bigfish"):
        chunks = lapo_chunks.lapo_chunks(path=str(tmp_path / "chunks"), env_id=env_id)
        chunks.write(str(tmp_path / "data"))

    with pytest.raises(FileNotFoundError, match="has no chunks"):
        run()
    write_chunks(tmp_path / "chunks", 40)
    with pytest.raises(ValueError, match="not a Procgen game"):
        run("tetris")
    path = tmp_path / "chunks" / "test" / "2.npz"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(OSError, match="2.npz is damaged"):
        run()
    assert not list((tmp_path / "data" / "lapo_chunks" / "bigfish").iterdir())
    path.write_bytes(data)
    run()
    with pytest.raises(FileExistsError, match="is there"):
        run()
