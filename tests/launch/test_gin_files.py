"""Every gin file, used the way a person uses it."""

import json

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs

from pdtla import specs
from pdtla.analysis import results as results_lib
from pdtla.datasets import build
from pdtla.training import configs
from pdtla.training import train as train_lib

GIN = configs.REPOSITORY / "gin"
STAGES = {
    "action_decoder": {"decoder"},
    "bc": {"policy"},
    "dt": {"policy"},
    "la_bc": {"policy"},
    "lam": {"idm", "vq", "fdm"},
    "laom": {"idm"},
    "laom_and_action_decoder": {"idm", "decoder"},
    "lam_and_action_decoder": {"idm", "vq", "fdm", "decoder"},
    "lam_hierarchical": {"idm", "vq", "fdm", "skill"},
    "pdtla": {"policy"},
    "vpt": {"idm", "decoder"},
}
# Sequences have labels by the trajectory.
UNLABELLED = ("dt", "la_bc", "lam", "lam_hierarchical", "laom", "pdtla")
TWO_UPDATES = ("NUM_UPDATES = 2", "NUM_EVALS = 1")


def names(directory):
    return sorted(path.stem for path in (GIN / directory).glob("*.gin"))


def test_every_stage_is_tested():
    assert names("stages") == sorted(STAGES)


def check_run(workdir, stage, step, labels):
    results = results_lib.read_results(workdir / "results.json")
    assert (results["step"], results["labels"]) == (step, labels)
    assert results["env_id"] == "maze"
    assert all(np.isfinite(value) for value in results["heldout"].values())
    latest = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
    assert latest.endswith(f"ckpt-{step}")
    assert set(tiny_runs.digests(workdir)) == STAGES[stage]
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    trained = [json.loads(line) for line in lines if '"train"' in line]
    assert trained[-1]["step"] == step and trained[-1]["loss"] > 0


def test_joint_stage_trains(lam):
    check_run(lam, "lam_and_action_decoder", step=4, labels=16)


@pytest.mark.parametrize("stage", sorted(STAGES.keys() - {"lam_and_action_decoder"}))
def test_stage_trains(stage, maze, lam, tmp_path):
    labels = None if stage in UNLABELLED else 16
    bindings = [tiny_runs.LABELS] if labels else []
    tiny_runs.train(stage, maze, tmp_path, *bindings, *TWO_UPDATES)
    check_run(tmp_path, stage, step=2, labels=labels)


def test_rollouts_in_training(maze, lam, decoder, tmp_path):
    results = tiny_runs.train(
        "la_bc",
        maze,
        tmp_path,
        *TWO_UPDATES,
        "RUN_EVAL_ROLLOUTS = True",
        f"DECODER_RUN = {str(decoder)!r}",
        "RECORD = 1",
    )
    returns = np.array(results["rollouts"]["returns"])
    assert returns.shape == (2, 1) and set(returns.ravel()) <= {0.0, 10.0}
    assert len(list((tmp_path / "rollouts").glob("*.gif"))) >= 1


def test_decoded_actions_replace_those_of_the_dataset(maze, lam, tmp_path):
    bindings = ["LOAD_LATENT_ACTIONS = 'lam'", "REPLACE_ACTION_WITH_LA = True"]
    configs.parse_gin(
        tiny_runs.files("bc"),
        [f"DATA_DIR = {str(maze)!r}", *bindings],
        roots=[train_lib.train],
    )
    data = gin.get_bindings(train_lib.train)["dataset"]()
    assert set(data.element_spec) == {"observation", "action", *_LATENTS}
    stored = np.load(
        next(maze.glob("procgen_dataset/maze/*/latents/lam/train/action.npy"))
    )
    taken = next(iter(data.ordered_batches(512)))["action"].numpy()[:, 0]
    np.testing.assert_array_equal(taken, stored[data.train_bases])
    assert np.any(taken != tiny_runs.read(maze).array("action")[data.train_bases])


_LATENTS = (specs.LATENT_ACTION, specs.LATENT_CODE)

_IMAGES = specs.ArraySpec((3, 64, 64, 3), "uint8")
_STATES = specs.ArraySpec((3, 17), "float32", mean=(1.0,) * 17, std=(2.0,) * 17)
_IMPALA = {"channels": (16, 32, 32), "scale": 1, "pooling": "flatten"}
_WINDOWS = "SpaceTimeEncoder"

# file: slot, class, the sizes by which to know it, and what it observes
SLOTS = {
    "encoders/by_observation": ("idm.encoder", "ImpalaCNN", _IMPALA, _IMAGES),
    "encoders/frames_difference": (
        "idm.frames",
        "FrameStack",
        {"mode": "difference"},
        _IMAGES,
    ),
    "encoders/frames_stack": ("idm.frames", "FrameStack", {"mode": "stack"}, _IMAGES),
    "encoders/impala_cnn": ("idm.encoder", "ImpalaCNN", _IMPALA, _IMAGES),
    "encoders/mlp": ("idm.encoder", "MLP", {"hidden": (256, 256)}, _STATES),
    "encoders/patched_unet": ("fdm.decoder", "Patched", {"size": 4}, _IMAGES),
    "encoders/space_time": ("idm.encoder", _WINDOWS, {"width": 256}, _IMAGES),
    "encoders/space_time_cpu": ("idm.encoder", _WINDOWS, {"width": 64}, _IMAGES),
    "encoders/temporal": ("idm.encoder", _WINDOWS, {"width": 512}, _STATES),
    "encoders/temporal_cpu": ("idm.encoder", _WINDOWS, {"width": 64}, _STATES),
    "encoders/unet": ("fdm.decoder", "UNet", {"base": 24, "out_channels": 3}, _IMAGES),
    "encoders/vit": (
        "idm.encoder",
        _WINDOWS,
        {"width": 256, "num_layers": 6, "num_heads": 8, "patch_size": 8},
        _IMAGES,
    ),
    "encoders/vit_cpu": ("idm.encoder", _WINDOWS, {"width": 64}, _IMAGES),
    "vq/fsq": ("vq", "FiniteScalarQuantizer", {"levels": (8, 6, 5)}, _STATES),
    "vq/none": ("vq", "IdentityQuantizer", {"dim": 128}, _IMAGES),
    "vq/nsvq": ("vq", "NoiseSubstitutionQuantizer", {"num_codes": 8}, _STATES),
    "vq/residual_fsq": (
        "vq",
        "ResidualFiniteScalarQuantizer",
        {"levels": (8, 6, 5), "num_quantizers": 2},
        _STATES,
    ),
    "vq/residual_vq": ("vq", "ResidualQuantizer", {"num_quantizers": 2}, _STATES),
    "vq/vae": ("vq", "GaussianLatent", {"dim": 128}, _STATES),
    "vq/vq": (
        "vq",
        "VectorQuantizer",
        {"num_codes": 64, "num_codebooks": 2, "num_latents": 4, "code_dim": 16},
        _IMAGES,
    ),
}


def test_every_slot_is_tested():
    found = [f"{kind}/{name}" for kind in ("encoders", "vq") for name in names(kind)]
    assert found == sorted(SLOTS)


@pytest.mark.parametrize("file", SLOTS)
def test_slot_swaps_in(file):
    """At the size of the file, into a stage that then computes with it."""
    path, cls, sizes, observation = SLOTS[file]
    configs.parse_gin(
        ["gin/stages/lam.gin", f"gin/{file}.gin", "gin/envs/procgen.gin"],
        ["ENV_ID = 'maze'"],
        roots=[train_lib.train],
    )
    stage = gin.get_bindings(train_lib.train)["stage"]()
    stage.build({"observation": observation})
    layer = stage
    for name in path.split("."):
        layer = getattr(layer, name)
    assert type(layer).__name__ == cls
    assert {name: getattr(layer, name) for name in sizes} == sizes
    window = np.random.default_rng(0).integers(0, 256, (2, *observation.shape))
    batch = {"observation": tf.constant(window.astype(observation.dtype))}
    losses, _ = stage(batch, training=True)
    assert all(np.isfinite(loss) for loss in losses.values())
    # Images get an encoder that reads images, where a relative's default was an MLP.
    convolutions = [
        each
        for each in stage.idm.encoder._flatten_layers()
        if isinstance(each, keras.layers.Conv2D)
    ]
    reads_pixels = observation.is_image and not stage.idm.over_windows
    assert len(convolutions) == (15 if reads_pixels else 0)


PRESETS = ("bigfish", "bigfish_gpu", "quickstart", "smoke")
NUMBERS = {
    "action_decoder": ["action_decoder"],
    "lam": ["lam", "lam_and_action_decoder"],
    "policy": ["bc", "la_bc"],
    "policy_few": ["bc"],
    "vpt": ["vpt"],
}


# Those of launch.label_budget name a folder of configurations.
SINGLE = sorted(
    path.stem
    for path in (GIN / "presets").glob("*.gin")
    if not path.stem.startswith("label_budget")
)


def test_every_published_size_has_one_for_a_cpu():
    assert {name.removesuffix("_cpu") + "_cpu" for name in SINGLE} < set(SINGLE)


@pytest.mark.parametrize("preset", SINGLE)
def test_single_preset_is_a_whole_configuration(preset):
    whole = preset.startswith(("clam", "dt", "pdtla", "prompt", "raparthy"))
    bindings = [] if whole else ["ENV_ID = 'maze'"]
    files = [f"gin/presets/{preset}.gin"]
    configs.parse_gin(files, bindings, roots=[train_lib.train])
    assert gin.get_bindings(train_lib.train)["stage"]() is not None


def test_decoder_of_clam_has_an_optimizer_of_its_own():
    configs.parse_gin(["gin/presets/clam.gin"], [], roots=[train_lib.train])
    bindings = gin.get_bindings(train_lib.train)
    stage, (own,) = bindings["stage"](), bindings["own_optimizers"]
    assert own.module == "decoder" and own.every == stage.action_loss_every == 2
    assert stage.action_hidden == (1024, 1024, 1024)
    optimizers = {"lam": bindings["optimizer"](), "decoder": own.optimizer()}
    published = {"lam": (3e-4, 1e-3, 25_000), "decoder": (1e-3, 0.01, 0)}
    for name, optimizer in optimizers.items():
        schedule = optimizer._learning_rate
        found = (schedule.peak, optimizer.weight_decay, schedule.warmup_steps)
        assert found == published[name]


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_is_a_whole_configuration(preset):
    """What `--dry_run` checks: every file parses, and every value is used."""
    folder = f"presets/{preset}"
    assert set(names(folder)) == {"common", "data", *NUMBERS}
    environment = ["gin/envs/procgen.gin", f"gin/{folder}/common.gin"]
    for numbers, stages in NUMBERS.items():
        for stage in stages:
            files = [*environment, f"gin/stages/{stage}.gin"]
            configs.parse_gin(
                [*files, f"gin/{folder}/{numbers}.gin"], [], roots=[train_lib.train]
            )
            before = gin.config_str()
            configs.parse_gin(files, [], roots=[train_lib.train])
            assert gin.config_str() != before, f"{numbers}.gin changes nothing"
    configs.parse_gin(
        [*environment, f"gin/{folder}/data.gin"],
        [],
        roots=[build.build],
        base_file="gin/data/build.gin",
    )
    game = "bigfish" if preset.startswith("bigfish") else "maze"
    assert gin.query_parameter("ENV_ID/gin.macro.value") == game


# The first word of a file's name: the stage that it has numbers for.
FEW = {
    "action": "action_decoder",
    "lam": "lam",
    "laom": "laom_and_action_decoder",
    "policy": "bc",
    "transformer": "pdtla",
    "vpt": "vpt",
}


@pytest.mark.parametrize(
    ("preset", "data"),
    [
        ("ablations/halfcheetah", "mujoco_dataset/hopper-expert"),
        ("few_labels", "mujoco_dataset/hopper-expert"),
        ("few_labels_metaworld", "metaworld_dataset/reach"),
        ("few_labels_procgen", "procgen_dataset"),
        ("prompting", "mujoco_dataset/halfcheetah-vel-expert"),
    ],
)
def test_presets_of_comparisons_are_whole_configurations(preset, data):
    common = f"gin/presets/{preset}/common.gin"
    given = [f"DATASET_NAME = {data!r}", "ENV_ID = 'reach'"]
    for name in names(f"presets/{preset}"):
        if name in ("ablations", "common", "data"):
            continue
        stage = f"gin/stages/{FEW[name.partition('_')[0]]}.gin"
        files = [common, stage, f"gin/presets/{preset}/{name}.gin"]
        configs.parse_gin(files, given, roots=[train_lib.train])
        assert gin.get_bindings(train_lib.train)["stage"]() is not None


@pytest.mark.parametrize("preset", PRESETS)
def test_methods_of_a_preset_share_network_and_optimiser(preset):
    """All cloned policies differ by their data alone, as all labellers do."""
    shared = ("encoder", "batch_size", "precision", "num_updates")

    def network(stage, numbers):
        environment = ["gin/envs/procgen.gin", f"gin/presets/{preset}/common.gin"]
        numbers = f"gin/presets/{preset}/{numbers}.gin"
        files = [*environment, f"gin/stages/{stage}.gin", numbers]
        configs.parse_gin(files, [], roots=[train_lib.train])
        bindings = gin.get_bindings(train_lib.train)
        encoder = bindings["stage"]().encoder.image.get_config()
        encoder.pop("name")
        return encoder, [bindings[name] for name in shared[1:]]

    assert network("bc", "policy") == network("la_bc", "policy")
