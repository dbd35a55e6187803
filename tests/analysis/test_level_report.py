"""The report by level against NumPy, on models whose levels are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.analysis import level_report, probes
from pdtla.latent_actions.hierarchical_latent_action_model import (
    HierarchicalLatentActionModel,
)
from pdtla.latent_actions.latent_action_model import LatentActionModel
from pdtla.layers.conditioned_mlp import ConditionedMLP
from pdtla.layers.mlp import MLP
from pdtla.layers.residual_quantizer import ResidualQuantizer
from pdtla.layers.vector_quantizer import VectorQuantizer

WIDTH = 3


def residual():
    vq = VectorQuantizer(8, num_codebooks=1, num_latents=1, code_dim=WIDTH)
    return ResidualQuantizer(vq, 2)


def batches(steps, count=4, size=64, num_actions=None):
    """Random walks whose steps are the actions, `[size, steps, WIDTH]` each."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        action = rng.standard_normal((size, steps, WIDTH)).astype("float32")
        state = np.cumsum(action, axis=1) - action
        if num_actions:
            action = rng.integers(0, num_actions, (size, steps))
            state = np.cumsum(np.eye(WIDTH)[action], axis=1).astype("float32")
            state -= state[:, :1]
            # o_{t+1} - o_t is the one-hot action of t.
            action = np.roll(action, -1, axis=1).astype("int32")
        yield {
            specs.OBSERVATION: tf.constant(state),
            specs.ACTION: tf.constant(action),
        }


def reading_idm(stage, base):
    """The latent of the window becomes o_{base+1} - o_base."""
    width = stage.idm.head.kernel.shape[0]
    kernel = np.zeros((width, WIDTH), "float32")
    kernel[base * WIDTH : (base + 1) * WIDTH] = -np.eye(WIDTH)
    kernel[(base + 1) * WIDTH : (base + 2) * WIDTH] = np.eye(WIDTH)
    stage.idm.head.kernel.assign(kernel)
    stage.idm.head.bias.assign(np.zeros(WIDTH))


def plain(steps=3):
    stage = LatentActionModel(
        keras.layers.Identity(), ConditionedMLP((4,)), residual(), predict="difference"
    )
    stage.build({"observation": specs.ArraySpec((steps, WIDTH), "float32")})
    reading_idm(stage, steps - 2)
    return stage


def test_rows_equal_numpy():
    stage = plain()
    data = list(batches(3))
    for batch in data:
        stage(batch, training=True)
    rows = level_report.level_report(stage.modules(), data, data)
    assert list(rows) == ["1", "2", "unquantized"]
    frames = np.concatenate([batch["observation"] for batch in data])
    latent = frames[:, 2] - frames[:, 1]
    code = stage.vq(latent)
    copied = np.square(latent).mean()
    for level in range(2):
        z = code["levels"][:, level]
        error = np.square(stage.fdm(frames[:, :2], z) - frames[:, 2]).mean()
        row = rows[str(level + 1)]
        np.testing.assert_allclose(row["copy_ratio"], error / copied, rtol=1e-5)
        swapped = z.numpy().reshape(4, 64, WIDTH)[:, ::-1].reshape(-1, WIDTH)
        error = np.square(stage.fdm(frames[:, :2], swapped) - frames[:, 2]).mean()
        swapped_ratio = row["swapped_copy_ratio"]
        np.testing.assert_allclose(swapped_ratio, error / copied, rtol=1e-5)
        counts = np.bincount(code["codes"][:, level], minlength=8)
        shares = counts[counts > 0] / counts.sum()
        perplexity = np.exp(-np.sum(shares * np.log(shares)))
        np.testing.assert_allclose(row["perplexity"], perplexity, rtol=1e-6)
        assert row["dead_codes"] == np.mean(counts == 0)
    # The latent is the action, of which each level tells more.
    scores = [row["probe_linear"] for row in rows.values()]
    assert 0.3 < scores[0] < scores[1] < scores[2]
    np.testing.assert_allclose(scores[2], 1.0, atol=1e-3)
    assert "perplexity" not in rows["unquantized"]
    text = level_report.table(rows).splitlines()
    assert len(text) == 4 and len(set(map(len, text))) == 1


def test_discrete_actions_are_probed_by_accuracy():
    stage = plain()
    data = list(batches(3, num_actions=WIDTH))
    for _ in range(10):
        for batch in data:
            stage(batch, training=True)
    rows = level_report.level_report(stage.modules(), data, data, num_actions=WIDTH)
    # Three actions, eight codes: the first level says it all.
    assert rows["1"]["probe_mlp"] == rows["unquantized"]["probe_linear"] == 1.0
    assert rows["1"]["perplexity"] > 2.5


def test_hierarchical_rows_are_the_metrics_of_the_stage():
    stage = HierarchicalLatentActionModel(
        keras.layers.Identity(),
        ConditionedMLP((4,)),
        ConditionedMLP((4,)),
        residual(),
        k_step_preds=3,
    )
    stage.build({"observation": specs.ArraySpec((5, WIDTH), "float32")})
    reading_idm(stage, 1)
    data = list(batches(5))
    for batch in data:
        stage(batch, training=True)
    rows = level_report.level_report(stage.modules(), data, data)
    whole = {key: tf.concat([batch[key] for batch in data], axis=0) for key in data[0]}
    _, metrics = stage(whole)
    for row, column, metric in (
        ("1", "skill_copy_ratio", "skill_copy_ratio"),
        ("2", "copy_ratio", "behavior_copy_ratio"),
        ("1", "perplexity", "perplexity_level_1"),
        ("2", "perplexity", "perplexity_level_2"),
    ):
        np.testing.assert_allclose(rows[row][column], metrics[metric], rtol=1e-4)
    # The probes are for a_t, three steps before the end of the window.
    np.testing.assert_allclose(rows["unquantized"]["probe_linear"], 1.0, atol=1e-3)


def test_what_cannot_be_reported_is_said():
    stage = plain()
    with pytest.raises(ValueError, match="needs held-out windows, got none"):
        level_report.level_report(stage.modules(), [])
    modules = stage.modules() | {"vq": MLP()}
    with pytest.raises(ValueError, match="needs a residual quantizer, got MLP"):
        level_report.level_report(modules, batches(3))


@pytest.mark.parametrize("hidden", [(), (32,)])
def test_r2_of_a_probe(hidden):
    rng = np.random.default_rng(0)
    latents = 5.0 + 3.0 * rng.standard_normal((800, 4))
    noise = rng.standard_normal((800, 2))
    actions = latents @ rng.standard_normal((4, 2)) / 3.0 + 7.0 + noise
    data = latents[:400], actions[:400], latents[400:], actions[400:]
    explained = 1.0 - noise[400:].var() / actions[400:].var(axis=0).mean()
    assert abs(probes.probe_r2(*data, hidden=hidden) - explained) < 0.1
    unrelated = rng.standard_normal((800, 4))
    data = unrelated[:400], actions[:400], unrelated[400:], actions[400:]
    assert probes.probe_r2(*data) < 0.05
