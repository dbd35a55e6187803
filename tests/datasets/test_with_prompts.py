"""Prompts of demonstrations, on frames that encode their own index."""

import numpy as np
import pytest
import synthetic
from test_window_dataset import indices, take, write_latents

from pdtla import specs
from pdtla.datasets import prompt_settings, window_dataset, with_prompts

#          episodes 0 to 14; the last three are held out with TRAIN_FRAC
LENGTHS = [5, 9, 8, 2, 13, 3, 6, 9, 4, 7, 6, 8, 5, 3, 4]
LEVELS = [7, 7, 7, 7, 7, 3, 3, 9, 9, 9, 9, 4, 8, 8, 8]
TRAIN_FRAC = 0.8
FIELDS = (specs.OBSERVATION, specs.ACTION, specs.RETURN_TO_GO)
ALONE = 11
H = 4


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    synthetic.write(directory, LENGTHS, num_shards=3, levels=LEVELS)
    return synthetic.reader(directory)


def make(source, window=None, num_demos=2, demo_len=H, **kwargs):
    settings = {
        name: kwargs.pop(name) for name in ("segment", "control") if name in kwargs
    }
    queries = window_dataset.WindowDataset(
        source=source,
        **{
            "window": "sequence",
            "context_len": 6,
            "fields": FIELDS,
            "train_frac": TRAIN_FRAC,
            **(window or {}),
        },
    )
    return with_prompts.WithPrompts(
        queries=queries,
        settings=prompt_settings.PromptSettings(
            num_demos=num_demos, demo_len=demo_len, **settings
        ),
        **{"vary_demos": False, "drop": 0.0, **kwargs},
    )


def draws(dataset, steps=40, batch_size=32, seed=0):
    """Episodes of queries `[N]`, and of their demonstrations `[N, J]`, -1 for none."""
    queries, shown = [], []
    for batch in take(dataset.train_batches(batch_size, seed), steps):
        prompt = batch[specs.PROMPT]
        episodes = np.where(prompt[specs.VALID], prompt[specs.EPISODE], -1)
        queries.append(batch[specs.EPISODE][:, 0])
        shown.append(episodes.reshape(batch_size, -1, H).max(axis=2))
    return np.concatenate(queries), np.concatenate(shown)


def level(episodes):
    return np.where(episodes < 0, -1, np.array(LEVELS)[episodes])


def test_demonstrations_are_other_episodes_of_the_level(source):
    dataset = make(source, num_demos=3)
    assert dataset.num_alone == 1
    queries, shown = draws(dataset)
    assert set(queries) == set(range(12))
    for query, episodes in zip(queries, shown, strict=True):
        assert query not in episodes
        there = episodes[episodes >= 0]
        assert len(set(there)) == len(there)
        if query == ALONE:
            assert len(set(level(there))) == 1 and len(there)
            continue
        others = LEVELS[:12].count(LEVELS[query]) - 1
        # The first ones are there, as many as there are.
        assert len(there) == min(3, others) and (episodes[: len(there)] >= 0).all()
        assert set(level(there)) == {LEVELS[query]}
    # The four others of episode 0 are equally likely, in every place.
    of_first = shown[queries == 0]
    for place in range(3):
        counts = np.bincount(of_first[:, place], minlength=5)
        expected = len(of_first) / 4
        assert counts[0] == 0
        np.testing.assert_allclose(counts[1:5], expected, atol=4.5 * expected**0.5)


def test_wrong_levels_are_all_others(source):
    for kwargs in (dict(burstiness=0.0), dict(control="wrong_level")):
        queries, shown = draws(make(source, **kwargs))
        assert (level(queries)[:, None] != level(shown)).all()
        there = [set(level(row[row >= 0])) for row in shown]
        assert all(len(levels) == 1 for levels in there)
        of_nine = [row for row, query in zip(there, queries, strict=True) if query > 6]
        assert set.union(*of_nine) == {3, 4, 7, 9}


def test_burstiness_number_and_drops_are_probabilities(source):
    dataset = make(source, burstiness=0.7, vary_demos=True, drop=0.25)
    queries, shown = draws(dataset, steps=60)
    whole = np.isin(level(queries), (7, 9))
    queries, shown = queries[whole], shown[whole]
    counts = np.sum(shown >= 0, axis=1)
    # Of two, with levels 3 and 4 among the others, at times only one is there.
    assert abs(np.mean(counts == 0) - (0.25 + 0.75 / 3)) < 0.04
    some = counts > 0
    same = level(queries[some]) == level(shown[some, 0])
    assert abs(same.mean() - 0.7) < 0.05


@pytest.mark.parametrize("segment", ["start", "uniform", "end", "full"])
@pytest.mark.parametrize("control", [None, "shuffled"])
def test_steps_of_demonstrations(source, segment, control):
    size = 13 if segment == "full" else H
    dataset = make(source, demo_len=size, segment=segment, control=control)
    spec = dataset.element_spec[specs.PROMPT]
    seen = set()
    orders = 0
    for batch in take(dataset.train_batches(16, seed=3), 20):
        prompt = batch[specs.PROMPT]
        told = {"demo", "order"} if control else {"demo"}
        assert set(prompt) == set(spec) == {*dataset._queries.element_spec, *told}
        for field, array in prompt.items():
            assert array.shape == (16, *spec[field].shape)
            assert array.dtype == spec[field].dtype
        valid, frames = prompt[specs.VALID], indices(prompt)
        np.testing.assert_array_equal(prompt[specs.DEMO][0], np.repeat([1, 2], size))
        for field, array in prompt.items():
            if field != specs.DEMO:
                assert not array[~valid].any()
        for row in range(16):
            for demo in range(2):
                part = slice(demo * size, (demo + 1) * size)
                there = valid[row, part]
                count = there.sum()
                if not count:
                    continue
                episode = prompt[specs.EPISODE][row, part][0]
                length = LENGTHS[episode]
                assert count == min(size, length) and there[:count].all()
                steps = prompt[specs.TIMESTEP][row, part][:count]
                np.testing.assert_array_equal(np.diff(steps), 1)
                seen.add((episode, steps[0]))
                shown = frames[row, part][:count]
                assert (shown[:, 0] == episode).all()
                if control:
                    orders += (shown[:, 1] != steps).any()
                    assert set(shown[:, 1]) == set(steps)
                    order = prompt[specs.ORDER][row, part][:count]
                    np.testing.assert_array_equal(
                        shown[:, 1], steps[order - demo * size]
                    )
                else:
                    np.testing.assert_array_equal(shown[:, 1], steps)
                action = prompt[specs.ACTION][row, part][:count]
                np.testing.assert_array_equal(action, (7 * episode + shown[:, 1]) % 15)
                rewards = 100 * episode + np.arange(length)
                to_go = [rewards[step:].sum() for step in shown[:, 1]]
                np.testing.assert_array_equal(
                    prompt[specs.RETURN_TO_GO][row, part][:count], to_go
                )
    assert bool(orders) == bool(control)
    begins = {
        "start": lambda spare: {0},
        "full": lambda spare: {0},
        "end": lambda spare: {spare},
        "uniform": lambda spare: set(range(spare + 1)),
    }[segment]
    for episode in {episode for episode, _ in seen}:
        found = {begin for number, begin in seen if number == episode}
        expected = begins(max(0, LENGTHS[episode] - size))
        assert found <= expected
        assert segment == "uniform" or found == expected
    assert segment != "uniform" or len({begin for _, begin in seen}) > 4


def test_prompts_are_a_function_of_seed_and_step(source):
    for budget in (8.0, 1e-7):  # drawn from all sequences, and read in a row
        window = {"memory_budget_gib": budget}
        dataset = make(source, window, vary_demos=True)
        whole = take(dataset.train_batches(5, seed=2), 9)
        late = take(dataset.train_batches(5, seed=2, start_step=6), 3)
        for a, b in zip(whole[6:], late, strict=True):
            for field in a[specs.PROMPT]:
                np.testing.assert_array_equal(
                    a[specs.PROMPT][field], b[specs.PROMPT][field]
                )
        last = take(dataset.train_batches(5, seed=2, part=(4, 5)), 9)
        for a, b in zip(whole, last, strict=True):
            for field in a[specs.PROMPT]:
                np.testing.assert_array_equal(
                    a[specs.PROMPT][field][4:], b[specs.PROMPT][field]
                )
    other = take(dataset.train_batches(5, seed=3), 9)
    assert any(
        (a[specs.PROMPT]["episode"] != b[specs.PROMPT]["episode"]).any()
        for a, b in zip(whole, other, strict=True)
    )
    assert dataset.fingerprint != make(source, window).fingerprint


def test_held_out_sequences_see_held_out_demonstrations(source):
    batches = take(make(source).heldout_batches(4), 9)
    again = take(make(source).heldout_batches(4), 9)
    shown = set()
    for batch, same in zip(batches, again, strict=True):
        prompt = batch[specs.PROMPT]
        np.testing.assert_array_equal(prompt["episode"], same[specs.PROMPT]["episode"])
        assert set(batch[specs.EPISODE].ravel()) <= {12, 13, 14}
        shown |= set(prompt[specs.EPISODE][prompt[specs.VALID]])
    assert shown == {12, 13, 14}


def test_steps_without_a_latent_are_not_shown(tmp_path):
    synthetic.write(tmp_path, LENGTHS, levels=LEVELS)
    source = synthetic.reader(tmp_path)
    write_latents(source, actions=False)
    dataset = make(source, {"latents": "lam"}, segment="end")
    (batch,) = take(dataset.train_batches(64, seed=0), 1)
    prompt = batch[specs.PROMPT]
    valid = prompt[specs.VALID]
    length = np.array(LENGTHS)[prompt[specs.EPISODE]]
    assert (prompt[specs.TIMESTEP] < length - 1)[valid].all()
    flat = source.starts[prompt[specs.EPISODE]] + prompt[specs.TIMESTEP]
    np.testing.assert_array_equal(prompt[specs.LATENT_CODE][..., 0][valid], flat[valid])


def test_conditioning_can_be_off(source):
    dataset = make(source, demo_conditioning=False)
    plain = dataset._queries
    assert dataset.element_spec == plain.element_spec
    assert dataset.fingerprint == plain.fingerprint
    (batch,) = take(dataset.train_batches(4, seed=0), 1)
    assert set(batch) == set(plain.element_spec)


def test_wrong_settings_are_refused(source):
    for kwargs, message in (
        (dict(num_demos=0), "num_demos must be at least 1, got 0"),
        (dict(demo_len=0), "demo_len must be at least 1, got 0"),
        (dict(segment="middle"), "segment must be of .*, got 'middle'"),
        (dict(segment="full"), "demo_len must be at least 13 to show all of .*, got 4"),
        (dict(control="none"), "control must be of .*, got 'none'"),
        (dict(burstiness=1.5), "burstiness must be 0 to 1, got 1.5"),
        (dict(drop=-1.0), "drop must be 0 to 1, got -1.0"),
        (dict(window={"window": "lapo"}), "Prompts need sequences"),
    ):
        with pytest.raises(ValueError, match=message):
            make(source, **kwargs)
