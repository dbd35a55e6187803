"""Windows of frames that encode their own index."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf

from pdtla import specs
from pdtla.datasets import latent_store, window_dataset, with_labelled

LENGTHS = [5, 1, 8, 2, 13, 3, 6, 9, 4, 7]
ALL_FIELDS = (specs.OBSERVATION, specs.ACTION, specs.REWARD, specs.IS_FIRST)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    synthetic.write(directory, LENGTHS, num_shards=3)
    return synthetic.reader(directory)


def make(source, window="lapo", **kwargs):
    return window_dataset.WindowDataset(
        source=source, window=window, **{"fields": ALL_FIELDS, **kwargs}
    )


def take(dataset, count):
    return [b for _, b in zip(range(count), dataset.as_numpy_iterator(), strict=False)]


def indices(batch):
    """(episode, step) of every frame, from its pixels, `[B, T, 2]`."""
    return batch[specs.OBSERVATION][:, :, 0, 0, :2].astype(int)


def one_pass(dataset, batch_size=5):
    return {
        key: np.concatenate([b[key] for b in dataset.ordered_batches(batch_size)])
        for key in dataset.element_spec
    }


@pytest.mark.parametrize("context_len", [0, 1, 3])
def test_lapo_windows_align_and_never_cross_an_episode(source, context_len):
    dataset = make(source, context_len=context_len, train_frac=1.0)
    batch = one_pass(dataset)
    where = indices(batch)
    expected = [
        [[e, max(0, t + d)] for d in range(-context_len, 2)]
        for e, length in enumerate(LENGTHS)
        for t in range(length - 1)
    ]
    np.testing.assert_array_equal(where, expected)
    episode, step = where[..., 0], where[..., 1]
    np.testing.assert_array_equal(batch[specs.ACTION], (7 * episode + step) % 15)
    np.testing.assert_array_equal(batch[specs.REWARD], 100 * episode + step)
    np.testing.assert_array_equal(batch[specs.IS_FIRST], step == 0)


@pytest.mark.parametrize("context_len,k_step_preds", [(0, 1), (2, 1), (1, 4), (0, 3)])
@pytest.mark.parametrize("last_step_valid", [True, False])
def test_n_step_windows_align(tmp_path, context_len, k_step_preds, last_step_valid):
    synthetic.write(tmp_path, LENGTHS)
    source = synthetic.reader(tmp_path, last_step_valid=last_step_valid)
    sizes = {"context_len": context_len, "k_step_preds": k_step_preds}
    dataset = make(source, "n_step", train_frac=1.0, **sizes)
    length = context_len + 1 + k_step_preds
    assert dataset.element_spec[specs.ACTION].shape == (length,)
    batch = one_pass(dataset)
    where = indices(batch)
    # The last observation has no action of its own to predict, so it need not be valid.
    expected = [
        [[e, max(0, t + d)] for d in range(-context_len, k_step_preds + 1)]
        for e, n in enumerate(LENGTHS)
        for t in range(n - k_step_preds)
    ]
    np.testing.assert_array_equal(where, expected)
    truth = (7 * where[..., 0] + where[..., 1]) % 15
    np.testing.assert_array_equal(batch[specs.ACTION], truth)
    other = make(source, "n_step", context_len=context_len, k_step_preds=2)
    assert other.fingerprint != dataset.fingerprint


@pytest.mark.parametrize("last_step_valid", [True, False])
def test_every_action_of_a_chunk_is_real(tmp_path, last_step_valid):
    synthetic.write(tmp_path, LENGTHS)
    source = synthetic.reader(tmp_path, last_step_valid=last_step_valid)
    batch = one_pass(make(source, "chunk", k_step_preds=4, train_frac=1.0))
    expected = [
        [[e, t + d] for d in range(4)]
        for e, n in enumerate(LENGTHS)
        for t in range(n - 3 - (not last_step_valid))
    ]
    where = indices(batch)
    np.testing.assert_array_equal(where, expected)
    truth = (7 * where[..., 0] + where[..., 1]) % 15
    np.testing.assert_array_equal(batch[specs.ACTION], truth)


def test_without_padding_windows_need_their_whole_context(source):
    dataset = make(source, context_len=2, train_frac=1.0, pad_start=False)
    expected = [
        [[e, t + d] for d in (-2, -1, 0, 1)]
        for e, length in enumerate(LENGTHS)
        for t in range(2, length - 1)
    ]
    np.testing.assert_array_equal(indices(one_pass(dataset)), expected)


def test_transitions_cover_the_last_step_too(source):
    dataset = make(source, "transitions", train_frac=1.0)
    expected = [[[e, t]] for e, n in enumerate(LENGTHS) for t in range(n)]
    np.testing.assert_array_equal(indices(one_pass(dataset)), expected)


def test_a_last_step_without_action_is_left_out(tmp_path):
    synthetic.write(tmp_path, [3, 1, 4])
    reader = synthetic.reader(tmp_path, last_step_valid=False)
    batch = one_pass(make(reader, "transitions", train_frac=1.0))
    expected = [[0, 0], [0, 1], [2, 0], [2, 1], [2, 2]]
    np.testing.assert_array_equal(indices(batch)[:, 0], expected)


def test_each_pass_takes_every_window_once(source):
    dataset = make(source)
    size = dataset.num_train_windows
    batches = take(dataset.train_batches(7, seed=3), 2 * size)
    where = np.concatenate([indices(b)[:, -2] for b in batches])
    first, second, third = (
        where[:size],
        where[size : 2 * size],
        where[2 * size :][:size],
    )
    for epoch in (first, second, third):
        assert len(np.unique(epoch, axis=0)) == size
    assert (first != second).any() and (second != third).any()
    assert (first != np.sort(first, axis=0)).any()


@pytest.mark.parametrize("budget", [8.0, 1e-7])
def test_a_late_start_continues_the_order(source, budget):
    dataset = make(source, memory_budget_gib=budget)
    assert bool(dataset.streamed_fields) == (budget < 1)
    whole = take(dataset.train_batches(6, seed=1), 25)
    for start in (1, 9, 24):
        late = take(dataset.train_batches(6, seed=1, start_step=start), 25 - start)
        for a, b in zip(whole[start:], late, strict=True):
            for key in a:
                np.testing.assert_array_equal(a[key], b[key])
    other = take(dataset.train_batches(6, seed=2), 25)
    assert any(
        (a[specs.REWARD] != b[specs.REWARD]).any()
        for a, b in zip(whole, other, strict=True)
    )


@pytest.mark.parametrize("budget", [8.0, 1e-7])
def test_an_ordered_pass_begins_anywhere(source, budget):
    dataset = make(source, memory_budget_gib=budget)
    whole = one_pass(dataset)
    for start in range(dataset.num_train_windows):
        (rest,) = dataset.ordered_batches(1000, start)
        for key, values in rest.items():
            np.testing.assert_array_equal(values, whole[key][start:])


@pytest.mark.parametrize("budget", [8.0, 1e-7])
def test_parts_make_up_the_batches(source, budget):
    dataset = make(source, memory_budget_gib=budget)
    whole = take(dataset.train_batches(6, seed=1, start_step=4), 5)
    parts = [
        take(dataset.train_batches(6, 1, start_step=4, part=(index, 3)), 5)
        for index in range(3)
    ]
    for batch, *others in zip(whole, *parts, strict=True):
        for key in batch:
            joined = np.concatenate([other[key] for other in others])
            np.testing.assert_array_equal(batch[key], joined)
    with pytest.raises(ValueError, match="multiple of the 4 workers, got 6"):
        dataset.train_batches(6, 1, part=(0, 4))


def test_the_order_of_a_stream_does_not_depend_on_the_global_seed(source):
    dataset = make(source, memory_budget_gib=1e-7)
    orders = []
    try:
        for seed in (None, 0, 1):
            tf.random.set_seed(seed)
            batches = take(dataset.train_batches(6, seed=1), 25)
            orders.append(np.concatenate([indices(batch) for batch in batches]))
    finally:
        tf.random.set_seed(None)
    np.testing.assert_array_equal(orders[1], orders[0])
    np.testing.assert_array_equal(orders[2], orders[0])


def test_streaming_gives_the_same_windows(source):
    kwargs = {"context_len": 2, "num_trajs": 6}
    memory = make(source, **kwargs)
    stream = make(source, memory_budget_gib=1e-7, **kwargs)
    assert stream.streamed_fields == (specs.OBSERVATION,)
    a, b = one_pass(memory), one_pass(stream)
    for key in a:
        np.testing.assert_array_equal(a[key], b[key])
    size = memory.num_train_windows
    batches = take(stream.train_batches(4, seed=0), size)
    where = np.concatenate([indices(x)[:, -2] for x in batches])
    for epoch in range(3):
        part = where[epoch * size : (epoch + 1) * size]
        assert len(np.unique(part, axis=0)) == size
    held = np.concatenate([indices(x) for x in take(stream.heldout_batches(2), 99)])
    assert set(held[..., 0].ravel()) == {9}


@pytest.mark.parametrize("budget", [8.0, 1e-7])
def test_padding_keeps_the_windows_at_the_end(source, budget):
    sizes = {"context_len": 1, "k_step_preds": 3, "train_frac": 1.0}
    dataset = make(source, "n_step", pad_end=True, memory_budget_gib=budget, **sizes)
    expected = [
        [[e, np.clip(t + d, 0, n - 1)] for d in range(-1, 4)]
        for e, n in enumerate(LENGTHS)
        for t in range(n - 1)
    ]
    np.testing.assert_array_equal(indices(one_pass(dataset)), expected)
    cut = make(source, "n_step", memory_budget_gib=budget, **sizes)
    assert cut.fingerprint != dataset.fingerprint


def test_both_windows_label_the_same_transitions(source):
    labels = {}
    for window in ("lapo", "transitions", "n_step"):
        dataset = make(source, window, num_trajs=6, num_examples=11, subset_seed=5)
        assert dataset.num_train_windows == 11
        labels[window] = dataset.train_bases
    np.testing.assert_array_equal(labels["lapo"], labels["transitions"])
    np.testing.assert_array_equal(labels["lapo"], labels["n_step"])
    fewer = make(source, num_trajs=6, num_examples=4, subset_seed=5)
    assert set(fewer.train_bases) < set(labels["lapo"])
    other = make(source, num_trajs=6, num_examples=11, subset_seed=6)
    assert set(other.train_bases) != set(labels["lapo"])


def test_trajectories_are_split_in_stored_order_and_drawn_from_the_first_part(source):
    dataset = make(source, "transitions", train_frac=0.7, num_trajs=3, subset_seed=1)
    trained = set(indices(one_pass(dataset))[..., 0].ravel())
    assert len(trained) == 3 and max(trained) < 7
    more = make(source, "transitions", train_frac=0.7, num_trajs=4, subset_seed=1)
    assert trained < set(indices(one_pass(more))[..., 0].ravel())
    held = np.concatenate([indices(b) for b in take(dataset.heldout_batches(1), 99)])
    assert len(held) == sum(LENGTHS[7:])
    assert set(held[..., 0].ravel()) == {7, 8, 9}


def test_heldout_batches_are_full_and_repeatable(source):
    dataset = make(source, train_frac=0.7)
    size = dataset.num_heldout_windows
    assert size == 8 + 3 + 6
    batches = take(dataset.heldout_batches(5), 99)
    assert [len(b[specs.ACTION]) for b in batches] == [5, 5, 5]
    again = take(dataset.heldout_batches(5), 99)
    np.testing.assert_array_equal(indices(batches[2]), indices(again[2]))
    (one,) = take(dataset.heldout_batches(40), 99)
    assert len(np.unique(indices(one)[:, -2], axis=0)) == size


def test_no_heldout_trajectory_is_on_a_trained_level(tmp_path):
    synthetic.write(tmp_path, [4] * 6, levels=[1, 2, 3, 4, 1, 5])
    source = synthetic.reader(tmp_path)
    dataset = make(source, train_frac=0.6)
    assert {4 * 5, 4 * 5 + 1, 4 * 5 + 2} == set(dataset._heldout_bases)
    assert make(source, train_frac=0.6, disjoint_levels=False).num_heldout_windows == 6
    with pytest.raises(ValueError, match="No window .* is held out"):
        make(source, train_frac=1.0).heldout_batches(2)


def test_only_the_fields_asked_for_are_read(source, monkeypatch):
    read = []
    original = type(source).array
    monkeypatch.setattr(
        type(source), "array", lambda self, f: read.append(f) or original(self, f)
    )
    dataset = make(source, fields=(specs.OBSERVATION,))
    (batch,) = take(dataset.train_batches(4, seed=0), 1)
    assert set(batch) == set(dataset.element_spec) == {specs.OBSERVATION}
    assert set(read) == {specs.OBSERVATION}


def test_element_spec_and_fingerprint(source):
    dataset = make(source, context_len=2)
    spec = dataset.element_spec
    assert spec[specs.OBSERVATION] == specs.ArraySpec((4, *synthetic.SHAPE), "uint8")
    assert spec[specs.ACTION] == specs.ArraySpec((4,), "int32", num_values=15)
    (batch,) = take(dataset.train_batches(3, seed=0), 1)
    for field, array in batch.items():
        assert array.shape == (3, *spec[field].shape)
        assert array.dtype == spec[field].dtype
    assert dataset.fingerprint == make(source, context_len=2).fingerprint
    assert dataset.fingerprint != make(source, context_len=1).fingerprint


def test_labelled_batches_cycle(source):
    dataset = with_labelled.WithLabelled(
        unlabelled=make(source, fields=(specs.OBSERVATION,)),
        labelled=make(source, "transitions", num_examples=5),
        labelled_batch_size=8,
    )
    assert specs.ACTION not in dataset.element_spec
    assert specs.ACTION in dataset.element_spec[specs.LABELLED]
    whole = take(dataset.train_batches(4, seed=2), 5)
    half = take(dataset.train_batches(4, seed=2, part=(1, 2)), 5)
    for batch, rows in zip(whole, half, strict=True):
        np.testing.assert_array_equal(indices(rows), indices(batch)[2:])
        np.testing.assert_array_equal(
            indices(rows[specs.LABELLED]), indices(batch[specs.LABELLED])[4:]
        )
    rows = np.concatenate([b[specs.LABELLED][specs.REWARD] for b in whole]).ravel()
    values, counts = np.unique(rows, return_counts=True)
    assert len(values) == 5 and set(counts) == {8}
    late = take(dataset.train_batches(4, seed=2, start_step=3), 2)
    for a, b in zip(whole[3:], late, strict=True):
        np.testing.assert_array_equal(indices(a), indices(b))
        np.testing.assert_array_equal(indices(a["labelled"]), indices(b["labelled"]))
    held = take(dataset.heldout_batches(2), 99)
    assert len(held) == dataset.unlabelled.num_heldout_windows // 2
    assert len(held[0][specs.LABELLED][specs.ACTION]) == 8


def write_latents(source, name="lam", actions=True):
    """Latents that encode the flat index of their step."""
    fields = {
        specs.LATENT_ACTION: specs.ArraySpec((2,), "float32"),
        specs.LATENT_CODE: specs.ArraySpec((3,), "int32", num_values=64),
    }
    if actions:
        fields[specs.ACTION] = specs.ArraySpec((), "int32", num_values=15)
    writer = latent_store.LatentStore(source, name).writer(fields, "model-1")
    rows = np.concatenate(
        [
            s + np.arange(n - 1)
            for s, n in zip(source.starts, source.lengths, strict=True)
        ]
    )
    values = {
        specs.LATENT_ACTION: np.stack([rows, -rows], 1).astype(np.float32),
        specs.LATENT_CODE: np.repeat(rows[:, None], 3, 1).astype(np.int32),
        specs.ACTION: (rows % 15).astype(np.int32),
    }
    writer.write({field: values[field] for field in fields})
    writer.close()


def test_latents_align_with_the_step_they_explain(tmp_path):
    synthetic.write(tmp_path, LENGTHS)
    source = synthetic.reader(tmp_path)
    write_latents(source)
    starts = source.starts
    for window, base in (("lapo", -2), ("transitions", 0)):
        dataset = make(source, window, latents="lam", train_frac=1.0)
        batch = one_pass(dataset)
        where = indices(batch)[:, base]
        flat = starts[where[:, 0]] + where[:, 1]
        # Steps without a successor have no latent, hence no window.
        assert len(flat) == sum(n - 1 for n in LENGTHS)
        latents = batch[specs.LATENT_ACTION][:, base]
        np.testing.assert_array_equal(latents, np.stack([flat, -flat], 1))
        np.testing.assert_array_equal(batch[specs.LATENT_CODE][:, base, 0], flat)
        truth = (7 * where[:, 0] + where[:, 1]) % 15
        np.testing.assert_array_equal(batch[specs.ACTION][:, base], truth)
        replaced = make(
            source,
            window,
            latents="lam",
            train_frac=1.0,
            replace_action_with_latent=True,
        )
        np.testing.assert_array_equal(
            one_pass(replaced)[specs.ACTION][:, base], flat % 15
        )


def test_errors_state_the_rule(source):
    cases = [
        (dict(num_trajs=10), "num_trajs must be at most the 9 training traj"),
        (dict(num_trajs=0), "num_trajs must be -1 or at least 1, got 0"),
        (
            dict(window="chunk", k_step_preds=3, num_examples=5),
            "chunks have labels by the trajectory",
        ),
        (dict(num_examples=999), "num_examples must be at most the 42 training tr"),
        (dict(train_frac=0.0), "train_frac must be above 0"),
        (dict(window="n_steps"), "window must be one of"),
        (dict(window="n_step", k_step_preds=0), "k_step_preds must be at least 1"),
        (dict(context_len=-1), "context_len must be at least 0"),
        (dict(fields=("rewards",)), "fields must be some of"),
        (dict(latents="nope"), "There are no latents 'nope'"),
        (dict(replace_action_with_latent=True), "needs the name of latents"),
    ]
    for kwargs, message in cases:
        with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
            make(source, **kwargs)
        assert "\n" not in str(error.value)


def test_every_label_has_a_window_however_far_it_looks_ahead(source):
    sizes = {"context_len": 1, "train_frac": 1.0, "num_examples": 40}
    far = make(source, "n_step", k_step_preds=6, **sizes)
    np.testing.assert_array_equal(far.train_bases, make(source, **sizes).train_bases)
    with pytest.raises(ValueError, match="of 40 labelled transitions have no window"):
        make(source, pad_start=False, **sizes)


def test_levels_that_are_shared_are_each_split(tmp_path):
    levels = [5, 5, 5, 5, 5, 9, 9, 9, 9, 9]
    synthetic.write(tmp_path, [4] * 10, levels=levels)
    source = synthetic.reader(tmp_path)
    dataset = make(source, train_frac=0.8, disjoint_levels=False)
    np.testing.assert_array_equal(dataset.train_trajectories, [0, 1, 2, 3, 5, 6, 7, 8])
    np.testing.assert_array_equal(dataset.heldout_trajectories, [4, 9])
    apart = make(source, train_frac=0.5)
    np.testing.assert_array_equal(apart.heldout_trajectories, [5, 6, 7, 8, 9])
