"""launch.export on runs that were really trained, used as docs/export.md says."""

import json
import os
import re
import subprocess
import sys

import commands
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs

from launch import export_of_run, trained_run
from pdtla.latent_actions.labeller import Labeller
from pdtla.training import configs

STEPS, BATCH, WINDOWS = 6, 4, 8
DOCUMENT = (configs.REPOSITORY / "docs/export.md").read_text()
# What the document's code leaves behind goes on here, without pdtla.
CHECK = """
import sys
import numpy as np
given = dict(np.load("inputs.npz"))
state = policy["initial_state"](batch_size=tf.constant(4), seed=tf.constant(0))
actions = []
for frames, first in zip(given["frames"], given["first"]):
    state = policy["sample"](
        observation=tf.constant(frames), reward=reward, is_first=tf.constant(first),
        **state,
    )
    actions.append(state.pop("action"))
labels = {f"label_{k}": v for k, v in label(observation=given["windows"]).items()}
skill = tf.saved_model.load("exported/skill").signatures["label"]
labels |= {f"skill_{k}": v for k, v in skill(observation=given["long"]).items()}
np.savez("outputs.npz", actions=np.stack(actions), latents=latents, **labels)
assert not [name for name in sys.modules if name.partition(".")[0] == "pdtla"]
"""


@pytest.fixture(scope="module")
def runs(maze, lam, decoder, tmp_path_factory):
    """A folder with a policy over latents and a hierarchical model."""
    folder = tmp_path_factory.mktemp("runs")
    few = ("NUM_UPDATES = 2", "NUM_EVALS = 1")
    acts = f"DECODER_RUN = {str(decoder)!r}"
    tiny_runs.train("la_bc", maze, folder / "la_bc", *few, acts)
    tiny_runs.train("lam_hierarchical", maze, folder / "skill", *few)
    return folder


@pytest.fixture(scope="module")
def exported(runs, lam):
    """The folder in which the commands of the document were run."""
    outcomes = commands.run_all(
        [
            ["export", f"--run={run}", f"--to={runs}/exported/{run.name}"]
            for run in (runs / "la_bc", lam, runs / "skill")
        ]
    )
    assert [done["status"] for done in outcomes] == [0, 0, 0], outcomes
    return runs


def test_without_pdtla_all_is_the_same(exported, lam):
    rng = np.random.default_rng(0)
    first = np.zeros((STEPS, BATCH), bool)
    first[0], first[2, 1], first[4, 3] = True, True, True
    skill, flat = Labeller(str(exported / "skill")), Labeller(str(lam))
    inputs = {
        "frames": rng.integers(0, 256, (STEPS, BATCH, 64, 64, 3), "uint8"),
        "first": first,
        "windows": rng.integers(0, 256, (WINDOWS, *flat.window.shape), "uint8"),
        "long": rng.integers(0, 256, (WINDOWS, *skill.window.shape), "uint8"),
    }
    np.savez(exported / "inputs.npz", **inputs)
    code = "\n".join(re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)) + CHECK
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=exported,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outputs = dict(np.load(exported / "outputs.npz"))

    loaded = trained_run.load_run(str(exported / "la_bc"), [], [])
    policy = loaded.stage.policy(greedy=False)
    state = policy.initial_state(BATCH, 0)
    for t, frames in enumerate(inputs["frames"]):
        action, state = policy.step(tf.constant(frames), tf.constant(first[t]), state)
        np.testing.assert_array_equal(outputs["actions"][t], action)
    assert np.unique(outputs["actions"]).size > 2
    for prefix, labeller, windows in (
        ("label", flat, inputs["windows"]),
        ("skill", skill, inputs["long"]),
    ):
        labels = labeller.label(tf.constant(windows))
        assert {name for name in outputs if name.startswith(prefix)} == {
            f"{prefix}_{name}" for name in labels
        }
        for name, value in labels.items():
            np.testing.assert_allclose(outputs[f"{prefix}_{name}"], value, atol=1e-5)
    assert {"label_latent_code", "label_action"} <= set(outputs)


def test_tells_what_it_is(exported):
    policy = json.loads((exported / "exported/la_bc/export.json").read_text())
    assert (policy["kind"], policy["env_id"], policy["step"]) == ("policy", "maze", 2)
    assert policy["stage"] == "LatentBehavioralCloning"
    assert policy["observation"] == {"shape": [64, 64, 3], "dtype": "uint8"}
    assert policy["action"]["num_values"] == 15
    assert policy["functions"]["act"]["outputs"]["action"] == ["int32", [None]]
    labeller = json.loads((exported / "exported/lam/export.json").read_text())
    assert (labeller["kind"], labeller["step"]) == ("labeller", 4)
    assert labeller["window"] == {
        "shape": [3, 64, 64, 3],
        "dtype": "uint8",
        "now": 1,
    }
    assert set(labeller["functions"]["label"]["outputs"]) == {
        "action",
        "latent_action",
        "latent_code",
    }


def test_what_is_there_is_left_alone(exported, lam, tmp_path):
    target = exported / "exported/lam"
    before = (target / "export.json").stat().st_mtime_ns
    with pytest.raises(configs.ConfigError, match="--overwrite"):
        export_of_run.export(str(lam), str(target))
    assert (target / "export.json").stat().st_mtime_ns == before
    facts = export_of_run.export(
        str(lam), str(target), latent="quantized", overwrite=True
    )
    assert facts["latent"] == "quantized"
    assert json.loads((target / "export.json").read_text()) == facts | {
        "window": facts["window"] | {"shape": [3, 64, 64, 3]}
    }
    assert sorted(p.name for p in target.parent.iterdir()) == ["la_bc", "lam", "skill"]
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(configs.ConfigError, match="no earlier export"):
        export_of_run.export(str(lam), str(tmp_path), overwrite=True)


@pytest.mark.parametrize(
    ("run", "settings", "message"),
    [
        ("nowhere", {}, "not the workdir of a run"),
        ("la_bc", {"latent": "quantized"}, "are for latent action models"),
        ("decoder", {}, "without a policy does not act"),
        ("skill", {"decoder_run": "nowhere"}, "no saved module in nowhere"),
    ],
)
def test_wrong_input_is_one_line(runs, decoder, tmp_path, run, settings, message):
    run = str(decoder if run == "decoder" else runs / run)
    with pytest.raises(configs.ConfigError, match=message) as error:
        export_of_run.export(run, str(tmp_path / "to"), **settings)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
