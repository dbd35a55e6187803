"""Ablations: what is changed, the table, and all of it in small."""

import json

import commands
import numpy as np
import pytest

from launch import ablation_settings, ablation_table, result_tables
from pdtla.analysis import results as results_lib
from pdtla.analysis import stored_table
from pdtla.datasets import rlds_reader
from pdtla.layers import module_io
from pdtla.training import configs

COMMON = """
include 'gin/envs/mujoco.gin'

MAX_EPISODE_STEPS = 30
TRAIN_FRAC = 0.5
CONTEXT_LEN = 0
BATCH_SIZE = 8
LOG_EVERY = 2
MAX_HELDOUT_BATCHES = 1
NUM_EVALS = 1
NUM_EVAL_ROLLOUTS = 3
CHECKPOINT_EVERY = 0
MLP_HIDDEN = (8,)
"""
DATA = """
from __gin__ import dynamic_registration

from pdtla.datasets import build

NUM_TRAJS = 8
NUM_TEST_TRAJS = 1
build.build.num_workers = 1     # a process of its own takes longer to begin
"""
ABLATIONS = """
from __gin__ import dynamic_registration

from launch import ablation_settings

ablation_settings.AblationSettings:
    env_id = "walker2d"
    pool = "noisy"
    label_trajs = 2
    base = {"quantizer": "none", "joint": "on", "unlabelled": 4, "ahead": "-"}
    changes = {
        "quantizer": {"vq": {"files": ("gin/vq/vq.gin",), "CODE_DIM": 2}},
        "joint": {"off": {"joint": False}},
        "codes": {"vq": {"of": ("quantizer", "vq"), "latent": "quantized"}},
        "unlabelled": {"1": {"NUM_TRAJS": 1}},
        "ahead": {"2": {"model": "laom", "K_STEP_PREDS": 2}},
    }
"""
NUMBERS = {
    "common": COMMON,
    "data": DATA,
    "ablations": ABLATIONS,
    "lam": "include 'gin/vq/none.gin'\nLATENT_DIM = 2\nNUM_UPDATES = 2\n",
    "laom": "LATENT_DIM = 2\nEMBEDDING_DIM = 8\nNUM_UPDATES = 2\n",
    "action_decoder": "NUM_UPDATES = 2\n",
    "policy": "NUM_UPDATES = 2\nRUN_EVAL_ROLLOUTS = True\n",
}


def row(factor, value, seeds, returns, **model):
    return {
        "factor": factor,
        "value": value,
        "seeds": seeds,
        "returns": returns,
        "model": model,
    }


def test_a_variant_is_held_against_cloning_of_its_own_seeds():
    measured = [
        row("-", "random", [0, 1], [[0.0, 20.0]]),
        row("-", "bc_all", [0, 1], [[100.0, 110.0], [200.0, 220.0]]),
        row("base", "", [0, 1], [[50.0, 60.0], [70.0, 80.0]], probe_mlp=[0.5, 0.7]),
        row("quantizer", "vq", [1], [[100.0, 120.0]], perplexity=[2.0]),
    ]
    random, full, base, coded = ablation_table.make_rows(measured)
    assert random["score"] == 0.0 and full["score"] == 1.0
    assert base["mean"] == 65.0 and base["seed_means"] == [55.0, 75.0]
    assert base["ci95"][0] < 65.0 < base["ci95"][1]
    assert base["score"] == pytest.approx((65 - 10) / (157.5 - 10))
    assert coded["score"] == pytest.approx((110 - 10) / (210 - 10))
    rows = [random, full, base, coded]
    lines = ablation_table.table(rows, {"quantizer": "none"}, "returns").splitlines()
    assert lines[4].startswith("| base |  |  | 65 |")
    assert lines[4].endswith("| 55, 75 |  |  | 0.600 |  |  |")
    assert lines[5].startswith("| quantizer | vq | none | 110 |")
    assert lines[5].endswith("|  |  |  |  | 2.0 |")


def test_settings_of_the_repository_change_one_factor_at_a_time():
    settings = ablation_settings.read("gin/presets/ablations/halfcheetah")
    base, *others = settings.variants(["latent_dim", "joint"])
    assert base == ("base", "", {}, (), "lam", True, "base", "continuous", False)
    assert [(v.factor, v.value) for v in others] == [
        ("joint", "off"),
        ("latent_dim", "2"),
        ("latent_dim", "6"),
        ("latent_dim", "32"),
    ]
    assert others[0].macros == {} and not others[0].joint and others[0].decoder_after
    assert others[0].of == others[0].name == "joint_off"
    assert others[1].macros == {"LATENT_DIM": 2} and others[1].joint
    assert set(settings.base) == set(settings.changes)
    with pytest.raises(configs.ConfigError, match="--only is of .* got .'latent'"):
        settings.variants(["latent"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pool": "other"}, "pool is one of expert, medium, noisy, got 'other'"),
        ({"changes": {"a": {"1": {"of": ("b", "2")}}}}, "no variant 'b', '2'"),
        ({"changes": {"a": {"1": {"latent": "x"}}}}, "latent is one of .* got 'x'"),
        ({"changes": {"a": {"1": {"model": "x"}}}}, "model is one of .* got 'x'"),
        ({"label_trajs": 0}, "label_trajs must be at least 1, got 0"),
    ],
)
def test_settings_out_of_range_are_an_error(changed, message):
    given = {"env_id": "walker2d", "pool": "noisy", "label_trajs": 1}
    given |= {"base": {}, "changes": {"context": {"1": {"CONTEXT_LEN": 1}}}}
    with pytest.raises(configs.ConfigError, match=message):
        ablation_settings.AblationSettings(**given | changed)


def test_variants_are_compared_on_the_simulator(tmp_path):
    """On Walker2d, with episodes of 30 steps and stages of 2 updates."""
    preset = tmp_path / "numbers"
    preset.mkdir()
    for name, text in NUMBERS.items():
        (preset / f"{name}.gin").write_text(text)
    out, data = tmp_path / "out", tmp_path / "data"
    given = [f"--preset={preset}", f"--output={out}", f"--data_dir={data}"]
    wrong, absent, done, part = commands.run_all(
        [
            ["ablations", *given, "--seeds=0,x"],
            ["ablations", *given, "--only=latent_dim"],
            ["ablations", *given],
            ["ablations", *given, "--only=joint"],
        ]
    )
    assert wrong["status"] == 2 and "--seeds must be different" in wrong["stderr"]
    assert absent["status"] == 2 and "--only is of ['quantizer'" in absent["stderr"]
    assert done["status"] == 0, done["stderr"][-3000:]
    assert part["status"] == 0, part["stderr"][-3000:]
    some = json.loads((out / "joint/summary.json").read_text())["rows"]
    assert {row["factor"] for row in some} == {"-", "base", "joint"}
    # What is written there is what a document shows.
    table = stored_table.of_summary(json.loads((out / "summary.json").read_text()))
    assert result_tables.markdown(table) == (out / "table.md").read_text()
    assert table["seeds"] == [0] and table["kind"] == "ablations"
    assert [(row["factor"], row["value"]) for row in table["rows"]] == [
        ("-", "random"),
        ("-", "bc_all"),
        ("base", ""),
        ("quantizer", "vq"),
        ("joint", "off"),
        ("codes", "vq"),
        ("unlabelled", "1"),
        ("ahead", "2"),
    ]
    names = ["base", "quantizer_vq", "joint_off", "codes_vq", "unlabelled_1", "ahead_2"]
    for row, name in zip(table["rows"][2:], names, strict=True):
        run = out / "seed-0" / name
        policy = results_lib.read_results(run / "la_bc" / "results.json")
        assert row["returns"] == [np.ravel(policy["rollouts"]["returns"]).tolist()]
        model = out / "seed-0" / ("quantizer_vq" if name == "codes_vq" else name)
        heldout = results_lib.read_results(model / "lam" / "results.json")["heldout"]
        assert row["model"]["copy_frame_ratio"] == [heldout["copy_frame_ratio"]]
        assert row["model"]["probe_linear"][0] <= 1.0
        assert ("perplexity" in row["model"]) == name.endswith("_vq")
    config = (out / "seed-0" / "ahead_2" / "lam" / "config.gin").read_text()
    assert "\nK_STEP_PREDS = 2\n" in config
    # The model and the policy see the same episode.
    for run in ("lam", "la_bc"):
        config = (out / "seed-0" / "unlabelled_1" / run / "config.gin").read_text()
        assert "\nNUM_TRAJS = 1\n" in config
    source = rlds_reader.RldsReader(
        dataset_name="mujoco_dataset/walker2d-steady", data_dir=str(data)
    )
    z, codes = (
        np.load(source.directory / f"latents/ablation-seed-0-codes_vq/train/{name}.npy")
        for name in ("latent_action", "latent_code")
    )
    vq = module_io.load_module(out / "seed-0/quantizer_vq/lam/modules/vq")
    there = codes[:, 0] >= 0
    expected = np.asarray(vq.codes_to_latent(codes[there]))
    assert np.allclose(z[there], expected, atol=1e-6) and there.sum() > 100
    assert not (out / "seed-0" / "codes_vq" / "lam").exists()
