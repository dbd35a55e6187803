"""Relabelling by a real Apache Beam runner, against that of one process."""

import filecmp
import json

import numpy as np
import pytest
import tiny_runs
from random_model import save_random_model

from pdtla.datasets import beam_pool
from pdtla.datasets.latent_store import LatentStore
from pdtla.latent_actions import label_parts
from pdtla.latent_actions.labelled_batches import LabelledBatches
from pdtla.latent_actions.labeller import Labeller

BATCH_SIZE = 20


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(label_parts, "_PART_ROWS", 45)  # two batches a part


def relabel(maze, lam, name, *flags):
    pytest.importorskip("apache_beam", reason="needs requirements-beam.txt")
    return tiny_runs.relabel_with(
        maze,
        lam,
        name,
        batch_size=BATCH_SIZE,
        beam_options=beam_pool.pipeline_options(flags),
    )


@pytest.fixture(scope="module")
def lam(tmp_path_factory):
    run = tmp_path_factory.mktemp("lam")
    save_random_model(run)
    return run


@pytest.fixture(scope="module")
def local(maze, lam):
    return tiny_runs.relabel_with(maze, lam, "local", batch_size=BATCH_SIZE)


def assert_same_files(store, expected):
    names = sorted(path.name for path in expected.directory.iterdir())
    assert sorted(path.name for path in store.directory.iterdir()) == names
    names.remove("manifest.json")
    _, different, missing = filecmp.cmpfiles(
        store.directory, expected.directory, names, shallow=False
    )
    assert not different and not missing
    assert store.manifest | {"name": expected.name} == expected.manifest


@pytest.mark.parametrize(
    "flags",
    [
        ("--direct_runner_bundle_repeat=1",),
        ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
    ],
    ids=["every_bundle_twice", "two_processes"],
)
def test_a_pipeline_writes_the_same_bytes(maze, lam, local, small_parts, flags):
    store = relabel(maze, lam, f"beam_{len(flags)}", *flags)
    assert_same_files(store, local)
    assert not list(store.directory.parent.glob("*.incomplete"))


def parts_of(maze, lam, name):
    """A started set of latents, its parts, and what labels them."""
    source, labeller = tiny_runs.read(maze), Labeller(str(lam))
    writer = LatentStore(source, name).writer(labeller.fields, labeller.fingerprint)
    parts = label_parts.plan_parts(writer, BATCH_SIZE)
    return writer, parts, LabelledBatches(source, labeller, BATCH_SIZE)


def test_parts_hold_what_one_process_writes(maze, lam, local, small_parts):
    """Needs no Beam: the very function that a pipeline maps."""
    writer, parts, batches = parts_of(maze, lam, "by_hand")
    assert len(parts) > 2
    assert parts[0].stop - parts[0].start == 2 * BATCH_SIZE
    for part in reversed(parts):
        label_parts.write_part(batches, part, lambda count: None)
    for part in parts:
        with np.load(part.path) as labels:
            writer.write(dict(labels))
    writer.close()
    assert_same_files(LatentStore(tiny_runs.read(maze), "by_hand"), local)


def test_finished_parts_are_taken_up(maze, lam, local, small_parts):
    _, parts, batches = parts_of(maze, lam, "again")
    label_parts.write_part(batches, parts[1], lambda count: None)
    with np.load(parts[1].path) as labels:
        marked = {f: np.full_like(labels[f], 3) for f in labels}
    np.savez(parts[1].path, **marked)
    stored = relabel(maze, lam, "again").read()["latent_action"]
    marks = (stored == 3).all(axis=1)
    assert marks.sum() == parts[1].stop - parts[1].start
    expected = local.read()["latent_action"]
    np.testing.assert_array_equal(stored[~marks], expected[~marks])


def test_parts_of_another_model_are_not(maze, lam, small_parts):
    writer, parts, batches = parts_of(maze, lam, "outdated")
    label_parts.write_part(batches, parts[0], lambda count: None)
    store = LatentStore(tiny_runs.read(maze), "outdated")
    store.writer(Labeller(str(lam)).fields, "of another model")
    assert not parts[0].path.exists()
    progress = json.loads((writer.parts.parent / "progress.json").read_text())
    assert progress["manifest"]["model_fingerprint"] == "of another model"
