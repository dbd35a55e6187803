"""`train`, which runs one stage from its configuration to its results."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gin
import keras
import tensorflow as tf
from absl import logging

from pdtla import specs
from pdtla import stage as stage_lib
from pdtla.analysis import results as results_lib
from pdtla.training import (
    bindings,
    checkpoints,
    hyperparameters,
    metrics_log,
    own_optimizer,
    preemption,
    run_faults,
    set_up,
    strategies,
)
from pdtla.training import cluster as cluster_lib
from pdtla.training import trainer as trainer_lib
from pdtla.training import workdir as workdir_lib
from pdtla.training.actions import (
    action,
    checkpointing,
    headline,
    heldout_evaluation,
    profiling,
    results_writing,
    rollout_evaluation,
    train_scalars,
)


def train(
    *,
    workdir: str,
    stage: Callable[[], stage_lib.Stage],
    dataset: Callable[[], set_up.Dataset],
    optimizer: Callable[[], keras.optimizers.Optimizer],
    num_updates: int,
    batch_size: int,
    own_optimizers: Sequence[own_optimizer.OwnOptimizer] = (),
    seed: int = 0,
    num_evals: int = 1,
    max_heldout_batches: int = 50,
    log_every: int = 100,
    checkpoint_every: int = 1000,
    keep_checkpoints: int = 2,
    steps_per_loop: int = 10,
    clip_norm: float | None = None,
    precision: str = "float32",
    strategy: str = "one_device",
    jit_compile: bool = False,
    evaluator: Callable[[], rollout_evaluation.RolloutEvaluator] | None = None,
    run_eval_rollouts: bool = False,
    env_id: str = "",
    dataset_name: str = "",
    num_labels: int | None = None,
    progress_bar: bool | None = None,
    mirrors: Sequence[metrics_log.MakeSink] = (),
    profile: tuple[int, int] | None = None,
) -> results_lib.Results:
    """Trains a stage, or goes on where an earlier call with this workdir stopped.

    At SIGTERM or SIGUSR1 it saves its state after the update that it is at, the same
    one at every worker, and exits. A resumed run ends in the state of one that was
    never stopped. That holds for stages whose randomness comes from
    `keras.random.SeedGenerator`s. A finished run returns its results at once.

    Args:
      workdir: directory of the run; one process at a time.
      stage: makes the stage; called once dtype policy, seeds and strategy are set.
      dataset: makes the dataset.
      optimizer: makes the optimizer.
      num_updates: number of updates.
      batch_size: windows in the batch of one update, over all replicas.
      own_optimizers: modules of the stage that other optimizers train.
      seed: of the initial weights, of the order of the data, and of noise.
      num_evals: number of evaluations at most, evenly spread; the last is at the
        end.
      max_heldout_batches: batches of one held-out evaluation, -1 for all; 0 for none,
        where all data is trained on.
      log_every: updates between reports.
      checkpoint_every: updates between checkpoints, 0 for one at the end.
      keep_checkpoints: number of checkpoints kept, the newest ones.
      steps_per_loop: updates in one call of the compiled loop.
      clip_norm: largest global norm of the gradient, None for no clipping.
      precision: `float32` or `mixed_bfloat16`.
      strategy: name of a distribution strategy, see `strategies.make_strategy`; a run
        may go on under another one. Of several workers every one calls with the same
        arguments; the first one, the chief, holds and writes the workdir.
      jit_compile: compile the update with XLA, on one device.
      evaluator: makes the evaluator of rollouts.
      run_eval_rollouts: roll the policy out at every evaluation.
      env_id: name of the environment, for the results.
      dataset_name: name of the dataset, for the results.
      num_labels: labelled steps that the run uses, for the results; None or -1: all.
      progress_bar: show one; None for on a terminal only.
      mirrors: sinks of the record beside metrics.jsonl and TensorBoard.
      profile: `(first, last)` records a trace of the updates after `first`, up to
        `last`, for TensorBoard; other updates are what they are without.

    Returns:
      The contents of `results.json`.

    Raises:
      ConfigError: the run cannot be set up as asked.
      NonFiniteError: training diverged; the last checkpoint is kept.
      RunError: the disk is full, or a stored episode is damaged; it is kept, too.
      Preempted: a signal asked the process to stop; the state is saved.
    """
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(preemption.Preemption())
        with set_up.setting_up():
            set_up.check(
                {
                    "stage": stage,
                    "dataset": dataset,
                    "evaluator": evaluator,
                    "precision": precision,
                    "num_updates": num_updates,
                    "batch_size": batch_size,
                    "steps_per_loop": steps_per_loop,
                    "num_evals": num_evals,
                    "log_every": log_every,
                    "checkpoint_every": checkpoint_every,
                    "keep_checkpoints": keep_checkpoints,
                }
            )
            set_up.check_profile(profile, num_updates)
            cluster = strategies.cluster_of(strategy)
            directory = stack.enter_context(
                workdir_lib.Workdir(workdir, hold=cluster.is_chief)
            )
            if cluster.is_chief:
                directory.claim(gin.config_str(), bindings.unused_macros([train]))
            if directory.is_finished(num_updates):
                logging.info("The run in %s is finished.", workdir)
                return results_lib.read_results(directory.results)
            distribution = strategies.make_strategy(strategy, cluster)
            keras.config.set_dtype_policy(precision)
            keras.utils.set_random_seed(seed)
            data = dataset()
            data_facts = workdir_lib.data_facts(data.fingerprint, data.element_spec)
            workdir_lib.check_data(directory.path, data_facts)
            trainer = _make_trainer(
                stage,
                optimizer,
                data.element_spec,
                strategy=distribution,
                own_optimizers=own_optimizers,
                clip_norm=clip_norm,
                jit_compile=jit_compile,
            )
            rollout_evaluator = _make_evaluator(
                evaluator, run_eval_rollouts and cluster.is_chief, trainer.stage
            )
            if rollout_evaluator is not None:
                rollout_evaluator.check_data(set_up.metadata_of_data(data))
            checkpointer = checkpoints.Checkpointer(
                directory.checkpoints,
                trainer.stage,
                trainer.optimizers,
                max_to_keep=keep_checkpoints,
            )
            _restore(checkpointer, trainer, cluster)
            batches = trainer.distribute(
                data.train_batches(
                    batch_size, seed, start_step=trainer.step, part=cluster.part
                )
            )
            trainer.trace(batches)
            heldout_batches = None
            if max_heldout_batches:
                heldout_batches = data.heldout_batches(batch_size)
                heldout_batches = heldout_batches.take(max_heldout_batches)
        stack.enter_context(
            run_faults.explained(directory.path, set_up.check_of_data(data))
        )
        if cluster.is_chief:
            directory.begin(gin.config_str(), gin.operative_config_str(), data_facts)
        log = metrics_log.MetricsLog(
            directory.path,
            step=trainer.step,
            mirrors=mirrors,
            silent=not cluster.is_chief,
        )
        stack.callback(log.close)
        log.hyperparameters(hyperparameters.hyperparameters(train))
        if trainer.step == 0:
            log.text(0, "train", "config", gin.markdown(gin.config_str()))
        progress = train_scalars.TrainScalars(
            log_every,
            checkpoint_every,
            log=log,
            trainer=trainer,
            num_updates=num_updates,
            progress_bar=progress_bar if cluster.is_chief else False,
            kept=directory.path / "unreported.json",
        )
        stack.callback(progress.close)
        reports = _make_reports(
            directory=directory,
            log=log,
            stage=trainer.stage,
            interval=-(-num_updates // num_evals),
            heldout_batches=heldout_batches,
            evaluator=rollout_evaluator,
            checkpointer=checkpointer,
            num_frames=batch_size * _num_steps(data.element_spec),
            facts={
                "stage": type(trainer.stage).__name__,
                "env_id": env_id,
                "dataset": dataset_name,
                "dataset_fingerprint": data.fingerprint,
                "seed": seed,
                "labels": None if num_labels == -1 else num_labels,
            },
        )
        saving = checkpointing.Checkpointing(
            checkpoint_every,
            checkpointer=checkpointer,
            log=log,
            modules=trainer.stage.modules(),
            directory=directory.modules,
            metadata={"dataset_fingerprint": data.fingerprint},
        )
        profiling_actions = []
        if profile and cluster.is_chief:
            profiler = profiling.Profiling(*profile, directory=directory.path)
            stack.callback(profiler.close)
            profiling_actions.append(profiler)
        signals.call(trainer.stop)
        _run_updates(
            trainer,
            batches,
            [progress, *reports, saving, *profiling_actions],
            num_updates,
            steps_per_loop,
            acts=cluster.is_chief,
        )
        log.finished()
        cluster_lib.value_of_chief(distribution, num_updates)  # the results are there
        return results_lib.read_results(directory.results)


def _run_updates(
    trainer: trainer_lib.Trainer,
    batches: Iterator,
    actions: Sequence[action.Action],
    num_updates: int,
    steps_per_loop: int,
    acts: bool,
) -> None:
    """Trains, and stops at every step at which an action is due.

    Workers that do not act stop as well: their loops are those of the chief.
    """
    step = trainer.step
    while step < num_updates:
        # Loops end at multiples of their length, so that a resumed run has the same
        # ones as a run that was never stopped.
        loop_end = (step // steps_per_loop + 1) * steps_per_loop
        due = min(action.next_step(step) for action in actions)
        num_steps = int(min(loop_end, due, num_updates)) - step
        scalars = trainer.train(batches, num_steps)
        num_steps, step = trainer.step - step, trainer.step
        stops = trainer.stopped and step < num_updates
        if acts:
            for each in actions:
                each.observe(scalars, num_steps)
            for each in actions:
                if each.is_due(step) or step == num_updates:
                    each.run(step)
                elif stops:
                    each.stop(step)
        if stops:
            # The others wait for the chief's checkpoint: it cannot go on without them.
            cluster_lib.value_of_chief(trainer.strategy, step)
            logging.info("Stopped after update %d; the same command goes on.", step)
            raise preemption.Preempted


def _make_trainer(
    make_stage: Callable[[], stage_lib.Stage],
    make_optimizer: Callable[[], keras.optimizers.Optimizer],
    element_spec: specs.ElementSpec,
    *,
    strategy: tf.distribute.Strategy,
    **settings: Any,
) -> trainer_lib.Trainer:
    with strategy.scope():
        stage = make_stage()
        stage.build(element_spec)
        optimizer = make_optimizer()
    sizes = [math.prod(variable.shape) for variable in stage.trainable_variables]
    logging.info("%s learns %s parameters.", type(stage).__name__, f"{sum(sizes):,}")
    return trainer_lib.Trainer(stage, optimizer, strategy=strategy, **settings)


def _restore(
    checkpointer: checkpoints.Checkpointer,
    trainer: trainer_lib.Trainer,
    cluster: cluster_lib.Cluster,
) -> None:
    """Restores the newest whole checkpoint, the same one at every worker."""
    if cluster.is_chief:
        checkpointer.restore_latest()
    if cluster.size > 1:
        step = cluster_lib.value_of_chief(trainer.strategy, trainer.step)
        if not cluster.is_chief and step:
            try:
                checkpointer.restore(step)
            except ValueError as error:
                raise ValueError(
                    f"The chief restored update {step}, this worker cannot: {error}"
                ) from error


def _make_evaluator(
    make: Callable[[], rollout_evaluation.RolloutEvaluator] | None,
    wanted: bool,
    stage: stage_lib.Stage,
) -> rollout_evaluation.RolloutEvaluator | None:
    if not wanted:
        return None
    if make is None:
        raise ValueError("RUN_EVAL_ROLLOUTS needs an EVALUATOR, got None.")
    if stage.policy() is None:
        raise ValueError(
            f"RUN_EVAL_ROLLOUTS needs a stage that acts; {type(stage).__name__} has no "
            "policy."
        )
    return make()


def _make_reports(
    *,
    directory: workdir_lib.Workdir,
    log: metrics_log.MetricsLog,
    stage: stage_lib.Stage,
    interval: int,
    heldout_batches: tf.data.Dataset | None,
    evaluator: rollout_evaluation.RolloutEvaluator | None,
    checkpointer: checkpoints.Checkpointer,
    num_frames: int,
    facts: results_lib.Results,
) -> list[action.Action]:
    """Evaluations and, after them, the results."""
    heldout = rollouts = None
    if heldout_batches is not None:
        heldout = heldout_evaluation.HeldoutEvaluation(
            interval, stage=stage, batches=heldout_batches, log=log
        )
    if evaluator is not None:
        rollouts = rollout_evaluation.RolloutEvaluation(
            interval,
            evaluator=evaluator,
            stage=stage,
            log=log,
            directory=directory.path / "rollouts",
        )
    compared = headline.Headline(interval, log=log, heldout=heldout, rollouts=rollouts)
    results = results_writing.ResultsWriting(
        directory.results,
        facts=facts,
        num_frames=num_frames,
        checkpointer=checkpointer,
        heldout=heldout,
        rollouts=rollouts,
    )
    return [each for each in (heldout, rollouts, compared, results) if each is not None]


def _num_steps(element_spec: specs.ElementSpec) -> int:
    spec = element_spec.get(specs.OBSERVATION)
    return spec.shape[0] if isinstance(spec, specs.ArraySpec) else 1
