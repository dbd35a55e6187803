"""Datasets that Minari recorded from real environments, imported."""

import gymnasium
import numpy as np
import pytest
import synthetic
from minari_recordings import record

from pdtla.datasets import minari_dataset, window_dataset


@pytest.fixture(scope="module", autouse=True)
def storage(tmp_path_factory):
    """Minari's local storage, elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        yield


class DictObservation(gymnasium.ObservationWrapper):
    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Dict(
            {
                "pole": gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64),
                "cart": gymnasium.spaces.Dict(
                    {"x": gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)}
                ),
            }
        )

    def observation(self, observation):
        values = np.asarray(observation, np.float64)
        return {"pole": values[2:], "cart": {"x": values[:1]}}


def test_discrete_actions_and_both_kinds_of_ends(tmp_path):
    env = gymnasium.make("CartPole-v1", max_episode_steps=15)
    recorded = record(env, "test/cartpole-v0", range(12))
    minari_dataset.minari_dataset(minari_id="test/cartpole-v0").write(str(tmp_path))
    reader = synthetic.reader(tmp_path, dataset_name="minari/test-cartpole-v0")
    assert reader.element_spec["action"].num_values == 2
    assert reader.element_spec["observation"].shape == (4,)
    assert not reader.last_step_valid
    episodes = list(recorded)
    assert reader.lengths.tolist() == [len(each) + 1 for each in episodes]
    states = np.concatenate([each.observations for each in episodes])
    np.testing.assert_array_equal(reader.array("observation"), np.float32(states))
    terminal = [bool(each.terminations[-1]) for each in episodes]
    assert len(set(terminal)) == 2
    ends = reader.starts + reader.lengths - 1
    np.testing.assert_array_equal(reader.array("is_terminal")[ends], terminal)
    assert reader.array("is_terminal").sum() == sum(terminal)
    returns = [each.rewards.sum() for each in episodes]
    assert reader.metadata["return_mean"] == np.mean(returns)
    # The final observation is seen as a successor, and nobody clones what follows it.
    for window in ("transitions", "lapo"):
        dataset = window_dataset.WindowDataset(
            source=reader,
            window=window,
            context_len=0,
            fields=("observation", "action"),
            train_frac=1.0,
        )
        (batch,) = dataset.ordered_batches(10_000)
        actions = np.concatenate([each.actions for each in episodes])
        np.testing.assert_array_equal(batch["action"][:, 0], actions)
    after = np.concatenate([each.observations[1:] for each in episodes])
    np.testing.assert_array_equal(batch["observation"][:, 1], np.float32(after))


def test_continuous_actions_keep_their_bounds(tmp_path):
    recorded = record(
        gymnasium.make("Pendulum-v1", max_episode_steps=10), "pendulum-v0", range(3)
    )
    minari_dataset.minari_dataset(minari_id="pendulum-v0").write(str(tmp_path), 2)
    reader = synthetic.reader(tmp_path, dataset_name="minari/pendulum-v0")
    assert reader.lengths.tolist() == [11, 11]
    spec = reader.element_spec["action"]
    assert (spec.shape, spec.minimum, spec.maximum) == ((1,), -2.0, 2.0)
    actions = np.concatenate([[*each.actions, [0.0]] for each in list(recorded)[:2]])
    np.testing.assert_array_equal(reader.array("action"), np.float32(actions))
    assert not reader.array("is_terminal").any()


def test_dict_observations(tmp_path):
    env = DictObservation(gymnasium.make("CartPole-v1", max_episode_steps=15))
    recorded = record(env, "dicts-v0", range(2))
    keys = ["cart/x", "pole"]
    minari_dataset.minari_dataset(minari_id="dicts-v0", observation_keys=keys).write(
        str(tmp_path)
    )
    reader = synthetic.reader(tmp_path, dataset_name="minari/dicts-v0")
    states = np.concatenate(
        [
            np.concatenate(
                [each.observations["cart"]["x"], each.observations["pole"]], axis=1
            )
            for each in recorded
        ]
    )
    np.testing.assert_array_equal(reader.array("observation"), np.float32(states))
    for keys, message in (
        ([], "Observations must be arrays"),
        (["carts"], r"must name some of \['cart', 'pole'\], got 'carts'"),
        (["cart"], "Observations must be arrays"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            minari_dataset.minari_dataset(minari_id="dicts-v0", observation_keys=keys)
        assert "\n" not in str(error.value)


def test_a_missing_dataset_says_what_there_is():
    record(gymnasium.make("CartPole-v1", max_episode_steps=3), "there-v0", [0])
    with pytest.raises(FileNotFoundError, match="'none-v0'.*it has .*'there-v0'"):
        minari_dataset.minari_dataset(minari_id="none-v0")
