"""Relabelling: alignment, interruption, and what it leaves alone."""

import hashlib
import pathlib

import keras
import numpy as np
import pytest
import synthetic
import tensorflow as tf
import tiny_runs
from random_model import save_random_model

from pdtla.datasets import latent_writer
from pdtla.datasets.latent_store import LatentStore
from pdtla.datasets.window_dataset import WindowDataset
from pdtla.latent_actions.hierarchical_inverse_network import (
    HierarchicalInverseNetwork,
)
from pdtla.latent_actions.labeller import Labeller
from pdtla.latent_actions.relabel import relabel
from pdtla.layers.module_io import load_module, save_module

LENGTHS = [5, 1, 7, 2, 9, 4]


def save_reading_model(run, context_len=1, future=1):
    """A model whose latent is the episode and step of every frame it was shown."""
    frames = context_len + 1 + future
    idm = HierarchicalInverseNetwork(
        keras.layers.GlobalAveragePooling2D(), 3 * frames, future=future
    )
    idm.build((None, frames, *synthetic.SHAPE))
    idm.head.kernel.assign(255.0 * np.eye(3 * frames))
    idm.head.bias.assign(np.full(3 * frames, 127.5))
    save_module(idm, run / "modules" / "idm")
    return Labeller(str(run))


class Counting:
    """Counts the windows that a labeller is given, and may break down.

    Args:
      labeller: what labels.
      limit: windows after which it fails.
    """

    def __init__(self, labeller, limit=None):
        self._labeller = labeller
        self._limit = limit
        self.fields, self.num_frames = labeller.fields, labeller.num_frames
        self.future = labeller.future
        self.fingerprint = labeller.fingerprint
        self.count = 0

    def label(self, observation):
        if self._limit is not None and self.count >= self._limit:
            raise KeyboardInterrupt
        self.count += len(observation)
        return self._labeller.label(observation)


@pytest.mark.parametrize(
    ("context_len", "future", "batch_size"),
    [(0, 1, 4), (1, 1, 1), (1, 1, 5000), (3, 1, 4), (2, 3, 4), (0, 6, 5000)],
)
def test_latents_align_with_the_frames_they_explain(
    tmp_path, context_len, future, batch_size
):
    synthetic.write(tmp_path, LENGTHS)
    source = synthetic.reader(tmp_path)
    labeller = save_reading_model(tmp_path / "run", context_len, future)
    store = relabel(source=source, labeller=labeller, name="lam", batch_size=batch_size)
    latent = store.read()["latent_action"]
    frames = context_len + 1 + future
    assert latent.shape == (sum(LENGTHS), 3 * frames)
    shown = latent.reshape(sum(LENGTHS), frames, 3)
    row = 0
    for episode, length in enumerate(LENGTHS):
        for t in range(length):
            if t == length - 1:  # nothing follows, hence nothing to explain
                np.testing.assert_array_equal(latent[row], 0.0)
            else:
                steps = np.arange(t - context_len, t + future + 1)
                steps = np.clip(steps, 0, length - 1)
                np.testing.assert_allclose(shown[row, :, 0], episode, atol=1e-3)
                np.testing.assert_allclose(shown[row, :, 1], steps, atol=1e-3)
            row += 1


def test_windows_pair_a_latent_with_its_own_action(tmp_path):
    """Read back as policies and decoders read them: (o_t, a_t, z_t)."""
    synthetic.write(tmp_path, LENGTHS)
    source = synthetic.reader(tmp_path)
    relabel(source=source, labeller=save_reading_model(tmp_path / "run"), name="lam")
    windows = WindowDataset(
        source=source,
        window="transitions",
        fields=("observation", "action"),
        latents="lam",
        train_frac=1.0,
    )
    assert windows.num_train_windows == sum(LENGTHS) - len(LENGTHS)
    for batch in windows.ordered_batches(7):
        frame = batch["observation"].numpy()[:, 0, 0, 0]
        episode, t = frame[:, 0].astype(int), frame[:, 1].astype(int)
        shown = batch["latent_action"].numpy()[:, 0].reshape(-1, 3, 3)
        np.testing.assert_allclose(shown[:, 1, 0], episode, atol=1e-3)
        np.testing.assert_allclose(shown[:, 1, 1], t, atol=1e-3)
        np.testing.assert_allclose(shown[:, 2, 1], t + 1, atol=1e-3)
        action = (7 * episode + t) % synthetic.ACTIONS
        np.testing.assert_array_equal(batch["action"][:, 0], action)


def test_real_latents_equal_the_modules_output(maze, tmp_path):
    source = tiny_runs.read(maze)
    store = relabel(source=source, labeller=save_random_model(tmp_path), name="by_hand")
    idm, vq = (load_module(tmp_path / "modules" / name) for name in ("idm", "vq"))
    stored, frames = store.read(), source.array("observation")
    rng = np.random.default_rng(0)
    episodes = rng.choice(np.flatnonzero(source.lengths > 1), 12)
    for episode in episodes:
        t = int(rng.integers(source.lengths[episode] - 1))
        row = source.starts[episode] + t
        window = frames[[row - min(t, 1), row, row + 1]][None]
        latent = idm(window)
        np.testing.assert_allclose(
            stored["latent_action"][row], latent[0], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_array_equal(
            stored["latent_code"][row], vq(latent)["codes"][0]
        )
    last = source.starts + source.lengths - 1
    assert np.all(stored["latent_action"][last] == 0)
    assert np.all(stored["latent_code"][last] == -1)
    unlabelled = np.flatnonzero(stored["latent_code"][:, 0] == -1)
    np.testing.assert_array_equal(unlabelled, last)


def test_an_interrupted_call_goes_on_and_ends_the_same(maze, tmp_path, monkeypatch):
    monkeypatch.setattr(latent_writer, "_FLUSH_ROWS", 40)
    source, labeller = tiny_runs.read(maze), save_random_model(tmp_path)
    unbroken = relabel(source=source, labeller=labeller, name="unbroken", batch_size=20)
    with pytest.raises(KeyboardInterrupt):
        relabel(
            source=source,
            labeller=Counting(labeller, limit=100),
            name="broken",
            batch_size=20,
        )
    store = LatentStore(source, "broken")
    assert not store.exists
    with pytest.raises(FileNotFoundError, match="There are no latents 'broken'"):
        store.read()
    with pytest.raises(FileNotFoundError, match="There are no latents 'broken'"):
        WindowDataset(source=source, window="transitions", latents="broken")
    rest = Counting(labeller)
    relabel(source=source, labeller=rest, name="broken", batch_size=20)
    total = source.num_steps - len(source.lengths)
    assert rest.count == total - 80  # 100 labelled, of which 80 were on disk
    for field, expected in unbroken.read().items():
        np.testing.assert_array_equal(store.read()[field], expected)
    again = Counting(labeller, limit=0)
    relabel(source=source, labeller=again, name="broken")
    assert again.count == 0


def test_large_batches_give_the_same_latents(maze, tmp_path):
    source, labeller = tiny_runs.read(maze), save_random_model(tmp_path)
    small, large = (
        relabel(source=source, labeller=labeller, name=f"b{size}", batch_size=size)
        for size in (16, 5000)
    )
    np.testing.assert_allclose(
        small.read()["latent_action"], large.read()["latent_action"], atol=1e-5
    )


def test_another_model_replaces_a_set_only_when_it_is_complete(maze, tmp_path):
    source = tiny_runs.read(maze)
    first = save_random_model(tmp_path / "a")
    second = save_random_model(tmp_path / "b", seed=1)
    store = relabel(source=source, labeller=first, name="replaced")
    before = store.read()["latent_action"].copy()
    with pytest.raises(KeyboardInterrupt):
        relabel(
            source=source,
            labeller=Counting(second, limit=32),
            name="replaced",
            batch_size=16,
        )
    assert store.manifest["model_fingerprint"] == first.fingerprint
    np.testing.assert_array_equal(store.read()["latent_action"], before)
    relabel(source=source, labeller=second, name="replaced")
    assert store.manifest["model_fingerprint"] == second.fingerprint
    assert np.any(store.read()["latent_action"] != before)


def test_a_set_is_written_looked_for_and_read_in_one_place(maze, tmp_path, monkeypatch):
    """Whatever lies in the working directory; in a relative every step differed."""
    source, labeller = tiny_runs.read(maze), save_random_model(tmp_path / "run")
    for decoy in ("placed", "latents/placed/train"):
        (tmp_path / "elsewhere" / decoy).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    first, second = Counting(labeller), Counting(labeller)
    store = relabel(source=source, labeller=first, name="placed")
    assert first.count == source.num_steps - len(source.lengths)
    assert relabel(source=source, labeller=second, name="placed").exists
    assert second.count == 0  # it found what the first call wrote
    windows = WindowDataset(source=source, window="transitions", latents="placed")
    stored = store.read()["latent_action"]
    read = [batch["latent_action"][:, 0] for batch in windows.ordered_batches(64)]
    np.testing.assert_array_equal(np.concatenate(read), stored[windows.train_bases])
    heldout = [batch["latent_action"] for batch in windows.heldout_batches(4)]
    assert np.any(np.concatenate(heldout) != 0, axis=-1).all()
    assert not any(path.is_file() for path in (tmp_path / "elsewhere").rglob("*"))


def test_the_source_stays_as_it_is(maze, tmp_path):
    source = tiny_runs.read(maze)
    source.array("observation")

    def digests():
        return {
            path: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(pathlib.Path(source.directory).rglob("*"))
            if path.is_file() and "latents" not in path.parts
        }

    before = digests()
    assert len(before) > 3
    relabel(source=source, labeller=save_random_model(tmp_path), name="beside")
    assert digests() == before


def test_frames_of_another_size_are_refused(tmp_path):
    """A model of Procgen frames cannot label frames of 4 x 4."""
    synthetic.write(tmp_path, LENGTHS)
    source = synthetic.reader(tmp_path)
    with pytest.raises((ValueError, tf.errors.OpError)):
        relabel(source=source, labeller=save_random_model(tmp_path / "r"), name="lam")
    assert not LatentStore(source, "lam").exists
