"""Wrong input to the real programs: one line, exit status 2, before any work."""

import re
import shutil

import commands
import numpy as np
import pytest
import tiny_runs

from pdtla import specs
from pdtla.datasets.latent_store import LatentStore
from pdtla.training import configs


def train(stage, data_dir, workdir, *arguments):
    return [
        "train",
        *(f"--gin_file={file}" for file in tiny_runs.files(stage)),
        f"--gin.DATA_DIR={data_dir}",
        f"--workdir={workdir}",
        *arguments,
    ]


def labelled(stage, data_dir, workdir, *arguments):
    return train(stage, data_dir, workdir, "--gin.NUM_EXAMPLES=16", *arguments)


def copy_of(data_dir, target):
    shutil.copytree(data_dir, target)
    (dataset,) = target.glob("procgen_dataset/maze/*")
    return dataset


def damage(kind, maze, target):
    """A copy of the data with one kind of damage."""
    dataset = copy_of(maze, target)
    if kind == "shard":
        shutil.rmtree(dataset / "decoded")
        shutil.rmtree(dataset / "latents")
        tiny_runs.cut(next(dataset.glob("*-train.tfrecord-*")))
    elif kind == "latents":
        tiny_runs.cut(dataset / "latents/lam/train/latent_action.npy")
    elif kind == "other_data":
        shutil.rmtree(dataset / "decoded")
        tiny_runs.rewrite_actions(target, lambda start, actions: [0] * len(actions))
    return target


def damaged_run(lam, target):
    shutil.copytree(lam, target)
    tiny_runs.cut(next((target / "modules" / "idm").glob("weights-*.npz")))
    return target


def wide_decoder(maze, target):
    """A decoder of another latent than that of `lam`."""
    fields = {"latent_action": specs.ArraySpec((24,), "float32")}
    store = LatentStore(tiny_runs.read(maze), "wide")
    writer = store.writer(fields, "made up")
    writer.write({"latent_action": np.ones((writer.num_transitions, 24), "float32")})
    writer.close()
    tiny_runs.train(
        "action_decoder",
        maze,
        target,
        tiny_runs.LABELS,
        "LOAD_LATENT_ACTIONS = 'wide'",
        "NUM_UPDATES = 1",
        "NUM_EVALS = 1",
    )
    return target


def make_cases(maze, lam, base):
    """Name: command and the message it must end in."""
    new = base / "new"
    wide = wide_decoder(maze, base / "wide")
    relabel = ["relabel", f"--run={lam}", "--name=x"]
    quickstart = ["quickstart", "--preset=gin/presets/smoke", f"--output={new}"]
    return {
        "missing_dataset": (
            train("bc", base / "nothing", new),
            r"There is no dataset procgen_dataset/maze in .*nothing",
        ),
        "unknown_game": (
            train("bc", maze, new, "--gin.ENV_ID=bigfisch"),
            r"There is no dataset procgen_dataset/bigfisch in .*maze",
        ),
        "typo_in_a_macro": (
            train("bc", maze, new, "--gin.BATCH_SISE=8"),
            r"Unknown macro BATCH_SISE .*Did you mean BATCH_SIZE",
        ),
        "typo_in_a_binding": (
            train("bc", maze, new, "--gin_bindings=ImpalaCNN.chanels = (2,)"),
            r"no parameter '?chanels.*Did you mean channels",
        ),
        "typo_in_a_file_name": (
            ["train", "--gin_file=gin/stages/la_b.gin", f"--workdir={new}"],
            r"No gin file 'gin/stages/la_b.gin'.*gin/stages/la_bc.gin",
        ),
        "more_examples_than_there_are": (
            train("bc", maze, new, "--gin.NUM_EXAMPLES=100000"),
            r"num_examples must be at most the \d+ training transitions, got 100000",
        ),
        "unknown_latents": (
            train("la_bc", maze, new, "--gin.LOAD_LATENT_ACTIONS=lem"),
            r"There are no latents 'lem' beside .*there are \[.*'lam'",
        ),
        "latents_of_another_dataset": (
            train("la_bc", damage("other_data", maze, base / "other"), new),
            r"Latents 'lam' were made for dataset fingerprint \w{16} but this dataset",
        ),
        "truncated_shard": (
            train("bc", damage("shard", maze, base / "shard"), new),
            r"procgen_dataset-train.tfrecord-\S* (is damaged|lacks an episode)",
        ),
        "truncated_latents": (
            train("la_bc", damage("latents", maze, base / "latents"), new),
            r"latent_action.npy is damaged",
        ),
        "truncated_module": (
            ["relabel", f"--run={damaged_run(lam, base / 'run')}", "--name=x"],
            r"weights of a saved module are damaged: .*weights-\w+.npz",
        ),
        "decoder_of_another_width_in_relabelling": (
            [*relabel, f"--decoder_run={wide}"],
            r"The decoder of .*wide takes latents of width 24; this IDM's have 8",
        ),
        "decoder_of_another_width_in_a_policy": (
            train("la_bc", maze, new, f"--gin.DECODER_RUN={wide}"),
            r"The decoder of .*wide takes latents of width 24; .* have width 8",
        ),
        "workdir_of_another_configuration": (
            labelled(tiny_runs.LAM, maze, lam, "--gin.SEED=7"),
            r"The workdir .*lam holds a run of another configuration: SEED was 0, is 7",
        ),
        "missing_run": (
            ["relabel", f"--run={base / 'nothing'}", "--name=x"],
            r"There is no run in .*nothing: no config.gin",
        ),
        "run_without_decoder": (
            train("la_bc", maze, new, f"--gin.DECODER_RUN={base / 'nothing'}"),
            r"There is no saved module in .*nothing/modules/decoder",
        ),
        "name_that_is_a_path": (
            ["relabel", f"--run={lam}", "--name=../x"],
            r"Latents are named with letters, digits .*, got '../x'",
        ),
        "batch_size_of_nothing": (
            [*relabel, "--batch_size=0"],
            r"batch_size must be at least 1, got 0",
        ),
        "no_workdir": (
            ["train", *(f"--gin_file={f}" for f in tiny_runs.files("bc"))],
            r"--workdir must be set",
        ),
        "seed_that_is_no_number": (
            [*quickstart, "--seeds=a,1"],
            r"--seeds must be different integers of at least 0, got \['a', '1'\]",
        ),
        "rollouts_elsewhere": (
            train(
                *("bc", maze, new, "--gin.RUN_EVAL_ROLLOUTS=True"),
                *("--gin.USE_BACKGROUNDS=True", "--gin.MAX_EPISODE_STEPS=20"),
            ),
            r"that of the dataset: use_backgrounds=True \(not False\), "
            r"max_episode_steps=20 \(not 16\)\. .*SAME_ENV = False",
        ),
        "no_labels": ([*quickstart, "--labels=0"], r"--labels=0: 0 is not a positive"),
        "same_seed_twice": ([*quickstart, "--seeds=1,1"], r"--seeds must be different"),
        "unknown_preset": (
            ["quickstart", "--preset=gin/presets/smok", f"--output={new}"],
            r"gin/presets/smok.*Did you mean .*gin/presets/smoke",
        ),
    }


@pytest.fixture(scope="module")
def outcomes(maze, lam, decoder, tmp_path_factory):
    """What every command ended in; the decoder is there for the copies."""
    base = tmp_path_factory.mktemp("wrong_input")
    cases = make_cases(maze, lam, base)
    found = commands.run_all([command for command, _ in cases.values()])
    assert not (base / "new" / "checkpoints").exists()
    return {
        name: (found[number], message)
        for number, (name, (_, message)) in enumerate(cases.items())
    }


def test_one_line_and_status_2(outcomes, subtests):
    for name, (outcome, message) in outcomes.items():
        with subtests.test(name):
            lines = outcome["stderr"].splitlines()
            assert outcome["status"] == 2, lines[-3:]
            assert "Traceback" not in outcome["stderr"]
            (line,) = [line for line in lines if line.startswith("error: ")]
            assert line == lines[-1]
            assert re.search(message, line), line


def test_a_run_does_not_go_on_with_other_data(maze, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    dataset = copy_of(maze, data)
    arguments = ("bc", data, run, "NUM_UPDATES = 2", "NUM_EVALS = 1")
    tiny_runs.train(*arguments)
    (run / "results.json").unlink()  # as if it had been stopped
    shutil.rmtree(dataset / "decoded")
    tiny_runs.rewrite_actions(data, lambda start, actions: [0] * len(actions))
    with pytest.raises(configs.ConfigError, match=r"other data .*another fingerprint"):
        tiny_runs.train(*arguments)
