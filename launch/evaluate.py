r"""Rolls out the policy of a run, from its last checkpoint, on the evaluation levels.

    python -m launch.evaluate --run=runs/bc --num_rollouts=400

The run's own configuration says which levels these are. The outcome goes to the
`rollouts` section of the run's `results.json`, or with `--name` to a file of that name
in its `evaluations/`, and as a video to its `rollouts/`.

    python -m launch.evaluate --run=runs/bc --follow

evaluates every checkpoint that another process writes to the run, as it appears, until
the run has finished; the same command goes on where it was stopped.
"""

import pathlib
import re
from typing import Any

from absl import app, flags, logging

from launch import follow, trained_run
from pdtla.analysis import results as results_lib
from pdtla.policies import latent_behavioral_cloning
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.rollouts import video
from pdtla.training import configs
from pdtla.training.saved_variables import MismatchError

_RUN = flags.DEFINE_string("run", None, "Workdir of the run.")
_NUM_ROLLOUTS = flags.DEFINE_integer("num_rollouts", None, "Episodes to play.")
_EPISODES_PER_SLOT = flags.DEFINE_integer(
    "episodes_per_slot", None, "Episodes that each environment plays in a row."
)
_GREEDY = flags.DEFINE_bool(
    "greedy", None, "Most likely actions only, or (--nogreedy) sampled ones; else both."
)
_SEED = flags.DEFINE_integer("seed", None, "Seed of the levels and sampled actions.")
_NAME = flags.DEFINE_string(
    "name", None, "Keep the outcome as evaluations/<name>.json instead."
)
_DECODER_RUN = flags.DEFINE_string(
    "decoder_run", None, "Run whose action decoder a latent policy acts through."
)
_FOLLOW = flags.DEFINE_bool(
    "follow", False, "Evaluate every checkpoint of a run while it is being trained."
)
_RECORD = flags.DEFINE_integer(
    "record", None, "Episodes to show in the video, by default as in training (RECORD)."
)


def asked() -> dict[str, Any]:
    """What of the command line changes an evaluation, but for its number of episodes.

    Empty for that of the run's own configuration.
    """
    given = {
        "files": flags.FLAGS.gin_file,
        "bindings": flags.FLAGS.gin_bindings,
        "decoder": _DECODER_RUN.value,
        "episodes_per_slot": _EPISODES_PER_SLOT.value,
        "seed": _SEED.value,
    }
    return {name: value for name, value in given.items() if value not in (None, [])}


def keep(run: str, name: str, section: results_lib.Results) -> None:
    """Writes the section to a file of its own, with what it was asked for."""
    workdir = pathlib.Path(run)
    settings = {"config": (workdir / "config.gin").read_text()} | asked()
    path = workdir / "evaluations" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    results_lib.write_json(path, {"settings": settings, "rollouts": section})


def table(section: results_lib.Results) -> str:
    """The outcome as lines of text, one for each way of acting."""
    solves = "success_rate" in section
    lines = [
        f"{'actions':<10}{'episodes':>9}{'mean':>9}{'95% interval':>18}{'IQM':>9}"
        + f"{'success':>9}" * solves
    ]
    for row in (section, *section.get("other_modes", ())):
        low, high = row["ci95"]
        interval = f"{low:.2f} to {high:.2f}"
        lines.append(
            f"{row['mode']:<10}{row['episodes']:>9}{row['mean']:>9.2f}"
            f"{interval:>18}{row['iqm']:>9.2f}"
            + (f"{row['success_rate']:>9.0%}" if solves else "")
        )
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    if not _RUN.value:
        raise configs.ConfigError("--run must be set: the workdir of a trained run.")
    if _FOLLOW.value and _NAME.value:
        raise configs.ConfigError("--follow evaluates many times: it takes no --name.")
    workdir = pathlib.Path(_RUN.value)
    if _FOLLOW.value:
        follow.stop_at_signals()
        follow.wait_for_checkpoint(workdir)
    try:
        settings = trained_run.read_settings(
            _RUN.value, flags.FLAGS.gin_file, flags.FLAGS.gin_bindings
        )
        run = trained_run.build_run(_RUN.value, settings)
        _check_decoder(run)
        if _DECODER_RUN.value:
            run = trained_run.with_decoder(run, _DECODER_RUN.value)
        evaluator = _make_evaluator(run)
        if _FOLLOW.value:
            follower = follow.Follower(workdir, run, evaluator, asked())
        else:
            run = trained_run.restore_latest(run)
    except (ValueError, OSError) as error:
        raise configs.ConfigError(configs.one_line(error)) from error
    if not _FOLLOW.value:
        _evaluate(run, evaluator)
        return
    try:
        follower.follow()
    except MismatchError as error:
        raise configs.ConfigError(str(error)) from error
    finally:
        follower.close()


def _check_decoder(run: trained_run.Run) -> None:
    """A latent policy's own decoder is restored with it, whatever DECODER_RUN says."""
    named = any(re.match(r"DECODER_RUN\s*=", each) for each in flags.FLAGS.gin_bindings)
    of_latents = latent_behavioral_cloning.LatentBehavioralCloning
    if named and isinstance(run.stage, of_latents):
        raise configs.ConfigError(
            "The decoder of a latent policy is restored with it; act through another "
            "one by --decoder_run, not DECODER_RUN."
        )


def _make_evaluator(run: trained_run.Run) -> evaluator_lib.Evaluator:
    modes = {
        None: None,
        True: (evaluator_lib.GREEDY,),
        False: (evaluator_lib.SAMPLED,),
    }
    return trained_run.make_evaluator(
        run,
        num_rollouts=_NUM_ROLLOUTS.value,
        episodes_per_slot=_EPISODES_PER_SLOT.value,
        seed=_SEED.value,
        modes=modes[_GREEDY.value],
        record=_RECORD.value,
    )


def _evaluate(run: trained_run.Run, evaluator: evaluator_lib.Evaluator) -> None:
    """Evaluates once, and writes down what was found."""
    evaluation = evaluator(run.stage, run.step)
    section = evaluator.section(evaluation) | {"step": run.step, "asked": asked()}
    if _NAME.value:
        keep(_RUN.value, _NAME.value, section)
    else:
        follow.add_rollouts(pathlib.Path(_RUN.value), section)
    for mode, result in evaluation.rollouts.items():
        if result.videos:
            name = f"step-{run.step}-{mode}.gif"
            path = pathlib.Path(_RUN.value) / "rollouts" / name
            video.write_gif(path, result.videos)
            logging.info("Video: %s", path)
    logging.info("Step %d of %s:\n%s", run.step, _RUN.value, table(section))


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
