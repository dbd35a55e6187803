"""Which fields the steps of windows have, and what is known about them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pdtla import specs
from pdtla.datasets import field_statistics, latent_store, rlds_reader, subsets


def step_spec(
    source: rlds_reader.RldsReader,
    fields: Sequence[str],
    *,
    train_frac: float,
    statistics_source: rlds_reader.RldsReader,
    store: latent_store.LatentStore | None,
    replace_action: bool,
) -> dict[str, specs.ArraySpec]:
    """The spec of one step, with statistics of states and the bounds of actions.

    Args:
      source: the dataset.
      fields: names of its fields, or `return_to_go`.
      train_frac: fraction of the trajectories whose statistics are taken.
      statistics_source: the dataset that the statistics of states are of.
      store: latents whose fields join.
      replace_action: take actions from the latents.

    Raises:
      ValueError: a field that there is not, or no latents to take actions from.
    """
    _check_fields(source, fields)
    spec = {field: _known(source)[field] for field in fields}
    if specs.OBSERVATION in spec:
        spec[specs.OBSERVATION] = field_statistics.standardized(
            spec[specs.OBSERVATION],
            statistics_source,
            subsets.count_training(len(statistics_source.lengths), train_frac),
        )
    if specs.ACTION in spec:
        spec[specs.ACTION] = field_statistics.bounded(
            spec[specs.ACTION],
            source,
            subsets.count_training(len(source.lengths), train_frac),
        )
    if store is None:
        if replace_action:
            raise ValueError("replace_action_with_latent needs the name of latents.")
        return spec
    latents = store.element_spec
    action = latents.pop(specs.ACTION, None)
    if replace_action:
        if action is None:
            raise ValueError(
                f"{store.directory} holds no actions, which "
                "replace_action_with_latent needs."
            )
        # Latents keep shapes and types alone.
        bounds = spec.get(specs.ACTION) or source.element_spec.get(specs.ACTION, action)
        spec[specs.ACTION] = dataclasses.replace(
            action, minimum=bounds.minimum, maximum=bounds.maximum
        )
    return spec | latents


def arrays(source: rlds_reader.RldsReader, field: str) -> tuple[np.ndarray, ...]:
    """All steps of a field of the dataset, or of `return_to_go`, end to end."""
    if field != specs.RETURN_TO_GO:
        return source.arrays(field)
    reward = np.array(source.array(specs.REWARD), np.float64)
    last = source.starts + source.lengths - 1
    if not source.last_step_valid:
        reward[last] = 0.0
    # The sums up to the end of the episode without those up to the step.
    sums = np.cumsum(reward)
    returns = np.repeat(sums[last], source.lengths) - sums + reward
    return (returns.astype(np.float32),)


def _known(source: rlds_reader.RldsReader) -> dict[str, specs.ArraySpec]:
    known = dict(source.element_spec)
    if specs.REWARD in known:
        known[specs.RETURN_TO_GO] = specs.ArraySpec((), "float32")
    return known


def _check_fields(source: rlds_reader.RldsReader, fields: Sequence[str]) -> None:
    known = sorted(_known(source))
    if not fields or not set(fields) <= set(known):
        raise ValueError(
            f"fields must be some of {known} for {source.directory}, got "
            f"{list(fields)}; field_map can map others to {source.paths}."
        )
