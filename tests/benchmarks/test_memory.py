"""What benchmarks.memory shows, at a size for tests."""

from benchmarks import memory
from benchmarks.random_frames import write_dataset

BUDGET_MIB = 8


def test_ten_times_the_data_takes_the_same_memory(tmp_path):
    found = {}
    for episodes, budget in ((12, BUDGET_MIB), (120, BUDGET_MIB), (120, 1024)):
        data_dir = tmp_path / str(episodes)
        if not data_dir.exists():
            write_dataset(data_dir, episodes, episodes_per_file=4)
        found[episodes, budget] = memory.trial(
            data_dir=str(data_dir),
            budget_mib=budget,
            batch_size=64,
            updates=0,
            batches=190,  # all windows of the larger one
        )
    small, large, mapped = found.values()
    assert small["streamed"] and large["streamed"] and not mapped["streamed"]
    more = 108 * memory.EPISODE_MIB
    for phase in ("open", "peak"):
        grown = large[phase] - large["start"] - (small[phase] - small["start"])
        assert grown < 0.25 * more, (phase, found)
    # So that the measure is known to see what it is to see.
    assert mapped["peak"] - mapped["start"] > 0.75 * more, found
